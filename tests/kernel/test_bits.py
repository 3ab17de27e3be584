"""Equal means: the same bits, or both null, or both NaN."""

from __future__ import annotations

import math
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel.bits import differences, differing

NAN = float("nan")


def same(a: Any, b: Any) -> bool:
    """The rule in plain Python."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        both_nan = math.isnan(a) and math.isnan(b)
        return both_nan or struct.pack("d", a) == struct.pack("d", b)
    return type(a) is type(b) and bool(a == b)


numbers = st.sampled_from([None, 0.0, -0.0, 1.5, NAN, math.inf, 5e-324])
texts = st.sampled_from([None, "", "a", "\u00e9", "e\u0301"])
lists = st.one_of(st.none(), st.lists(numbers, max_size=3))


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        (pa.float64(), numbers),
        (pa.string(), texts),
        (pa.list_(pa.float64()), lists),
    ],
)
@given(data=st.data())
def test_columns_differ_where_plain_python_says_so(
    kind: pa.DataType, items: Any, data: st.DataObject
) -> None:
    n = data.draw(st.integers(0, 8))
    some = st.lists(items, min_size=n, max_size=n)
    left, right = data.draw(some), data.draw(some)
    a, b = pa.array(left, kind), pa.array([None, *right], kind)[1:]
    expected = [not same(x, y) for x, y in zip(left, right, strict=True)]
    assert differing(a, b).tolist() == expected
    assert differing(pa.chunked_array([a]), b).tolist() == expected


def test_vectors_and_their_nulls() -> None:
    kind = pa.list_(pa.float32(), 2)
    a = pa.array([[0.0, 1.0], None, [0.0, NAN]], kind)
    b = pa.array([[-0.0, 1.0], None, [0.0, NAN]], kind)
    assert differing(a, b).tolist() == [True, False, False]


def test_another_type_or_length_is_another_column() -> None:
    a, b = pa.array([1, 2], pa.int64()), pa.array([1, 2], pa.int32())
    assert differing(a, b).tolist() == [True, True]
    found = differences(pa.table({"a": a, "b": a}), pa.table({"a": b, "c": a}))
    assert found == {"a": 2, "b": 2, "c": 2}
    assert differences(pa.table({"a": a}), pa.table({"a": a.slice(1)})) == {"a": 2}
