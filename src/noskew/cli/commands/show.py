"""show: everything about one definition."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import out, session
from noskew.cli.render.details import describe, find_definitions


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A service, view, source, entity or on-demand.")],
    events: Annotated[
        bool, typer.Option("--events", help="Count the events of a view, which opens its table.")
    ] = False,
) -> None:
    """Show everything about a definition: features, windows, lineage, code that uses it."""
    with session(ctx).store() as store:
        project = store.applied.project
        for kind, item in find_definitions(project, name):
            for part in describe(store, project, kind, item, with_events=events):
                out.print(part)
