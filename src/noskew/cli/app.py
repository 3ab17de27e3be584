"""The commands by name. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noskew import __version__
from noskew.cli.console import Commands, Session, out
from noskew.cli.groups import CommandEntry

_HOME = "noskew.cli.commands"


class NoskewCommands(Commands):
    """The commands of ``noskew``, in the order of their panels' lists."""

    entries = (
        CommandEntry("init", f"{_HOME}.project:init", "Start"),
        CommandEntry("demo", f"{_HOME}.tour:demo", "Start"),
        CommandEntry("doctor", f"{_HOME}.doctor:doctor", "Start"),
        CommandEntry("plan", f"{_HOME}.plan:plan", "Define"),
        CommandEntry("apply", f"{_HOME}.plan:apply", "Define"),
        CommandEntry("verify", f"{_HOME}.verify:verify", "Define"),
        CommandEntry("diff", f"{_HOME}.plan:diff", "Define"),
        CommandEntry("list", f"{_HOME}.listing:list_", "Define"),
        CommandEntry("show", f"{_HOME}.show:show", "Define"),
        CommandEntry("ingest", f"{_HOME}.data:ingest", "Fill"),
        CommandEntry("materialize", f"{_HOME}.data:materialize", "Fill"),
        CommandEntry("backfill", f"{_HOME}.data:backfill", "Fill"),
        CommandEntry("compact", f"{_HOME}.data:compact", "Fill"),
        CommandEntry("prune", f"{_HOME}.data:prune", "Fill"),
        CommandEntry("historical", f"{_HOME}.historical:historical", "Read"),
        CommandEntry("get", f"{_HOME}.get:get", "Read"),
        CommandEntry("serve", f"{_HOME}.serve:serve", "Read"),
        CommandEntry(
            "stream",
            f"{_HOME}.stream.group:StreamCommands",
            "Fill",
            "Fold a source's stream online (noskew stream SOURCE), and look after it.",
        ),
        CommandEntry(
            "audit",
            f"{_HOME}.audit.group:AuditCommands",
            "Read",
            "Compare what servers gave with the facts, computed again.",
        ),
    )


app = typer.Typer(
    cls=NoskewCommands,
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
