"""A group of commands of which one is meant when none is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class RunByDefault(TyperGroup):
    """A first word that is none of the commands is handed to ``run``, with all that follow."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` before the words if they name no command."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)
