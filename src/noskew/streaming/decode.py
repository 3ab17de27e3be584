"""Decode: from the messages of a log to rows of a source's schema, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import ConfigError, SchemaMismatchError, nearest
from noskew.kernel.conform import conform, conform_column
from noskew.streaming.salvage import salvage
from noskew.types import DType, Schema

_UTC = pa.timestamp("us", "UTC")
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


@dataclass(frozen=True)
class Decoded:
    """Rows in the order of their messages.

    Attributes
    ----------
    rows
        A table of the source's schema.
    message
        int64, shape (rows,), ascending: the message (by position in the batch) of each row.
    place
        int64, shape (rows,): which row of its message it is, from 0.
    bad
        For each message (by position) that could not be read, why. None of its rows is there.
    """

    rows: pa.Table
    message: NDArray[np.int64]
    place: NDArray[np.int64]
    bad: Mapping[int, str] = field(default_factory=dict)


class Decoder(Protocol):
    """Reads messages of one format. Which message is bad does not depend on the others."""

    def __call__(self, payloads: pa.LargeBinaryArray) -> Decoded: ...


class JsonDecoder:
    """Each message is one JSON object, with a field for each column of the schema.

    An absent field and ``null`` are null; fields that the schema does not have are ignored.
    Timestamps are ISO 8601 strings with an offset or ``Z``, or integers (µs since the epoch);
    dates ``YYYY-MM-DD``; bytes are base64; decimals are strings or numbers, taken exactly.
    """

    def __init__(self, schema: Schema, what: str) -> None:
        self._schema, self._what = schema, what
        # Numbered, since a column may have a name that no field can have; null is the default.
        fields = [
            (f"c{i}", _json_type(kind) | None, None) for i, kind in enumerate(schema.values())
        ]
        rename = {f"c{i}": name for i, name in enumerate(schema)}
        self._record = msgspec.defstruct("Record", fields, rename=rename, gc=False)
        self._decode = msgspec.json.Decoder(self._record).decode

    def __call__(self, payloads: pa.LargeBinaryArray) -> Decoded:
        texts = payloads.to_pylist()
        bad: dict[int, str] = {}
        try:
            records = list(map(self._decode, texts))
            message = np.arange(len(records))
        except (msgspec.MsgspecError, TypeError):
            records, message = self._one_by_one(texts, bad)
        done = salvage(lambda start, end: self._table(records[start:end]), len(records))
        bad |= {int(message[row]): why for row, why in done.bad.items()}
        message = np.delete(message, list(done.bad))
        tables = [table for _, _, table in done.parts]
        rows = pa.concat_tables(tables) if tables else self._schema.arrow.empty_table()
        return Decoded(rows, message, np.zeros(len(rows), np.int64), bad)

    def _one_by_one(
        self, texts: Sequence[bytes | None], bad: dict[int, str]
    ) -> tuple[list[Any], NDArray[np.int64]]:
        records, message = [], []
        for number, text in enumerate(texts):
            if text is None:
                bad[number] = f"{self._what}: a message without content"
                continue
            try:
                records.append(self._decode(text))
                message.append(number)
            except msgspec.MsgspecError as error:
                bad[number] = f"{self._what}: {_readable(error, self._schema)}"
        return records, np.array(message, np.int64)

    def _table(self, records: Sequence[Any]) -> pa.Table:
        columns = [
            _column([getattr(r, f"c{i}") for r in records], kind, f"{self._what}, column {name!r}")
            for i, (name, kind) in enumerate(self._schema.items())
        ]
        return conform(pa.table(dict(zip(self._schema, columns, strict=True))),
                       self._schema, self._what)  # fmt: skip


class ArrowDecoder:
    """Each message is an Arrow IPC stream: any number of rows, with the schema's columns."""

    def __init__(self, schema: Schema, what: str) -> None:
        self._schema, self._what = schema, what

    def __call__(self, payloads: pa.LargeBinaryArray) -> Decoded:
        tables, bad, numbers = [], {}, []
        for number, payload in enumerate(payloads):
            try:
                tables.append(self._read(payload))
                numbers.append(number)
            except SchemaMismatchError as error:
                bad[number] = str(error)
        sizes = np.array([len(t) for t in tables], np.int64)
        rows = pa.concat_tables(tables) if tables else self._schema.arrow.empty_table()
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        message = np.repeat(np.array(numbers, np.int64), sizes)
        return Decoded(rows, message, np.arange(len(rows)) - starts, bad)

    def _read(self, payload: pa.LargeBinaryScalar) -> pa.Table:
        try:
            held = payload.as_buffer()
            if held is None:
                raise SchemaMismatchError(f"{self._what}: a message without content")
            with pa.ipc.open_stream(held) as reader:
                table = reader.read_all()
            table.validate(full=True)
            return conform(table, self._schema, self._what)
        except SchemaMismatchError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:  # names may not be UTF-8
            raise SchemaMismatchError(
                f"{self._what}: not an Arrow IPC stream: {str(error).splitlines()[0]}"
            ) from error


_FORMATS: Mapping[str, type[JsonDecoder | ArrowDecoder]] = {
    "json": JsonDecoder,
    "arrow": ArrowDecoder,
}


def decoder(name: str, schema: Schema, what: str) -> Decoder:
    """The decoder of a format. Raises ConfigError for a name that is none."""
    if name not in _FORMATS:
        raise ConfigError(f"{what}: unknown format {name!r}; {nearest(name, _FORMATS)}")
    return _FORMATS[name](schema, what)


def _json_type(kind: DType) -> Any:
    if kind.kind == "vector":
        assert kind.item is not None
        size = msgspec.Meta(min_length=kind.size, max_length=kind.size)
        return Annotated[list[_json_type(kind.item)], size]  # type: ignore[misc]
    if kind.item is not None:
        return list[_json_type(kind.item) | None]  # type: ignore[misc]
    if kind.is_integer:
        top = 1 << (_BITS[kind.kind] - 1)
        return Annotated[int, msgspec.Meta(ge=-top, le=top - 1)]
    if kind.is_float:
        return float
    return {
        "bool": bool, "string": str, "bytes": bytes, "timestamp": str | int,
        "date": date, "decimal": Decimal,
    }[kind.kind]  # fmt: skip


def _column(items: list[Any], kind: DType, what: str) -> pa.Array:
    """Decoded items as an Arrow array that :func:`conform` takes on to the declared type."""
    if (kind.item or kind).kind == "timestamp":
        return _times(items, kind, what)
    try:
        return pa.array(items, kind.to_arrow())
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise SchemaMismatchError(
            f"{what}: expected {kind}: {str(error).splitlines()[0]}"
        ) from error


def _times(items: list[Any], kind: DType, what: str) -> pa.Array:
    if kind.item is None:
        return _moments(items, what)
    flat = _moments([x for i in items if i is not None for x in i], what).to_pylist()
    lengths = [0 if i is None else len(i) for i in items]
    ends = np.cumsum(lengths).tolist()
    lists = [
        None if i is None else flat[end - n : end]
        for i, n, end in zip(items, lengths, ends, strict=True)
    ]
    return pa.array(lists, kind.to_arrow())


def _moments(items: Sequence[str | int | None], what: str) -> pa.Array:
    """Texts and numbers may be mixed; each is read as it would be alone."""
    numbers = np.fromiter((isinstance(i, int) for i in items), bool, len(items))
    texts = pa.array(items if not numbers.any() else
                     [None if isinstance(i, int) else i for i in items], pa.string())  # fmt: skip
    read = conform_column(pa.chunked_array([texts]), DType("timestamp"), what)
    if not numbers.any():
        return read.combine_chunks()
    micros = pa.array([i if isinstance(i, int) else None for i in items], pa.int64())
    return pa.compute.coalesce(micros.cast(_UTC), read.combine_chunks())


def _readable(error: Exception, schema: Schema) -> str:
    """The message with columns by their own names (records number them)."""
    text = str(error)
    for i, name in enumerate(schema):
        text = text.replace(f"$.c{i}`", f"$.{name}`")
    return text
