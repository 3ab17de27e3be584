"""Logs: partitions of messages that are appended and read in order.

The contract is :mod:`noskew.stores.log.base`. Each backend is imported when a log of its kind is
opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from noskew.errors import ConfigError, nearest
from noskew.plugins import Plugins

if TYPE_CHECKING:
    from noskew.clock import Clock
    from noskew.stores.log.base import EventLog

__all__ = ["open_log"]


class Opener(Protocol):
    """Opens the logs of a kind."""

    def __call__(self, options: Mapping[str, Any], *, directory: Path, clock: Clock) -> EventLog:
        """See :func:`open_log`."""


_OPENERS: Plugins[Opener] = Plugins(
    "noskew.logs",
    {
        "local_log": "noskew.stores.log.local:open_log",
        "kafka": "noskew.stores.log.kafka:open_log",
    },
)


def open_log(kind: str, options: Mapping[str, Any], *, directory: Path, clock: Clock) -> EventLog:
    """The log of a kind, as a stream's declaration describes it.

    Kinds are ``local_log`` and ``kafka``; any other is opened by the installed distribution that
    has an entry point of that name in the group ``noskew.logs``, a function of the arguments
    ``options``, ``directory`` and ``clock``.

    Raises ConfigError for an unknown kind or an option that cannot be, MissingExtraError when a
    library is not installed, and what the log raises on opening.

    Parameters
    ----------
    options
        What the declaration says beside its kind; an opener takes what it needs.
    directory
        Where files of a log of this machine go; made when there are any.
    clock
        Gives the append times of a log that has no clock of its own.
    """
    opener = _OPENERS.get(kind)
    if opener is None:
        raise ConfigError(f"no kind of log {kind!r}; {nearest(kind, _OPENERS.names())}")
    return opener(options, directory=directory, clock=clock)
