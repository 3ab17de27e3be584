"""Reading ahead: a thread makes the next item while one is worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The items of an iterator, in their order, none of them None; one more is held than used.

    What making an item raises is raised in its place, after the items before it. All of the
    iterator runs in one other thread, which ends with this generator; whoever stops early waits
    for the item that is being made, and a generator is then closed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="noskew-read-ahead") as thread:
        coming = thread.submit(next, items, None)
        try:
            while (item := coming.result()) is not None:
                coming = thread.submit(next, items, None)
                yield item
                del item  # else the one before would be held while the next is waited for
        finally:
            if isinstance(items, Generator):
                thread.submit(items.close).result()
