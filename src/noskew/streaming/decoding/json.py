"""JSON: each message is one object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.errors import SchemaMismatchError
from noskew.json_types import check_decimals, flat, json_type
from noskew.kernel.conform import conform, conform_column
from noskew.streaming.decoding.base import DecodedMessages, RowDecoder, first_line
from noskew.types import DType, Schema

#: How deep arrays and objects may lie in each other. How deep the parser can go depends on how
#: much of the stack its callers have left; this is far less, and the same for all of them.
MOST_LEVELS = 200

_UTC = pa.timestamp("us", "UTC")
#: How times are written.
_TIME, _TIME_OF_UNIT = str | int, str | int | float
#: What JSON escapes in a name.
_ESCAPED = re.compile(r'[\\"\x00-\x1f]')
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class JsonDecoder(RowDecoder):
    """Each message is one JSON object, with a field for each column of the schema.

    An absent field and ``null`` are null; fields that the schema does not have are ignored.
    Timestamps are ISO 8601 strings with an offset or ``Z``, or numbers: of the unit that the
    schema says, and of integers of µs since the epoch where it says none. Dates are
    ``YYYY-MM-DD``; bytes are base64; decimals are strings or numbers, taken exactly. ``names``:
    the fields of columns that are called otherwise in messages.
    """

    # The parser leaves a text that is not UTF-8 to whoever makes a string of it.
    faults = (msgspec.MsgspecError, UnicodeDecodeError)

    def __init__(self, schema: Schema, what: str, names: Mapping[str, str] | None = None) -> None:
        super().__init__(schema, what, names)
        # Numbered, since a column may have a name that no field can have; null is the default.
        fields = [
            (
                f"c{i}",
                json_type(kind, _TIME_OF_UNIT if name in schema.units else _TIME) | None,
                None,
            )
            for i, (name, kind) in enumerate(schema.items())
        ]
        rename = {f"c{i}": self._theirs[name] for i, name in enumerate(schema)}
        try:
            record = msgspec.defstruct("Record", fields, rename=rename, gc=False)
        except ValueError as error:
            odd = [name for name in rename.values() if _ESCAPED.search(name)]
            raise SchemaMismatchError(
                f"{what}: names of JSON fields with quotes, backslashes or control characters "
                f"cannot be read: {odd}"
            ) from error
        self._parse = msgspec.json.Decoder(record).decode
        self._values = [attrgetter(field[0]) for field in fields]

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages:
        deep = _too_deep(payloads)
        if not deep:
            return super().__call__(payloads)
        is_deep = np.isin(np.arange(len(payloads)), deep)
        decoded = super().__call__(pc.if_else(pa.array(is_deep), None, payloads))
        why = f"{self._what}: nested more than {MOST_LEVELS} levels deep"
        return replace(decoded, bad={**decoded.bad, **dict.fromkeys(deep, why)})

    def _why(self, error: Exception) -> str:
        """The message with columns by their own names (records number them)."""
        text = first_line(error)
        for i, name in enumerate(self._theirs.values()):
            text = text.replace(f"$.c{i}`", f"$.{name}`")
        return text

    def _table(self, items: Sequence[Any]) -> pa.Table:
        columns = [
            self._column(name, list(map(values, items)))
            for values, name in zip(self._values, self._schema, strict=True)
        ]
        return conform(
            pa.table(dict(zip(self._schema, columns, strict=True))), self._schema, self._what
        )

    def _column(self, name: str, items: list[Any]) -> pa.Array:
        what, unit = f"{self._what}, column {name!r}", self._schema.units.get(name)
        if unit is None:
            return _column(items, self._schema[name], what)
        return _moments_of_unit(items, what, unit)


def _too_deep(payloads: pa.LargeBinaryArray) -> list[int]:
    """The messages (by position) that are nested more than MOST_LEVELS deep."""
    # Each level is opened and closed, so most messages are too short to be looked at.
    long = pc.fill_null(pc.greater(pc.binary_length(payloads), 2 * MOST_LEVELS), False)
    if not pc.any(long).as_py():
        return []
    return [n for n in np.flatnonzero(long).tolist() if _levels(payloads[n].as_py()) > MOST_LEVELS]


def _levels(text: bytes) -> int:
    """How deep a text is nested, at most; the parser says whether it is one at all."""
    if text.count(b"[") + text.count(b"{") <= MOST_LEVELS:
        return 0
    level = most = 0
    for byte in _TEXTS.sub(b"", text):
        level += (byte in b"[{") - (byte in b"]}")
        most = max(most, level)
    return most


def _column(items: list[Any], kind: DType, what: str) -> pa.Array:
    """Decoded items as an Arrow array that :func:`conform` takes on to the declared type."""
    scalar = (kind.item or kind).kind
    try:
        if scalar == "timestamp":
            return _times(items, kind, what)
        if scalar == "decimal":
            check_decimals(items if kind.item is None else flat(items))
        return pa.array(items, kind.to_arrow())
    except (pa.ArrowException, OverflowError, ValueError) as error:
        if isinstance(error, SchemaMismatchError):
            raise
        raise SchemaMismatchError(f"{what}: expected {kind}: {first_line(error)}") from error


def _times(items: list[Any], kind: DType, what: str) -> pa.Array:
    if kind.item is None:
        return _moments(items, what)
    moments = _moments(flat(items), what).to_pylist()
    lengths = [0 if i is None else len(i) for i in items]
    ends = np.cumsum(lengths).tolist()
    lists = [
        None if i is None else moments[end - n : end]
        for i, n, end in zip(items, lengths, ends, strict=True)
    ]
    return pa.array(lists, kind.to_arrow())


def _moments(items: list[str | int | None], what: str) -> pa.Array:
    """Texts and numbers may be mixed; each is read as it would be alone."""
    kinds = set(map(type, items))
    if str not in kinds:
        return pa.array(items, pa.int64()).cast(_UTC)
    texts = items if int not in kinds else [i if isinstance(i, str) else None for i in items]
    column = pa.chunked_array([pa.array(texts, pa.string())])
    read = conform_column(column, DType("timestamp"), what).combine_chunks()
    if int not in kinds:
        return read
    micros = pa.array([i if isinstance(i, int) else None for i in items], pa.int64())
    return pc.coalesce(micros.cast(_UTC), read)


def _moments_of_unit(items: list[str | int | float | None], what: str, unit: str) -> pa.Array:
    """Texts, and numbers of a unit: whole ones."""
    texts = pa.chunked_array([pa.array([i if isinstance(i, str) else None for i in items])])
    try:
        numbers = [None if isinstance(i, str) else i for i in items]
        whole = pa.chunked_array([pa.array(map(_whole, numbers), pa.int64())])
    except (OverflowError, ValueError) as error:
        raise SchemaMismatchError(f"{what}: expected timestamp[{unit}]: {error}") from error
    kind = DType("timestamp")
    read = [conform_column(column, kind, what, unit) for column in (whole, texts)]
    return pc.coalesce(*read).combine_chunks()


def _whole(number: float | None) -> int | None:
    if isinstance(number, float) and not number.is_integer():
        raise ValueError(f"{number} is no whole number")
    return None if number is None else int(number)
