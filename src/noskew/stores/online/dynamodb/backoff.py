"""How long to wait before a request is repeated."""

from __future__ import annotations

from random import Random
from threading import Event
from time import monotonic

_FIRST_S, _LONGEST_S = 0.025, 1.0


class Backoff:
    """The repeats of one call: twice as long each time, at random below that, within a deadline.

    Waits that were of equal length would bring all who were throttled together back together.
    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015), "full
    jitter".
    """

    __slots__ = ("_deadline", "_random", "_repeats")

    def __init__(self, timeout_s: float, random: Random) -> None:
        self._deadline = monotonic() + timeout_s
        self._random = random
        self._repeats = 0

    @property
    def left_s(self) -> float:
        """The time that is left; at least a millisecond, for what needs a positive number."""
        return max(0.001, self._deadline - monotonic())

    def wait(self) -> bool:
        """Wait, and say whether to repeat the call; at once False if time would be up by then."""
        pause = self._random.uniform(0, min(_LONGEST_S, _FIRST_S * 2**self._repeats))
        self._repeats += 1
        if monotonic() + pause >= self._deadline:
            return False
        Event().wait(pause)
        return True
