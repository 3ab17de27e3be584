"""audit skew: is what was served what the facts say?"""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.audit.report import SkewReport
from noskew.cli.console import err, out, session
from noskew.cli.progress import Bars
from noskew.cli.render.skew import as_text, examples, skew_tables
from noskew.cli.warmth import tell_if_cold


def skew(
    ctx: typer.Context,
    services: Annotated[
        list[str] | None, typer.Argument(help="Feature services; default: all that were kept.")
    ] = None,
    *,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="A time, or how long before now.")
    ] = "1d",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="A time, or how long before now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Compare, bit for bit, the answers that servers kept with the facts, computed again.

    Servers keep the answers for a share of the entities, [b]serve.audit[/b] in noskew.toml. A
    value is [i]equal[/i], [i]behind[/i] (right for the facts that the online store had by then) or
    [i]different[/i]. Exit code 1 if any is different.
    """
    tell_if_cold()
    with session(ctx).store() as store, Bars({}, transient=True) as bars:
        chosen: list[str | None] = [None] if not services else [*services]
        reports = [store.audit_skew(name, since, until, progress=bars) for name in chosen]
    report = SkewReport(
        reports[0].since, reports[0].until, [s for r in reports for s in r.services]
    )
    if as_json:
        out.print(as_text(report), soft_wrap=True, markup=False)
    else:
        for table in skew_tables(report):
            out.print(table)
        for line in examples(report):
            out.print(line, markup=False, soft_wrap=True)
        bars.summary(f"[b]audit[/b] {sum(s.rows for s in report.services):,} served rows")
        _advise(report)
    if not report.is_equal:
        raise typer.Exit(1)


def _advise(report: SkewReport) -> None:
    if not report.services:
        err.print(
            "No answers were kept. Set [b]audit = 0.01[/b] under [b]\\[serve][/b] in noskew.toml, "
            "and start the servers again."
        )
        return
    if behind := report.total("behind"):
        out.print(
            f"{behind:,} values were behind: right for the facts that were online by then. "
            f"Materialize more often, or stream."
        )
    if waiting := report.total("waiting"):
        out.print(f"{waiting:,} values wait for their facts to be in the offline store.")
    if undecided := report.total("undecided"):
        out.print(f"{undecided:,} values are undecided: nobody knows what had been folded.")
    if report.is_equal and report.total("compared"):
        out.print("[green]No skew.[/green]")
    elif not report.is_equal:
        err.print(f"[red]{report.different:,} values are different.[/red]")
