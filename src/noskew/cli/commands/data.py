"""ingest, materialize, backfill, compact, prune: moving data, with bars."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noskew.cli.console import confirm, err, out, session
from noskew.cli.filling import run_compact, run_ingest, run_materialize, run_undo
from noskew.cli.runner_option import Runner
from noskew.errors import InputError

Views = Annotated[list[str] | None, typer.Argument(help="Names of views; default: all.")]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only facts known by then, e.g. 2013-12-01T12:00:00Z."),
]


def ingest(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Argument(help="A source; default: all.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A Parquet or CSV file or folder, not the source's own."),
    ] = None,
    undo: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Take back what a run added; see 'noskew list ingests'."),
    ] = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="All rows of a source that has a cursor, not the latest.")
    ] = False,
    runner: Runner = None,
) -> None:
    """Append new events of the sources to the offline tables.

    Safe to repeat and to kill: rows that are there already are known again by their values.
    """
    if undo is not None and (source or file or full):
        raise InputError("--undo takes back a whole run: leave SOURCE, --from and --full out")
    with session(ctx).store() as store:
        if undo is not None:
            run_undo(store, undo)
            return
        run_ingest(store, source, file, full=full, runner=runner)


def materialize(
    ctx: typer.Context,
    views: Views = None,
    until: UntilOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every entity, not only those with new facts.")
    ] = False,
    runner: Runner = None,
) -> None:
    """Bring the online store up to the facts that are known by now, or by --until."""
    with session(ctx).store() as store:
        run_materialize(store, views, until=until, full=full, runner=runner)


def backfill(
    ctx: typer.Context, views: Views = None, until: UntilOption = None, runner: Runner = None
) -> None:
    """Rebuild views from their sources: ingest what is missing, then write all rows online.

    The command to run after an apply that says "to backfill".
    """
    with session(ctx).store() as store:
        project = store.applied.project
        chosen = [project.view(n) for n in views] if views else list(project.views.values())
        for source in sorted({v.source.name for v in chosen if v.source.batch is not None}):
            run_ingest(store, source, None, runner=runner)
        names = [v.name for v in chosen]
        run_materialize(store, names, until=until, full=True, runner=runner)


def compact(ctx: typer.Context, views: Views = None) -> None:
    """Make one file of each bucket of the offline tables that has several.

    Worth it after many small ingests, for faster reads. Values stay the same, and nobody who
    reads or trains is disturbed; an ingest at the same time makes it stop, to be repeated.
    """
    with session(ctx).store() as store:
        for done in run_compact(store, views):
            out.print(f"  {done.view}: {done.files_before:,} → {done.files_after:,} files")


def prune(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove online rows of definitions that are no longer applied.

    A changed view has new rows beside the old ones. Once every server has taken over what is
    applied, nobody reads the old ones. To go back to an old definition, apply and materialize it.
    """
    with session(ctx).store() as store:
        old = store.prune(dry_run=True)
        if not old:
            err.print("Nothing to remove: all that was materialized is applied.")
            return
        for each in old:
            out.print(f"- {each.rows:,} rows of [b]{each.view}[/b] {each.definition_hash}")
        if not yes and not confirm("Remove the online rows of these?", flag="--yes"):
            err.print("Nothing was removed.")
            raise typer.Exit(1)
        rows = sum(done.rows for done in store.prune())
    out.print(f"[green]Removed[/green] {rows:,} rows from the online store.")
