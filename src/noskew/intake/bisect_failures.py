"""Do a batch at once, and when it fails find the rows that are at fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from noskew.errors import NoskewError

T = TypeVar("T")


@dataclass
class Bisected(Generic[T]):
    """``parts``: what became of the ranges of rows that went well, as (start, end, result).

    ``bad``: for each row at fault, why.
    """

    parts: list[tuple[int, int, T]] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)


def bisect_failures(action: Callable[[int, int], T], size: int) -> Bisected[T]:
    """Run ``action(start, end)`` on all rows; where it raises, on halves, down to single rows.

    A row is at fault when ``action`` fails on it alone. Actions are row-wise, so which rows
    are at fault does not depend on the batch around them. k rows at fault cost about
    2·k·log₂(size) runs. Only errors of noskew's own tree are caught.
    """
    outcome: Bisected[T] = Bisected()
    waiting = [(0, size)] if size else []
    while waiting:
        start, end = waiting.pop()
        try:
            outcome.parts.append((start, end, action(start, end)))
        except NoskewError as error:
            if end - start == 1:
                outcome.bad[start] = str(error)
                continue
            middle = (start + end) // 2
            waiting += [(middle, end), (start, middle)]
    return outcome
