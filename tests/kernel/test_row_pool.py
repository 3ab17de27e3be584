"""Rows are known again: by their values, as often as they are there, and by nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel.row_hashes import RowIdentities, row_identities
from noskew.kernel.row_pool import RowPool

#: Few identities, some of which differ in their last byte only, or share a slot.
_IDENTITIES = st.tuples(
    st.sampled_from([0, 1, 2, 1_024, 2_048, 1 << 63, (1 << 64) - 1]), st.sampled_from([0, 1, 255])
)


def _of(rows: list[tuple[int, int]]) -> RowIdentities:
    first = np.array([a for a, _ in rows], np.uint64)
    return RowIdentities(first, np.array([b for _, b in rows], np.uint8))


@given(steps=st.lists(st.tuples(st.booleans(), st.lists(_IDENTITIES, max_size=6)), max_size=12))
def test_it_is_a_counter(steps: list[tuple[bool, list[tuple[int, int]]]]) -> None:
    pool, naive = RowPool(), Counter[tuple[int, int]]()
    for puts, rows in steps:
        if puts:
            pool.add(_of(rows))
            naive.update(rows)
            continue
        expected = []
        for row in rows:
            expected.append(naive[row] > 0)
            naive[row] -= naive[row] > 0
        assert pool.take(_of(rows)).tolist() == expected
    assert len(pool) == naive.total()


def test_it_grows() -> None:
    pool, numbers = RowPool(), np.arange(50_000, dtype=np.uint64) * np.uint64(1 << 20)
    rows = RowIdentities(numbers, np.zeros(len(numbers), np.uint8))
    for start in range(0, len(numbers), 7_000):
        pool.add(rows[np.arange(start, min(start + 7_000, len(numbers)))])
    assert len(pool) == len(numbers)
    assert pool.take(rows).all()
    assert not pool.take(rows).any()


def _identities(column: pa.Array) -> list[bytes]:
    return row_identities(pa.table({"x": column})).to_pylist()


def test_a_row_is_known_by_its_values() -> None:
    nan = np.array([0x7FF8_0000_0000_0000, 0xFFF8_0000_0000_0001], np.uint64).view(np.float64)
    assert len(set(_identities(pa.array(nan)))) == 1
    assert len(set(_identities(pa.array([0.0, -0.0, 1.0, None])))) == 4
    assert len(set(_identities(pa.array(["", "a", None, "a\0"])))) == 4
    assert _identities(pa.array([[1, 2], None, [1, 2]]))[0] == _identities(pa.array([[1, 2]]))[0]


def test_columns_count_by_their_place() -> None:
    a, b = pa.array([1, 2]), pa.array([2, 1])
    one, other = (row_identities(pa.table({"p": x, "q": y})) for x, y in ((a, b), (b, a)))
    assert one.to_pylist() == other.to_pylist()[::-1]
    assert one.to_pylist() != other.to_pylist()


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_identities_can_be_sliced(cut: int) -> None:
    identities = row_identities(pa.table({"x": pa.array(range(5))}))
    numbers = RowIdentities.of(identities.slice(cut))
    pairs = zip(numbers.first, numbers.last, strict=True)
    assert [f.tobytes() + bytes([b]) for f, b in pairs] == identities.to_pylist()[cut:]


def test_the_bytes_are_these() -> None:
    """They are in tables: another hash would take every row for a new one."""
    columns = {"k": pa.array([7], pa.int64()), "s": ["é"], "x": [1.5], "n": pa.nulls(1, pa.int32())}
    assert row_identities(pa.table(columns))[0].as_py().hex() == "990345e35eaaaa266d"
