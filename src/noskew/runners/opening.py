"""Opening a runner by the name that the configuration has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from noskew.config import Config
from noskew.errors import InputError, nearest
from noskew.plugins import Plugins
from noskew.runners.base import Runner

#: From the configuration, whose ``runner`` is the text that was asked for.
Opener: TypeAlias = Callable[[Config], Runner]

_OPENERS: Plugins[Opener] = Plugins(
    "noskew.runners", {"spark": "noskew.runners.spark.runner:open_runner"}
)
#: Work that no task is made of; nothing has to be opened.
IN_PROCESS = "in_process"


def open_runner(config: Config) -> Runner:
    """The runner that ``config.runner`` names, such as ``"spark"`` or ``"name://where"``.

    A name that is not noskew's own is opened by the installed distribution that has an entry point
    of that name in the group ``noskew.runners``: a function that takes the configuration.

    Raises InputError for a name that nothing installed has, and what the runner raises on opening.
    """
    opener = _OPENERS.get(config.runner.partition("://")[0])
    if opener is None:
        names = [IN_PROCESS, *_OPENERS.names()]
        raise InputError(f"no runner {config.runner!r}; {nearest(config.runner, names)}")
    return opener(config)
