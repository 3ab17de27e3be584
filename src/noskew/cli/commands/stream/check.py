"""stream verify and rebuild: are the rows what the log says, and if not, make them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noskew.cli.console import confirm, err, out, session
from noskew.cli.progress import Bars
from noskew.cli.render.stream_verified import examples, verified_table
from noskew.cli.warmth import tell_if_cold
from noskew.definitions.view import FeatureView
from noskew.errors import InputError, nearest
from noskew.feature_store import FeatureStore
from noskew.streaming.status.verification import Verified

if TYPE_CHECKING:
    from collections.abc import Sequence


SourceArgument = Annotated[str, typer.Argument(help="A source that has a stream.")]


def verify(
    ctx: typer.Context,
    source: SourceArgument,
    views: Annotated[
        list[str] | None, typer.Argument(help="Names of views; default: all of the source.")
    ] = None,
    *,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Write again what the online store lacks or has otherwise."),
    ] = False,
) -> None:
    """Compare every row, bit for bit, with one computed anew from the archived events.

    By another way than the stream's, on the machine that has its state; the stream may run
    meanwhile. Exit code 1 if anything differed, repaired or not.
    """
    tell_if_cold()
    with session(ctx).store() as store:
        chosen = _online(store, source, views)
        from_source = store.applied.project.source(source)
        with Bars({v.name: store.count_events(v) or 0 for v in chosen}, transient=True) as bars:
            every = store.streams.verify(from_source, chosen, repair=repair, progress=bars)
    out.print(verified_table(every))
    rows = sum(v.rows for v in every)
    bars.summary(f"[b]verify[/b] {rows:,} rows of {len(chosen)} view{'s' * (len(chosen) != 1)}")
    for view, verified in zip(chosen, every, strict=True):
        for line in examples(verified, view.entity.keys):
            out.print(line, markup=False, soft_wrap=True)
    if any(not v.is_equal for v in every):
        _advise(source, every, repair=repair)
        raise typer.Exit(1)
    out.print("[green]Every row is as its log says.[/green]")


def rebuild(
    ctx: typer.Context,
    source: SourceArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make all online rows of a source anew, from the archived events and the present log.

    For rows that verify finds wrong, and for a log that was lost and made anew. Readers see the
    rows that are there until their successors are. Streams that run meanwhile go on with them.
    """
    with session(ctx).store() as store:
        chosen = _online(store, source, None)
        events = {v.name: store.count_events(v) or 0 for v in chosen}
        for name, rows in events.items():
            out.print(f"~ [b]{name}[/b]: its rows, from {rows:,} archived events")
        out.print(
            "Readers see the rows that are there meanwhile; running streams go on with the new."
        )
        if not yes and not confirm(f"Make the rows of {source} anew?", flag="--yes"):
            err.print("Nothing was changed.")
            raise typer.Exit(1)
        tell_if_cold()
        from_source = store.applied.project.source(source)
        with Bars(events, transient=True) as bars:
            store.streams.rebuild(from_source, chosen, progress=bars)
    bars.summary(f"[b]rebuild[/b] rows of {len(chosen)} view{'s' * (len(chosen) != 1)}")
    out.print(f"[green]Made anew.[/green] Next: [b]noskew stream {source}[/b]")


def _online(store: FeatureStore, source: str, names: Sequence[str] | None) -> list[FeatureView]:
    """The online views of a source, or those named. Raises InputError where there is none."""
    project = store.applied.project
    streamed = project.source(source)
    if streamed.stream is None:
        raise InputError(f"source {source!r} has no stream")
    mine = {v.name: v for v in project.views.values() if v.source.name == source and v.online}
    wrong = [name for name in names or () if name not in mine]
    if wrong:
        raise InputError(
            f"no view {wrong[0]!r} is made online from the source {source!r}; "
            f"{nearest(wrong[0], mine)}"
        )
    if not mine:
        raise InputError(f"no view is made online from the source {source!r}")
    return [mine[name] for name in dict.fromkeys(names or mine)]


def _advise(source: str, verified: Sequence[Verified], *, repair: bool) -> None:
    """What to do about rows that differ."""
    if any(v.different or v.missing or v.foreign for v in verified):
        err.print(
            f"Next: [b]noskew stream rebuild {source}[/b] makes the rows anew from the archived "
            f"events."
        )
    elif not repair:
        err.print(
            f"Next: [b]noskew stream verify {source} --repair[/b] writes again what the online "
            f"store lacks or has otherwise."
        )
    else:
        err.print("The online store has these rows again; verify once more to see it.")
