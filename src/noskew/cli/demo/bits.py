"""Whether two tables are the same to the last bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.errors import CorruptDataError


def differences(left: pa.Table, right: pa.Table) -> dict[str, int]:
    """How many values of each column differ; columns without any are left out.

    Equal means: both null, or the same bits (−0.0 is not 0.0), or both NaN. Columns of
    different types, or that only one side has, differ in every row.
    """
    found = {}
    for name in sorted({*left.column_names, *right.column_names}):
        if name in left.column_names and name in right.column_names:
            n = _different(left.column(name), right.column(name))
        else:
            n = max(len(left), len(right))
        if n:
            found[name] = n
    return found


def insist(found: dict[str, int], where: str) -> None:
    """Raise CorruptDataError if there are differences; ``where``: what was compared."""
    if found:
        raise CorruptDataError(
            f"values differ ({where}): "
            + ", ".join(f"{n} of {name}" for name, n in found.items())
            + "; this is a fault in noskew, please report it"
        )


def _different(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    if left.type != right.type or len(left) != len(right):
        return max(len(left), len(right), 1)
    nulls = _bools(left.is_null()) != _bools(right.is_null())
    if pa.types.is_floating(left.type):
        a, b = _floats(left), _floats(right)
        bits = np.dtype(f"i{a.itemsize}")
        unequal = (a.view(bits) != b.view(bits)) & ~(np.isnan(a) & np.isnan(b))
    elif pa.types.is_nested(left.type):
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        unequal = np.array([repr(a) != repr(b) for a, b in pairs], np.bool_)
    else:
        unequal = _bools(pc.not_equal(left, right).fill_null(False))
    return int((nulls | unequal).sum())


def _floats(column: pa.ChunkedArray) -> NDArray[np.floating]:
    made: NDArray[np.floating] = column.combine_chunks().fill_null(0).to_numpy()
    return np.ascontiguousarray(made)


def _bools(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    made: NDArray[np.bool_] = column.to_numpy()
    return made
