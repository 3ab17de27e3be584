"""Rows in the bodies of requests: as an Arrow stream, or as JSON where Arrow cannot say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from noskew.wire.arrow_types import is_accepted
from noskew.wire.media_types import ARROW, JSON
from noskew.wire.rows import as_columns, as_list


def columns_of(rows: Any) -> dict[str, list[Any]]:
    """Rows in any form as columns of Python values. Raises InputError for other forms."""
    columns = as_columns(rows)
    return {n: v if type(v) is list else as_list(n, v) for n, v in columns.items()}


def encode_rows(rows: Any) -> tuple[bytes, str]:
    """Rows to push as an Arrow stream; a frame as it is, whatever else by way of columns."""
    if isinstance(rows, pa.RecordBatch):
        rows = pa.Table.from_batches([rows])
    if type(rows).__module__.partition(".")[0] == "pandas":
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if not isinstance(rows, pa.Table) and not hasattr(rows, "__arrow_c_stream__"):
        return encode_request_columns(rows, columns_of(rows))
    table = pa.table(rows)
    plain = [_plain(column.combine_chunks()) for column in table.columns]
    return _arrow(pa.table(plain, names=table.column_names)), ARROW


#: Types whose values take other bytes than a column's own, and those that stand for them.
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _plain(array: pa.Array) -> pa.Array:
    """A column in a layout that the server takes: neither a dictionary nor views."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary).take(array.indices)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type in _VIEWS:
        return array.cast(pa.large_list(_VIEWS[kind.value_type]))
    return array.cast(_VIEWS[kind]) if kind in _VIEWS else array


def encode_request_columns(rows: Any, columns: Mapping[str, list[Any]]) -> tuple[bytes, str]:
    """Columns as an Arrow stream; as JSON where a column is of no one type.

    No service takes such a column: JSON lets the server say so, as the reader in process would.
    """
    if not columns:
        return orjson.dumps({"rows": {} if isinstance(rows, Mapping) else []}), JSON
    try:
        table = pa.table({name: _array(values) for name, values in columns.items()})
    except (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError):
        return orjson.dumps({"rows": {n: _as_json(v) for n, v in columns.items()}}), JSON
    return _arrow(table), ARROW


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


#: The first that a value is an instance of is its kind; Arrow would turn some into others.
_KINDS: tuple[tuple[type, ...], ...] = (
    (bool, np.bool_),
    (int, float, np.integer, np.floating),
    (str,),
    (bytes,),
    (datetime,),
    (date,),
    (Decimal,),
    (list, tuple, np.ndarray),
)


def _array(values: list[Any]) -> pa.Array:
    """A column in Arrow. Raises TypeError if its values are not of one kind that is taken."""
    if len({_kind(v) for v in values if v is not None}) > 1:
        raise TypeError("values of several kinds")
    array = pa.array(values)
    if not is_accepted(array.type):
        raise TypeError(f"values of the Arrow type {array.type}")
    return array


def _as_json(value: Any) -> Any:
    """The same, if JSON has it; else an object, which is no value of any type."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_as_json(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    try:
        if value is None or isinstance(value, (bool, str, int)):
            orjson.dumps(value)  # not so integers of more than 64 bits, and lone surrogates
            return value
    except orjson.JSONEncodeError:
        pass
    if isinstance(value, float) and math.isfinite(value):
        return value
    return {type(value).__name__: ascii(value)[:80]}


def _kind(value: Any) -> int:
    return next((i for i, kinds in enumerate(_KINDS) if isinstance(value, kinds)), len(_KINDS))
