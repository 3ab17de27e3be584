"""The contract of a runner: pieces of rows go to a task, and what it makes of them comes back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from noskew.resources import Closing


class Piece(NamedTuple):
    """Some rows, and the number that says what becomes of them; 0 where nobody asks."""

    number: int
    table: pa.Table


#: A task: from pieces, which come one by one, and a context to pieces. It is a function at the top
#: of a module, by whose name and its own it is found again wherever it runs; the context is JSON
#: data. A task may run more than once for the same piece, and must do no harm then.
Task = Callable[[Iterable[Piece], Mapping[str, Any]], Iterator[Piece]]


class Runner(Closing, ABC):
    """Hands pieces of rows to tasks, in this process or on other machines.

    A runner knows Arrow and no feature: what is done with rows is a function of noskew's. Rows
    travel bit for bit, in every Arrow type that noskew has. Progress is what a caller counts while
    it takes results.

    *Errors.* An error of noskew's that a task raises is raised by the method that waits for the
    result, of the same class and with the same message. RunnerError stands for whatever else goes
    wrong, on the way or in a task. After an error no more tasks begin.

    An implementation passes :class:`noskew.testing.runner.RunnerTests`.
    """

    @property
    @abstractmethod
    def parts(self) -> int:
        """Into how many parts work is best cut: at least 1, and enough to even out their sizes."""

    def parts_of(self, buckets: int) -> int:
        """Into how many parts so many buckets are best gathered."""
        return min(buckets, self.parts)

    @property
    @abstractmethod
    def is_local(self) -> bool:
        """Whether tasks run on this machine, as this user, and see its files."""

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped what tasks run on, so that it can run nothing any more."""
        return False

    @abstractmethod
    def share(self, archive: Path) -> None:
        """Let later tasks import from a zip of Python files, wherever they run."""

    @abstractmethod
    def run(
        self, tables: Iterable[pa.Table], task: Task, context: Mapping[str, Any]
    ) -> Iterator[Piece]:
        """Give each table, numbered from 0 on, to a task; give back the pieces that tasks make.

        Lazy: nothing runs before the first result is asked for, and ``tables`` is read meanwhile or
        at once. Pieces come in no order, but those that a task makes of one table come in its. A
        large piece may come in several, of the same number. A task may be given several tables.
        """
