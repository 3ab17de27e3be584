"""Reading ahead changes nothing but who makes the next item, and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.read_ahead import read_ahead

_NAME = "noskew-read-ahead"


def _threads() -> int:
    return sum(t.name.startswith(_NAME) for t in threading.enumerate())


class Made:
    """Items 0 to ``n``, then an error if one is given; who made them, and whether it was closed."""

    def __init__(self, n: int, error: Exception | None = None) -> None:
        self._n, self._error = n, error
        self.asked: list[int] = []
        self.by: set[int] = set()
        self.asked_for = threading.Semaphore(0)

    def items(self) -> Iterator[int]:
        try:
            for i in range(self._n):
                self._note(i)
                yield i
            if self._error:
                raise self._error
        finally:
            self._note(-1)

    def _note(self, i: int) -> None:
        self.asked.append(i)
        self.by.add(threading.get_ident())
        self.asked_for.release()


@given(st.integers(0, 20))
def test_the_items_come_in_their_order(n: int) -> None:
    assert list(read_ahead(Made(n).items())) == list(range(n))
    assert not _threads()


def test_one_item_is_made_while_another_is_used_and_no_more() -> None:
    made = Made(5)
    read = read_ahead(made.items())
    assert next(read) == 0
    for _ in range(2):
        assert made.asked_for.acquire(timeout=10)
    assert made.asked == [0, 1]
    assert not made.asked_for.acquire(timeout=0.05)
    assert list(read) == [1, 2, 3, 4]


def test_an_error_comes_in_its_place() -> None:
    read = read_ahead(Made(2, OSError("the disk is gone")).items())
    assert [next(read), next(read)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(read)
    assert not _threads()


def test_who_stops_early_closes_what_was_read() -> None:
    made = Made(1_000)
    read = read_ahead(made.items())
    assert next(read) == 0
    read.close()
    assert made.asked in ([0, 1, -1], [0, -1])
    assert not _threads()


def test_one_thread_makes_all_items_and_closes() -> None:
    made = Made(20)
    read = read_ahead(made.items())
    for _ in range(3):
        next(read)
    read.close()
    assert len(made.by) == 1
    assert threading.get_ident() not in made.by


def test_what_is_no_generator_is_read_as_well() -> None:
    assert list(read_ahead(iter([3, 1, 2]))) == [3, 1, 2]
