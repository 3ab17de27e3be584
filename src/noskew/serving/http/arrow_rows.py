"""Rows that a caller sends as an Arrow IPC stream, checked before anything is made of them.

A few bytes of Arrow can stand for gigabytes of values: compressed buffers, dictionaries, views,
columns without buffers. Only layouts whose values are about as large as their bytes are taken.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from noskew.errors import LimitError, NoskewError
from noskew.serving.http.problem import Refusal
from noskew.wire.arrow_types import is_accepted, is_list


def parse(body: bytes, max_rows: int, takes: Callable[[str], bool] = lambda name: True) -> pa.Table:
    """A body as a table. Raises Refusal (400) for other bytes, LimitError for too many rows.

    ``takes`` raises for a column's name that is not taken, before any column is read.
    """
    try:
        with pa.ipc.open_stream(body) as reader:
            for field in reader.schema:
                takes(field.name)
                _check_type(field)
            _refuse_compression(body)
            table = reader.read_all()
        if table.num_rows > max_rows:
            raise LimitError(f"{table.num_rows} rows in one request; at most {max_rows} are taken")
        table.validate(full=True)
        _check_nulls(table, len(body))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, NoskewError):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Refusal(400, f"the body is not an Arrow IPC stream: {reason}") from error
    if len(set(table.column_names)) != table.num_columns:
        raise Refusal(400, "the body has two columns of one name")
    return table


def _check_type(field: pa.Field) -> None:
    if not is_accepted(field.type):
        raise Refusal(
            400,
            f"the column {field.name[:80]!r} is of the Arrow type {str(field.type)[:80]}; send "
            f"scalars or lists of them, not encoded as dictionaries or views",
        )


def _check_nulls(table: pa.Table, most: int) -> None:
    """Refuse lists of nulls, which take no bytes, with more items than the body has bytes."""
    for column in table.columns:
        if is_list(column.type) and at.is_null(column.type.value_type):
            items = pc.sum(pc.list_value_length(column)).as_py() or 0
            if items > most:
                raise Refusal(400, f"a column of the body stands for {items} nulls")


def _refuse_compression(body: bytes) -> None:
    for message in pa.ipc.MessageReader.open_stream(body):
        if message.type == "record batch" and _is_compressed(message.metadata.to_pybytes()):
            raise Refusal(400, "the body has compressed buffers; write it without compression")


def _is_compressed(message: bytes) -> bool:
    """Whether a flatbuffer of Arrow's ``Message`` holds a ``RecordBatch`` with ``compression``.

    Tables of a flatbuffer point back to a list of where their fields are; ``header`` is the
    third field of ``Message`` (the second says its type), ``compression`` the fourth of
    ``RecordBatch``. Source: the FlatBuffers internals, and Arrow's ``Message.fbs``.
    """
    try:
        table = _u32(message, 0)
        header = _field(message, table, 2)
        if header is None:
            return False
        batch = header + _u32(message, header)
        return _field(message, batch, 3) is not None
    except struct.error as error:
        raise Refusal(400, "the body is not an Arrow IPC stream: a message is cut short") from error


def _field(message: bytes, table: int, number: int) -> int | None:
    """Where a field of a table is; None if it is absent."""
    (back,) = struct.unpack_from("<i", message, table)
    listed = table - back
    (size,) = struct.unpack_from("<H", message, listed)
    at_place = 4 + 2 * number
    if at_place >= size:
        return None
    (offset,) = struct.unpack_from("<H", message, listed + at_place)
    return table + offset if offset else None


def _u32(message: bytes, place: int) -> int:
    (value,) = struct.unpack_from("<I", message, place)
    return int(value)
