"""Columns of fixed width as NumPy items: how values stand in the head of a row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.value_codec import check_range
from noskew.kernel.cursors import arrow_values
from noskew.kernel.keys import integers


def width_of(kind: pa.DataType) -> int:
    """The bytes that a value takes; 0 for types of variable length."""
    if pa.types.is_fixed_size_list(kind):
        inner = width_of(kind.value_type)
        return int(kind.list_size * inner)
    if pa.types.is_boolean(kind):
        return 1
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_list(kind):
        return 0
    return int(kind.bit_width // 8)


def field_of(kind: pa.DataType) -> object:
    """The NumPy type of an item, for types of fixed width."""
    if pa.types.is_fixed_size_list(kind) or pa.types.is_decimal(kind):
        return f"V{width_of(kind)}"
    if pa.types.is_boolean(kind):
        return "u1"
    letter = "f" if pa.types.is_floating(kind) else "i"
    return f"<{letter}{width_of(kind)}"


def fixed_values(column: pa.Array) -> NDArray[np.generic]:
    """A column of fixed width as NumPy items; null gives zero bytes."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_decimal(kind):
        width = width_of(kind)
        if column.null_count:
            keep = values.valid_of(column)
            out = np.zeros(len(column), f"V{width}")
            out[keep] = fixed_values(column.drop_null())
            return out
        if pa.types.is_decimal(kind):
            raw = np.frombuffer(column.buffers()[1], np.uint8)
            raw = raw[16 * column.offset : 16 * (column.offset + len(column))]
        else:
            items = fixed_values(column.flatten())
            raw = np.ascontiguousarray(items).view(np.uint8)
        return np.ascontiguousarray(raw).view(f"V{width}")
    if pa.types.is_floating(kind):
        filled = column.fill_null(0.0) if column.null_count else column
        return values.one_nan(filled.to_numpy(zero_copy_only=False))
    return integers(column)


def fixed_array(
    items: NDArray[np.generic], valid: NDArray[np.bool_], kind: pa.DataType
) -> pa.Array:
    """The inverse of :func:`fixed_values`. Raises CorruptDataError for what is no value."""
    mask = None if valid.all() else ~valid
    if pa.types.is_fixed_size_list(kind):
        raw = np.ascontiguousarray(items).view(np.uint8)
        inner = raw.view(field_of(kind.value_type))  # type: ignore[call-overload]
        flat = fixed_array(inner, np.ones(len(inner), bool), kind.value_type)
        nulls = None if mask is None else pa.array(mask)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=nulls)
    if pa.types.is_decimal(kind):
        raw = np.ascontiguousarray(items).view(np.uint8)
        bits = None if mask is None else pa.array(valid).buffers()[1]
        column = pa.Array.from_buffers(kind, len(items), [bits, pa.py_buffer(raw)])
        with arrow_values():
            column.validate(full=True)  # no more digits than the type has
        return column
    check_range(items, kind)
    if pa.types.is_boolean(kind):
        return pa.array(items.astype(bool), mask=mask)
    column = pa.array(np.ascontiguousarray(items), mask=mask)
    return column if column.type == kind else column.view(kind)
