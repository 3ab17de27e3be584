"""Columns: what a table declares, what its files hold, and how one becomes the other."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.types as at

from noskew.errors import CorruptDataError, InvalidNameError, SchemaMismatchError, nearest
from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
    KNOWN_TIME,
    SEQUENCE,
    SYSTEM_COLUMNS,
    TableSpec,
)

_TABLE_NAME = re.compile(r"[a-z0-9_]{1,128}")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TIME = pa.timestamp("us", "UTC")
SYSTEM_FIELDS = (
    pa.field(EVENT_TIME, _TIME, nullable=False),
    pa.field(KNOWN_TIME, _TIME, nullable=False),
    pa.field(SEQUENCE, pa.int64(), nullable=False),
    pa.field(BUCKET, pa.int32(), nullable=False),
)
#: Types that Iceberg has too, and that come back from a file as they went in.
_SAME = frozenset(
    {
        *(pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64()),
        *(pa.string(), pa.binary(), pa.date32(), _TIME),
    }
)
#: Narrow integers are widened, since Iceberg has 32 and 64 bits only.
_WIDENED = {pa.int8(): pa.int32(), pa.int16(): pa.int32()}
_PROPERTIES = ("noskew.schema", "noskew.keys", "noskew.buckets")


def check_table_name(name: object) -> str:
    """Return ``name`` if it can name a table. Raises InvalidNameError."""
    if not isinstance(name, str) or not _TABLE_NAME.fullmatch(name):
        raise InvalidNameError(
            f"table name {str(name)[:80]!r}: use 1 to 128 lower-case letters, digits and "
            f"underscores"
        )
    return name


def check_spec(spec: TableSpec) -> None:
    """Raise InvalidNameError or SchemaMismatchError for a spec that cannot be a table."""
    check_table_name(spec.name)
    names = spec.schema.names
    for name in names:
        if not _COLUMN_NAME.fullmatch(name):
            raise InvalidNameError(f"table {spec.name!r}: {name[:80]!r} is not a column name")
    if len(set(names)) != len(names) or set(names) & set(SYSTEM_COLUMNS):
        raise SchemaMismatchError(
            f"table {spec.name!r}: column names must be unique and none of "
            f"{', '.join(SYSTEM_COLUMNS)}; got {names}"
        )
    if not spec.keys or len(set(spec.keys)) != len(spec.keys) or not set(spec.keys) <= set(names):
        raise SchemaMismatchError(
            f"table {spec.name!r}: keys must be distinct columns of the schema, at least one; "
            f"got {list(spec.keys)}; {nearest(next(iter(spec.keys), ''), names)}"
        )
    if isinstance(spec.buckets, bool) or not 1 <= spec.buckets <= 65_536:
        raise SchemaMismatchError(f"table {spec.name!r}: 1 to 65536 buckets, got {spec.buckets}")
    for field in spec.schema:
        stored = stored_type(field.type, spec.name, field.name)
        if field.name in spec.keys and at.is_list(stored):
            raise SchemaMismatchError(f"table {spec.name!r}: key {field.name!r} must be a scalar")


def stored_type(declared: pa.DataType, table: str, column: str) -> pa.DataType:
    """The type that a column has in Parquet; Iceberg knows each of them.

    int8 and int16 are widened to int32, and vectors become lists, so that any engine can read
    the files. Raises SchemaMismatchError for types that no table can have.
    """
    if declared in _SAME or at.is_decimal128(declared):
        return declared
    if declared in _WIDENED:
        return _WIDENED[declared]
    if at.is_fixed_size_binary(declared):
        return declared
    if at.is_list(declared) or at.is_fixed_size_list(declared):
        item = stored_type(declared.value_type, table, column)
        if not at.is_list(item):
            return pa.list_(pa.field("element", item))
    raise SchemaMismatchError(
        f"table {table!r}: column {column!r} of type {declared} cannot be kept; allowed are bool, "
        f"int8 to int64, float32, float64, string, binary, timestamp[us, UTC], date32, "
        f"decimal128, and lists or fixed-size lists of those"
    )


def lacks(stored: TableSpec, spec: TableSpec) -> list[pa.Field]:
    """The columns that would make ``stored`` be ``spec``, if they can be added; [] if they cannot.

    They can if rows may lack them, and everything else is the same.
    """
    missing = [field for field in spec.schema if field.name not in stored.schema.names]
    names = {field.name for field in missing}
    rest = pa.schema([field for field in spec.schema if field.name not in names])
    before = (stored.keys, stored.buckets, stored.schema.remove_metadata())
    if before != (spec.keys, spec.buckets, rest):
        return []
    return missing if all(field.nullable for field in missing) else []


def layout(spec: TableSpec) -> pa.Schema:
    """All columns in the order of the files: keys, system columns, values; declared types.

    Keys come first because readers find the statistics of keys and times by position.
    """
    keys = [spec.schema.field(name).with_nullable(False) for name in spec.keys]
    values = [field for field in spec.schema if field.name not in spec.keys]
    return pa.schema([*keys, *SYSTEM_FIELDS, *values])


def stored_schema(spec: TableSpec) -> pa.Schema:
    """:func:`layout` in the types of the files, without field ids."""
    return pa.schema(
        [pa.field(f.name, stored_type(f.type, spec.name, f.name), f.nullable) for f in layout(spec)]
    )


def with_field_ids(stored: pa.Schema, id_of: Callable[[str], int]) -> pa.Schema:
    """The stored schema with Iceberg's field ids, which go into every Parquet file.

    ``id_of`` gives the id of a column, or of the items of a list as ``"column.element"``.
    """
    fields = []
    for field in stored:
        kind = field.type
        if at.is_list(kind):
            element = kind.value_field.with_metadata(_id(id_of(f"{field.name}.element")))
            kind = pa.list_(element)
        fields.append(pa.field(field.name, kind, field.nullable, _id(id_of(field.name))))
    return pa.schema(fields)


def declared(table: pa.Table, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """The named columns of a stored table, in that order, in the types of ``schema``.

    A column that is not there is null: the file is older than the column.
    """
    fields = [schema.field(name).remove_metadata() for name in columns]
    arrays = []
    for field in fields:
        if field.name not in table.column_names:
            arrays.append(pa.chunked_array([pa.nulls(len(table), field.type)]))
            continue
        array = table.column(field.name)
        arrays.append(array if array.type == field.type else array.cast(field.type))
    if not fields:
        return table.select([])
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def conform_batch(batch: pa.RecordBatch, spec: TableSpec, expected: pa.Schema) -> pa.RecordBatch:
    """A batch from a caller, checked, in the order of ``expected`` (no sequence in it).

    Raises SchemaMismatchError: columns absent, foreign or twice, other types, nulls where none
    may be, or a bucket outside of the table's.
    """
    names = batch.schema.names
    if sorted(names) != sorted(expected.names):
        missing = sorted(set(expected.names) - set(names))
        foreign = sorted(set(names) - set(expected.names))
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SchemaMismatchError(
            f"append to {spec.name!r}: missing columns {missing}, unknown columns {foreign}, "
            f"columns given twice {twice}; expected {expected.names}"
        )
    arrays = []
    for field in expected:
        array = batch.column(field.name)
        if array.type != field.type:
            raise SchemaMismatchError(
                f"append to {spec.name!r}: column {field.name!r} must be {field.type}, got "
                f"{array.type}; cast it before"
            )
        if not field.nullable and array.null_count:
            raise SchemaMismatchError(
                f"append to {spec.name!r}: column {field.name!r} has {array.null_count} nulls, "
                f"but it must have none"
            )
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=expected)


def to_properties(spec: TableSpec) -> dict[str, str]:
    """The spec as Iceberg table properties; :func:`from_properties` gives it back exactly."""
    schema = base64.b64encode(spec.schema.serialize().to_pybytes()).decode()
    return dict(zip(_PROPERTIES, (schema, json.dumps(spec.keys), str(spec.buckets)), strict=True))


def from_properties(name: str, properties: Mapping[str, str]) -> TableSpec:
    """The spec of a table. Raises CorruptDataError for a table that noskew did not make."""
    try:
        schema, keys, buckets = (properties[key] for key in _PROPERTIES)
        arrow = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema)))
        return TableSpec(name, arrow, tuple(json.loads(keys)), int(buckets))
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise CorruptDataError(f"table {name!r} was not made by noskew: {error}") from error


def _id(number: int) -> dict[bytes | str, bytes | str]:
    return {b"PARQUET:field_id": str(number).encode()}
