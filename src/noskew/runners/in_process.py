"""The runner of one process: items are worked on by threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")

#: Items worked on at a time; the kernel and the readers let go of the interpreter's lock.
#: Each decodes for itself and holds some tens of megabytes, so that more would cost memory.
THREADS = max(2, min(4, os.cpu_count() or 2))


def each(
    work: Callable[[_Item], object], items: Iterable[_Item], *, threads: int = THREADS
) -> None:
    """Call ``work`` with every item, on some threads at a time; with one, in this one.

    Raises the error of the first item that has one.
    """
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass
