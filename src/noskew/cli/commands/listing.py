"""list: what is applied."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import err, out, session
from noskew.cli.render.listing import KINDS, tables
from noskew.errors import unknown


def list_(
    ctx: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(help="services, views, sources, entities, on-demand, versions or ingests."),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Count the events of views, which opens each table.")
    ] = False,
) -> None:
    """List what is applied."""
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    with session(ctx).store() as store:
        applied = store.applied
        if not applied.version:
            err.print("Nothing is applied yet: [b]noskew plan[/b], then [b]noskew apply[/b].")
            return
        for table in tables(store, applied, kind, with_events=events):
            out.print(table)
