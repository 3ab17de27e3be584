"""Calls: where the simulated world lets things go wrong, around each call to a store or a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Crash(BaseException):
    """The process that made the call is killed. No handler of errors may stop it."""


class Calls(Protocol):
    """Told of each call that a process makes; it may keep it from being made, or heard of."""

    def around(
        self, who: str, site: str, call: Callable[[], T], partly: Callable[[], bool] | None = None
    ) -> T:
        """Make the call, if all is well, and give back what it gives.

        ``who``: the process. ``site``: what is called, such as ``online.write``. ``partly``: what
        may happen in the place of the whole; it gives back whether that was some of it and not all.
        """


class Undisturbed:
    """Nothing goes wrong."""

    def around(
        self, who: str, site: str, call: Callable[[], T], partly: Callable[[], bool] | None = None
    ) -> T:
        del who, site, partly
        return call()
