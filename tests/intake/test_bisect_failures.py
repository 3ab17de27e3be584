"""Halving finds the rows at fault, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import SchemaMismatchError
from noskew.intake.bisect_failures import bisect_failures


@given(st.integers(0, 40), st.sets(st.integers(0, 39)))
def test_it_finds_exactly_the_rows_at_fault(size: int, faulty: set[int]) -> None:
    def action(start: int, end: int) -> list[int]:
        if faulty & set(range(start, end)):
            raise SchemaMismatchError("no")
        return list(range(start, end))

    done = bisect_failures(action, size)
    assert set(done.bad) == {n for n in faulty if n < size}
    assert [n for _, _, part in done.parts for n in part] == [
        n for n in range(size) if n not in faulty
    ]
