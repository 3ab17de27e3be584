"""The Arrow types of columns that a caller may send.

A few bytes of Arrow can stand for gigabytes of values: dictionaries, views, columns without
buffers. Only types whose values are about as large as their bytes are taken.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as at

_SCALARS = (
    at.is_boolean,
    at.is_integer,
    at.is_floating,
    at.is_decimal,
    at.is_timestamp,
    at.is_date,
    at.is_string,
    at.is_large_string,
    at.is_binary,
    at.is_large_binary,
)
_LISTS = (at.is_list, at.is_large_list, at.is_fixed_size_list)


def is_accepted(kind: pa.DataType) -> bool:
    """Whether columns of an Arrow type are taken: scalars and lists of them."""
    if is_list(kind):
        kind = kind.value_type
    return at.is_null(kind) or any(is_kind(kind) for is_kind in _SCALARS)


def is_list(kind: pa.DataType) -> bool:
    """Whether values of a type are lists that are taken, vectors included."""
    return any(of_kind(kind) for of_kind in _LISTS)
