"""stream: fold a source's stream online, look after it, and put right what went wrong."""

from __future__ import annotations

import typer

from noskew.cli.commands.stream.check import rebuild, verify
from noskew.cli.commands.stream.group import RunByDefault
from noskew.cli.commands.stream.quarantine import quarantine, replay
from noskew.cli.commands.stream.run import run
from noskew.cli.commands.stream.status import status

app = typer.Typer(
    cls=RunByDefault,
    help="Fold a source's stream online (noskew stream SOURCE), and look after it.",
    epilog="[b]noskew stream orders[/b] is short for [b]noskew stream run orders[/b].",
    subcommand_metavar="SOURCE | COMMAND [ARGS]...",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
for command in (run, status, verify, rebuild, quarantine, replay):
    app.command(command.__name__)(command)
