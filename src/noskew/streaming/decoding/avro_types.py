"""Avro's types as Arrow's: what a field becomes before it is conformed to its column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from noskew.errors import SchemaMismatchError
from noskew.streaming.decoding.base import first_line

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
#: Bytes of a decimal at most. 38 digits fit into 16; some writers fill up with their sign.
_MOST_BYTES = 64
_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
#: By the type and its logical type. One that is not here is what it is without, as Avro says.
_LOGICAL = {
    ("int", "date"): pa.date32(),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    # No zone is UTC.
    ("long", "local-timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "local-timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns", "UTC"),
}
#: Types of a union that are one column: the narrower is widened.
_WIDER = {
    frozenset({pa.int32(), pa.int64()}): pa.int64(),
    frozenset({pa.float32(), pa.float64()}): pa.float64(),
}


@dataclass(frozen=True)
class AvroColumn:
    """A field: the Arrow type of its values.

    ``convert`` makes what Arrow takes of a value that is not null (None: it is that already);
    ``is_list``: values are lists of such.
    """

    arrow: pa.DataType
    convert: Callable[[Any], Any] | None = None
    is_list: bool = False

    def array(self, values: list[Any], what: str) -> pa.Array:
        """Decoded values as a column. Raises SchemaMismatchError for those that have no place."""
        try:
            if self.convert is not None:
                values = [None if v is None else self._converted(v) for v in values]
            column = pa.array(values, pa.list_(self.arrow) if self.is_list else self.arrow)
            return _micros(column) if self.is_list else column
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise SchemaMismatchError(f"{what}: {first_line(error)}") from error

    def _converted(self, value: Any) -> Any:
        assert self.convert is not None
        if self.is_list:
            return [None if v is None else self.convert(v) for v in value]
        return self.convert(value)


def column_of(kind: Any, named: Mapping[str, Any], what: str) -> AvroColumn:
    """How the values of a parsed Avro type become a column.

    Raises SchemaMismatchError for types that are none: records, maps, lists of lists, and unions
    of several types other than null.
    """
    kind = resolved(kind, named)
    if isinstance(kind, list):
        return _united([column_of(k, named, what) for k in kind if k != "null"], kind, what)
    options = kind if isinstance(kind, dict) else {"type": kind}
    plain, logical = options["type"], str(options.get("logicalType"))
    if plain == "array":
        item = column_of(options["items"], named, what)
        if item.is_list:
            raise SchemaMismatchError(f"{what}: an Avro array of arrays is no column")
        return AvroColumn(item.arrow, item.convert, is_list=True)
    if logical == "decimal" and plain in ("bytes", "fixed"):
        return _decimal(options, what)
    if logical == "uuid" and plain == "fixed" and options["size"] == 16:
        return AvroColumn(pa.string(), _uuid)
    if plain not in _PLAIN:
        raise SchemaMismatchError(f"{what}: an Avro {plain} is no column")
    return AvroColumn(_LOGICAL.get((plain, logical), _PLAIN[plain]))


def resolved(kind: Any, named: Mapping[str, Any]) -> Any:
    """A type itself, where it is given by its name or as the type of another."""
    while True:
        if isinstance(kind, str) and kind in named:
            kind = named[kind]
        elif isinstance(kind, dict) and not isinstance(kind["type"], str):
            kind = kind["type"]
        else:
            return kind


def _united(branches: list[AvroColumn], kind: Any, what: str) -> AvroColumn:
    distinct = list(dict.fromkeys(branches))
    if not distinct:
        return AvroColumn(pa.null())
    if len(distinct) == 1:
        return distinct[0]
    wider = _WIDER.get(frozenset(b.arrow for b in distinct))
    if wider is None or any(b.convert or b.is_list for b in distinct):
        names = ", ".join(_name(k) for k in kind)
        raise SchemaMismatchError(f"{what}: an Avro union of several types is no column: {names}")
    return AvroColumn(wider)


def _name(kind: Any) -> str:
    return str(kind.get("logicalType", kind["type"])) if isinstance(kind, dict) else str(kind)


def _decimal(options: Mapping[str, Any], what: str) -> AvroColumn:
    precision, scale = options.get("precision"), options.get("scale", 0)
    if not (
        isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= 38
    ):
        raise SchemaMismatchError(f"{what}: an Avro decimal of {precision} digits is no column")
    return AvroColumn(pa.decimal128(38, scale), _Decimal(scale))


def _uuid(value: bytes) -> str:
    return str(UUID(bytes=value))


@dataclass(frozen=True)
class _Decimal:
    """Bytes, the greatest first, to the decimal they are with a scale."""

    scale: int

    def __call__(self, value: bytes) -> Decimal:
        if not 1 <= len(value) <= _MOST_BYTES:
            raise ValueError(f"a decimal of {len(value)} bytes")
        number = Decimal(int.from_bytes(value, "big", signed=True))
        return number.scaleb(-self.scale, _EXACT)


def _micros(column: pa.Array) -> pa.Array:
    """A list of times in microseconds; nanoseconds are cut off, as elsewhere."""
    unit = getattr(column.type.value_type, "unit", "us")
    if not pa.types.is_timestamp(column.type.value_type) or unit == "us":
        return column
    return column.cast(pa.list_(pa.timestamp("us", "UTC")), safe=unit != "ns")
