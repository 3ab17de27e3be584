"""Whether two columns, or two tables, are the same to the last bit."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.kernel.values import valid_of, whole

Column: TypeAlias = pa.Array | pa.ChunkedArray


def differing(left: Column, right: Column) -> NDArray[np.bool_]:
    """Where two columns of one length differ: bool, shape (rows,).

    Equal means: both null, or the same bits (−0.0 is not 0.0), or both NaN; in lists, item by
    item. Columns of different types differ in every row.
    """
    a, b = whole(left), whole(right)
    if a.type != b.type:
        return np.ones(len(a), bool)
    there = valid_of(a)
    nulls = there != valid_of(b)
    if pa.types.is_nested(a.type):
        return nulls | _differing_lists(a, b)
    if pa.types.is_floating(a.type):
        x, y = _floats(a), _floats(b)
        bits = np.dtype(f"i{x.itemsize}")
        unequal = (x.view(bits) != y.view(bits)) & ~(np.isnan(x) & np.isnan(y))
    else:
        unequal = pc.not_equal(a, b).fill_null(False).to_numpy(zero_copy_only=False)
    return nulls | unequal


def differences(left: pa.Table, right: pa.Table) -> dict[str, int]:
    """How many values of each column differ; columns without any are left out.

    Columns of different types or lengths, or that only one side has, differ in every row.
    """
    different = {}
    for name in sorted({*left.column_names, *right.column_names}):
        n = max(len(left), len(right), 1)
        if name in left.column_names and name in right.column_names:
            a, b = left.column(name), right.column(name)
            if a.type == b.type and len(a) == len(b):
                n = int(differing(a, b).sum())
        if n:
            different[name] = n
    return different


def _differing_lists(a: pa.Array, b: pa.Array) -> NDArray[np.bool_]:
    sizes = [
        pc.list_value_length(side).fill_null(0).to_numpy(zero_copy_only=False) for side in (a, b)
    ]
    unequal: NDArray[np.bool_] = sizes[0] != sizes[1]
    both = ~unequal & valid_of(a) & valid_of(b)
    at = np.flatnonzero(both)
    items = [pc.list_flatten(side.take(pa.array(at))) for side in (a, b)]
    wrong = differing(*items)
    if wrong.any():
        owner = np.repeat(at, sizes[0][at])
        unequal[owner[wrong]] = True
    return unequal


def _floats(column: pa.Array) -> NDArray[np.floating]:
    floats: NDArray[np.floating] = column.fill_null(0).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(floats)
