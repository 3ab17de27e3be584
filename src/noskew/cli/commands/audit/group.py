"""audit: is what was served what the facts say, and who is told if it is not."""

from __future__ import annotations

from noskew.cli.groups import CommandEntry, LazyGroup


class AuditCommands(LazyGroup):
    """The commands of ``noskew audit``."""

    entries = (
        CommandEntry("skew", "noskew.cli.commands.audit.skew:skew"),
        CommandEntry("alerts", "noskew.cli.commands.audit.alerts:alerts"),
    )
