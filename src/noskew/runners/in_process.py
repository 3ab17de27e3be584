"""The runner of one process: items are worked on by threads."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from noskew.errors import NoskewError, RunnerError
from noskew.runners.base import Piece, Runner, Task

_Item = TypeVar("_Item")

#: Items worked on at a time; the kernel and the readers let go of the interpreter's lock.
#: Each decodes for itself and holds some tens of megabytes, so that more would cost memory.
THREADS = max(2, min(4, os.cpu_count() or 2))


def each(
    work: Callable[[_Item], object], items: Iterable[_Item], *, threads: int = THREADS
) -> None:
    """Call ``work`` with every item, on some threads at a time; with one, in this one.

    For work on what this process has in memory, which no task could be sent. Raises the error of
    the first item that has one.
    """
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass


class InProcessRunner(Runner):
    """Runs tasks on threads of this process, a table each.

    Nothing is copied: tasks get the very tables. It holds twice as many results as it has threads.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads

    @property
    def parts(self) -> int:
        return self._threads

    @property
    def is_local(self) -> bool:
        return True

    def share(self, archive: Path) -> None:
        if str(archive) not in sys.path:
            sys.path.append(str(archive))

    def run(
        self, tables: Iterable[pa.Table], task: Task, context: Mapping[str, Any]
    ) -> Iterator[Piece]:
        text = json.dumps(context)  # a task changes its own only, and gets what others would get
        waiting: deque[Future[list[Piece]]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            for number, table in enumerate(tables):
                waiting.append(pool.submit(_run, task, Piece(number, table), text))
                if len(waiting) >= 2 * self._threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        pass


def _run(task: Task, piece: Piece, context: str) -> list[Piece]:
    try:
        return list(task([piece], json.loads(context)))
    except NoskewError:
        raise
    except Exception as error:
        raise RunnerError(
            f"the task {task.__qualname__} failed: {type(error).__name__}: {error}"
        ) from error
