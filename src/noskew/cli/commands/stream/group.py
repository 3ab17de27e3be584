"""stream: fold a source's stream online, look after it, and put right what went wrong."""

from __future__ import annotations

from typing import Any

from noskew.cli.groups import CommandEntry, LazyGroup

_HOME = "noskew.cli.commands.stream"


class StreamCommands(LazyGroup):
    """The commands of ``noskew stream``.

    A first word that is none of them is handed to ``run``, with all that follow.
    """

    entries = (
        CommandEntry("run", f"{_HOME}.run:run"),
        CommandEntry("status", f"{_HOME}.status:status"),
        CommandEntry("verify", f"{_HOME}.check:verify"),
        CommandEntry("rebuild", f"{_HOME}.check:rebuild"),
        CommandEntry("quarantine", f"{_HOME}.quarantine:quarantine"),
        CommandEntry("replay", f"{_HOME}.quarantine:replay"),
    )

    def __init__(self, **attributes: Any) -> None:
        super().__init__(
            subcommand_metavar="SOURCE | COMMAND [ARGS]...",
            epilog="[b]noskew stream orders[/b] is short for [b]noskew stream run orders[/b].",
            **attributes,
        )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` before the words if they name no command."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)
