"""Protobuf's types as Arrow's: what a field becomes before it is conformed to its column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noskew.errors import SchemaMismatchError
from noskew.streaming.decoding.base import first_line
from noskew.types import DType

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

_TIMESTAMP = "google.protobuf.Timestamp"
#: Seconds of the years 1 to 9999, which is what a Timestamp may hold.
_SECONDS = range(-62_135_596_800, 253_402_300_800)
#: By the number of the type in a descriptor: all but messages and enums.
_PLAIN = {
    1: pa.float64(),
    2: pa.float32(),
    3: pa.int64(),
    4: pa.uint64(),
    5: pa.int32(),
    6: pa.uint64(),
    7: pa.uint32(),
    8: pa.bool_(),
    9: pa.string(),
    12: pa.binary(),
    13: pa.uint32(),
    15: pa.int32(),
    16: pa.int64(),
    17: pa.int32(),
    18: pa.int64(),
}
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)


@dataclass(frozen=True)
class ProtobufColumn:
    """A field: the Arrow type of its values, and how to get them out of messages.

    ``convert`` makes what Arrow takes of a value (None: it is that already).
    """

    name: str
    what: str
    arrow: pa.DataType
    convert: Callable[[Any], Any] | None
    is_list: bool
    may_be_unset: bool
    #: An embedding is never empty, so none of one is none.
    is_null_if_empty: bool

    def array(self, messages: Sequence[Any]) -> pa.Array:
        """The values of the field. Raises SchemaMismatchError for those that have no place."""
        try:
            kind = pa.list_(self.arrow) if self.is_list else self.arrow
            return pa.array(self._values(messages), kind)
        # A text that is not UTF-8 is found when a string is made of it.
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise SchemaMismatchError(f"{self.what}: {first_line(error)}") from error

    def _values(self, messages: Sequence[Any]) -> list[Any]:
        name, convert = self.name, self.convert
        if self.is_list:
            lists = [
                list(map(convert, v)) if convert else list(v)
                for v in map(attrgetter(name), messages)
            ]
            return [v or None for v in lists] if self.is_null_if_empty else lists
        if self.may_be_unset:
            values = [getattr(m, name) if m.HasField(name) else None for m in messages]
            return [None if v is None else convert(v) for v in values] if convert else values
        values = list(map(attrgetter(name), messages))
        return list(map(convert, values)) if convert else values


def column_of(field: FieldDescriptor, kind: DType, what: str) -> ProtobufColumn:
    """How the values of a field become a column of a type.

    Raises SchemaMismatchError for fields that are none: maps, and messages other than timestamps
    and wrappers.
    """
    arrow, convert = _scalar(field, kind, what)
    return ProtobufColumn(
        field.name,
        what,
        arrow,
        convert,
        field.is_repeated,
        field.has_presence,
        is_null_if_empty=kind.kind == "vector",
    )


def _scalar(
    field: FieldDescriptor, kind: DType, what: str
) -> tuple[pa.DataType, Callable[[Any], Any] | None]:
    if field.type in _PLAIN:
        return _PLAIN[field.type], None
    if field.enum_type is not None:
        if (kind.item or kind).is_integer:
            return pa.int32(), None
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return pa.string(), _Names(field.enum_type.full_name, names)
    given = field.message_type
    assert given is not None
    if given.full_name == _TIMESTAMP:
        return pa.timestamp("us", "UTC"), _micros
    if given.full_name in _WRAPPERS:
        return _PLAIN[given.fields_by_name["value"].type], attrgetter("value")
    name = "map" if given.GetOptions().map_entry else given.full_name
    raise SchemaMismatchError(f"{what}: a Protobuf {name} is no column")


@dataclass(frozen=True)
class _Names:
    """Numbers of an enum to their names."""

    enum: str
    names: dict[int, str]

    def __call__(self, number: int) -> str:
        if number not in self.names:
            raise ValueError(f"{number} is no value of the enum {self.enum} that is known here")
        return self.names[number]


def _micros(moment: Any) -> int:
    """A Timestamp in microseconds; nanoseconds are cut off, towards 1970, as elsewhere."""
    seconds, nanos = moment.seconds, moment.nanos
    if seconds not in _SECONDS or not 0 <= nanos < 1_000_000_000:
        raise ValueError(f"{seconds} s and {nanos} ns are no Timestamp of the years 1 to 9999")
    micros, rest = divmod(nanos, 1_000)
    return int(seconds * 1_000_000 + micros + (seconds < 0 and rest > 0))
