"""Arrow columns as NumPy arrays, in the one form in which every read gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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


def decoded(column: Any) -> Any:
    """A column (an array or chunks of it) without a dictionary or run ends: its plain values."""
    if isinstance(column, pa.ChunkedArray):
        if not _is_encoded(column.type):
            return column
        chunks = [decoded(chunk) for chunk in column.chunks]
        return pa.chunked_array(chunks, None if chunks else _plain_type(column.type))
    if pa.types.is_run_end_encoded(column.type):
        return decoded(pc.run_end_decode(column))
    if not pa.types.is_dictionary(column.type):
        return column
    values = decoded(column.dictionary)
    # Arrow takes no items out of views.
    values = values.cast(_plain_type(values.type))
    return values.take(column.indices)


def _is_encoded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if _is_encoded(kind):
        return _plain_type(kind.value_type)
    return {"string_view": pa.large_string(), "binary_view": pa.large_binary()}.get(str(kind), kind)


def nan_for_null(values: NDArray[Any]) -> NDArray[Any]:
    """Floats with NaN where they are masked; other arrays as they are."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind == "f":
        return values.filled(np.nan)
    return values
