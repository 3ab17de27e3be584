"""Arrow columns as NumPy arrays, in the one form in which every read gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def to_numpy(column: pa.Array) -> Any:
    """A column as callers of a read get it.

    Numbers and bools: plain, or masked (``numpy.ma``) where some are null. Vectors without nulls:
    two-dimensional. Other types: objects, None for null.
    """
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        return to_numpy(column.flatten()).reshape(len(column), kind.list_size)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return np.array(column.to_pylist(), dtype=object)
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False)
    filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
    null = column.is_null().to_numpy(zero_copy_only=False)
    return np.ma.masked_array(filled.to_numpy(zero_copy_only=False), mask=null)


def nan_for_null(values: NDArray[Any]) -> NDArray[Any]:
    """Floats with NaN where they are masked; other arrays as they are."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind == "f":
        return values.filled(np.nan)
    return values
