"""Avro: each message is one record, in the binary encoding of the schema it was written with."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from operator import itemgetter
from typing import Any

import pyarrow as pa

from noskew.errors import SchemaMismatchError, missing_extra
from noskew.kernel.conform import conform
from noskew.streaming.decoding.avro_types import AvroColumn, column_of, resolved
from noskew.streaming.decoding.base import RowDecoder, first_line
from noskew.streaming.decoding.schemas import WrittenSchema
from noskew.types import Schema

try:
    from fastavro import parse_schema, schemaless_reader
    from fastavro.schema import SchemaParseException, UnknownType
except ImportError as error:
    raise missing_extra("fastavro", "avro", "the format avro") from error

#: What does not matter to a reader. Registries hold schemas whose defaults do not fit.
_IDLE = frozenset({"default", "doc", "aliases"})
_INVALID = (
    SchemaParseException,
    UnknownType,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


class AvroDecoder(RowDecoder):
    """Each message is an Avro record, without a header; ``written``: its schema.

    Columns are the record's fields of their names, or of those in ``names``; a column without one
    is null, other fields are ignored. Logical types are what they mean: timestamps, dates,
    decimals, UUIDs (as strings); enums are strings. A field of several types, a record or a map is
    no column.

    Raises SchemaMismatchError for a schema that cannot be read, or never as these columns.
    """

    # What damaged bytes make of the library's reader.
    faults = (
        EOFError,
        LookupError,
        ValueError,
        ArithmeticError,
        TypeError,
        MemoryError,
        struct.error,
    )

    def __init__(
        self,
        schema: Schema,
        what: str,
        written: WrittenSchema,
        names: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(schema, what, names)
        record, named = _parsed(written, what, _IDLE)
        _check_size(record, named, what)
        # Read as plain numbers and bytes: Arrow makes columns of those, exactly and at once.
        self._reader, _ = _parsed(written, what, _IDLE | {"logicalType"})
        fields = {field["name"]: field["type"] for field in record["fields"]}
        self._columns: list[tuple[str, AvroColumn | None]] = [
            (theirs, column_of(fields[theirs], named, f"{what}, column {name!r}"))
            if theirs in fields
            else (theirs, None)
            for name, theirs in self._theirs.items()
        ]
        self._table([])

    def _parse(self, text: bytes) -> Any:
        stream = BytesIO(text)
        item = schemaless_reader(stream, self._reader, None)
        if stream.tell() != len(text):
            raise ValueError(f"{len(text) - stream.tell()} bytes follow the record")
        return item

    def _why(self, error: Exception) -> str:
        if isinstance(error, EOFError | struct.error):
            return "the record is truncated"
        return f"not a record of its schema: {first_line(error)}"

    def _table(self, items: Sequence[Any]) -> pa.Table:
        arrays = [
            pa.nulls(len(items))
            if column is None
            else column.array(list(map(itemgetter(name), items)), f"{self._what}, column {name!r}")
            for name, column in self._columns
        ]
        return conform(pa.table(arrays, names=list(self._schema)), self._schema, self._what)


def _parsed(
    written: WrittenSchema, what: str, without: frozenset[str]
) -> tuple[Any, dict[str, Any]]:
    """The record, and the types it names, both without some attributes."""
    named: dict[str, Any] = {}
    try:
        for text in _texts(written):
            record = parse_schema(_stripped(json.loads(text), without), named)
    except _INVALID as error:
        raise SchemaMismatchError(
            f"{what}: the schema it was written with is no Avro schema: {first_line(error)}"
        ) from error
    record = named.get(record, record) if isinstance(record, str) else record
    if not isinstance(record, dict) or record.get("type") != "record":
        raise SchemaMismatchError(f"{what}: it was not written as an Avro record: {record!r:.60}")
    return record, named


def _texts(written: WrittenSchema) -> Iterator[str]:
    """A schema after those that it speaks of, each once."""
    texts: dict[str, None] = {}
    for reference in written.references.values():
        texts |= dict.fromkeys(_texts(reference))
    yield from [*texts, written.text]


def _stripped(node: Any, without: frozenset[str]) -> Any:
    if isinstance(node, dict):
        return {k: _stripped(v, without) for k, v in node.items() if k not in without}
    return [_stripped(v, without) for v in node] if isinstance(node, list) else node


def _check_size(record: Any, named: Mapping[str, Any], what: str) -> None:
    """Refuse what a few bytes can blow up: a type within itself, and lists of nothing.

    The library follows the first without a limit, until the stack is gone and the process with
    it, and makes of the second as many items as a damaged count says.
    """
    least: dict[int, int] = {}
    above: set[int] = set()

    def size(given: Any) -> int:
        """The least bytes that a value of a type takes: 0, or 1 for any more."""
        kind = resolved(given, named)
        if id(kind) in above:
            raise SchemaMismatchError(f"{what}: an Avro type that contains itself is not supported")
        if id(kind) not in least:
            above.add(id(kind))
            least[id(kind)] = _least(kind, size, what)
            above.remove(id(kind))
        return least[id(kind)]

    size(record)


def _least(kind: Any, size: Any, what: str) -> int:
    if isinstance(kind, list):
        for branch in kind:
            size(branch)
        return 1
    if not isinstance(kind, dict):
        return int(kind != "null")
    if kind["type"] in ("array", "map"):
        if size(kind.get("items", kind.get("values"))) == 0 and kind["type"] == "array":
            raise SchemaMismatchError(f"{what}: an Avro array of empty items is not supported")
        return 1
    if kind["type"] in ("record", "error"):
        return max([size(field["type"]) for field in kind["fields"]], default=0)
    if kind["type"] == "fixed":
        return min(int(kind["size"]), 1)
    return int(kind["type"] != "null")
