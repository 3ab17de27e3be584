"""Protobuf: each message is one message of a declared type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noskew.errors import missing_extra
from noskew.kernel.conform import conform
from noskew.streaming.decoding.base import RowDecoder, first_line
from noskew.streaming.decoding.protobuf_types import ProtobufColumn, column_of
from noskew.types import Schema

try:
    from google.protobuf.message import DecodeError
    from google.protobuf.message_factory import GetMessageClass
except ImportError as error:
    raise missing_extra("protobuf", "protobuf", "the format protobuf") from error

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor


class ProtobufDecoder(RowDecoder):
    """Each message is a Protobuf message of the type ``written``, without a header.

    Columns are the fields of their names, or of those in ``names``; a column without one is null,
    other fields are ignored. A field that tells unset from its default (``optional``, a member of
    a ``oneof``, a message) is null when unset; another has its default then, which is 0 or empty.
    Timestamps are timestamps, wrappers what they wrap, enums their names, or their numbers in a
    column of integers; repeated fields are lists. Other messages and maps are no columns.

    Raises SchemaMismatchError for a type that can never be read as these columns.
    """

    faults = (DecodeError,)

    def __init__(
        self,
        schema: Schema,
        what: str,
        written: Descriptor,
        names: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(schema, what, names)
        self._parse = GetMessageClass(written).FromString
        fields = written.fields_by_name
        self._columns: list[tuple[str, ProtobufColumn | None]] = [
            (name, column_of(fields[theirs], schema[name], f"{what}, column {name!r}"))
            if theirs in fields
            else (name, None)
            for name, theirs in self._theirs.items()
        ]
        self._table([])

    def _why(self, error: Exception) -> str:
        return f"not a message of its type: {first_line(error)}"

    def _table(self, items: Sequence[Any]) -> pa.Table:
        arrays = [
            pa.nulls(len(items)) if column is None else column.array(items)
            for _, column in self._columns
        ]
        return conform(pa.table(arrays, names=list(self._schema)), self._schema, self._what)
