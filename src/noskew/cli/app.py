"""The commands by name. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from noskew import __version__
from noskew.cli.commands import (
    audit,
    data,
    definitions,
    doctor,
    online,
    project,
    stream,
    tour,
    verify,
)
from noskew.cli.console import Commands, Session, out

app = typer.Typer(
    cls=Commands,
    help="A feature store in which training and serving cannot disagree.",
    epilog="New here? [b]noskew demo[/b] shows all of it on real flights; [b]noskew init[/b] "
    "starts a project.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"noskew {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", "-C", metavar="DIR", help="The project; default: here or above."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version
    ctx.obj = Session(directory, debug)


_GROUPS: dict[str, list[tuple[str, Callable[..., None]]]] = {
    "Start": [("init", project.init), ("demo", tour.demo), ("doctor", doctor.doctor)],
    "Define": [
        ("plan", definitions.plan),
        ("apply", definitions.apply),
        ("verify", verify.verify),
        ("diff", definitions.diff),
        ("list", definitions.list_),
        ("show", definitions.show),
    ],
    "Fill": [
        ("ingest", data.ingest),
        ("materialize", data.materialize),
        ("backfill", data.backfill),
        ("compact", data.compact),
        ("prune", data.prune),
    ],
    "Read": [
        ("historical", data.historical),
        ("get", online.get),
        ("serve", online.serve),
    ],
}
for panel, commands in _GROUPS.items():
    for name, command in commands:
        app.command(name, rich_help_panel=panel)(command)
app.add_typer(stream.app, name="stream", rich_help_panel="Fill")
app.add_typer(audit.app, name="audit", rich_help_panel="Read")
