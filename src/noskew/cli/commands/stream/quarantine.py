"""stream quarantine and replay: rows that are no events, and giving them another chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from noskew.cli.console import confirm, err, out, session
from noskew.cli.progress import Bars
from noskew.cli.render.quarantine import (
    ReasonCount,
    count_reasons,
    plan_table,
    reasons_table,
    rows_data,
    rows_table,
)
from noskew.cli.render.stream_json import to_json
from noskew.definitions.view import FeatureView
from noskew.errors import InputError, unknown
from noskew.feature_store import FeatureStore
from noskew.streaming.quarantine.replay import Replay
from noskew.streaming.quarantine.selection import Bound, QuarantineSelection
from noskew.streaming.quarantine.table import QuarantinedRow, quarantine_tables

SourceArgument = Annotated[str, typer.Argument(help="A source that has a stream.")]
View = Annotated[str | None, typer.Option("--view", metavar="NAME", help="Only of this view.")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Only rows whose reason has TEXT.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="OFFSET|TIME",
        help="From this offset of each partition on, or from this known time.",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="OFFSET|TIME", help="Up to this one, which is included."),
]


def quarantine(
    ctx: typer.Context,
    source: SourceArgument,
    *,
    view: View = None,
    reason: Reason = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, metavar="N", help="Newest rows of each view.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Show quarantined rows, which are no events or came late: why, where, and what they hold.

    They are in the offline store as soon as they are archived, within a minute.
    """
    selection, asked = _selection(reason, since, until), reason or since or until
    with session(ctx).store() as store:
        counts: list[ReasonCount] = []
        shown_tables, data = [], []
        for table in quarantine_tables(store.offline, _views(store, source, view)):
            rows = [row for row in table.rows()[0] if row in selection]
            counts += count_reasons(table, rows)
            shown = _newest(rows, limit)
            payloads = table.payloads(shown)
            if as_json:
                data += rows_data(table, shown, payloads)
            elif shown:
                shown_tables.append(rows_table(table, shown, payloads, len(rows)))
    if as_json:
        shown_data = {"reasons": [asdict(c) for c in counts], "rows": data}
        out.print(to_json(shown_data), soft_wrap=True, markup=False)
    elif counts:
        out.print(reasons_table(source, counts))
        for shown_table in shown_tables:
            out.print(shown_table)
    else:
        err.print(f"No row of {source} is in quarantine{' that is asked for' * bool(asked)}.")


def replay(
    ctx: typer.Context,
    source: SourceArgument,
    *,
    view: View = None,
    reason: Reason = None,
    since: SinceOption = None,
    until: UntilOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also rows that were replayed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be replayed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Append quarantined messages to the log again, once what was wrong is put right.

    They are new messages, known from now on, and judged anew by every view of the source. Left
    out are late rows, which would be late again, and those that another view has counted, unless
    their event_id tells it that they come again.

    What was replayed is remembered, and left out the next time. Killed in between, a replay may
    append some twice when it is repeated: an event_id protects from counting them twice.
    """
    selection = _selection(reason, since, until)
    with session(ctx).store() as store:
        _views(store, source, view)
        project = store.applied.project
        from_source = project.source(source)
        replaying = Replay(
            from_source,
            project.views.values(),
            store.logs.of(from_source),
            store.offline,
            store.clock,
        )
        plan = replaying.plan(selection, view=view, again=again)
        out.print(plan_table(source, plan))
        if dry_run or not (plan.rows or plan.left_out):
            return
        if not plan.rows:
            raise typer.Exit(1)
        question = f"Append {len(plan.rows):,} messages to the log of {source}?"
        if not yes and not confirm(question, flag="--yes"):
            err.print("Nothing was appended.")
            raise typer.Exit(1)
        with Bars({source: len(plan.rows)}) as bars:
            done = replaying.run(plan, lambda messages: bars(source, messages))
    bars.summary(f"[b]replay[/b] {done:,} messages")
    out.print(
        f"[green]Appended.[/green] What becomes of them: [b]noskew stream status {source}[/b]"
    )


def _selection(
    reason: str | None = None, since: str | None = None, until: str | None = None
) -> QuarantineSelection:
    bounds = [None if text is None else Bound.of(text) for text in (since, until)]
    return QuarantineSelection(reason, *bounds)


def _views(store: FeatureStore, source: str, view: str | None) -> list[FeatureView]:
    """The views of a source, or one of them."""
    project = store.applied.project
    if project.source(source).stream is None:
        raise InputError(f"source {source!r} has no stream")
    mine = {v.name: v for v in project.views.values() if v.source.name == source}
    if view is not None and view not in mine:
        raise unknown("feature view", view, mine, where=f"source {source!r}")
    return list(mine.values()) if view is None else [mine[view]]


def _newest(rows: Sequence[QuarantinedRow], limit: int) -> list[QuarantinedRow]:
    """The rows that became known last, by origin and offset."""
    last = sorted(rows, key=lambda r: r.known_time)[max(0, len(rows) - limit) :]
    return sorted(last, key=lambda r: r.place)
