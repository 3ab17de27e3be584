"""Types where Arrow tables enter Spark, and where they leave it.

Every type of noskew goes through bit for bit: integers from 8 bits on, floats with the payload of
their NaN, times of any year in microseconds. Two have to be told again on the way back: Spark has
no fixed-size lists, and gives its timestamps the time zone of the session (the instant is what
counts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as at

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType


def enter(table: pa.Table) -> pa.Table:
    """The table in types that Spark has."""
    return _mapped(table, pa.schema([f.with_type(_entered(f.type)) for f in table.schema]), _listed)


def leave(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema``, in its order and types, of a table that :func:`enter` gave."""
    return _mapped(table.select(schema.names), schema, _left)


def struct_of(schema: pa.Schema) -> StructType:
    """The columns of :func:`enter` of a table, as Spark declares them."""
    from pyspark.sql.types import StructType

    struct = StructType()
    for field in schema:
        struct = struct.add(field.name, _declared(_entered(field.type)))
    return struct


def appended(struct: StructType, more: StructType) -> StructType:
    """The columns of ``struct``, and then those of ``more``."""
    from pyspark.sql.types import StructType

    return StructType(struct.fields + more.fields)


def _entered(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if at.is_fixed_size_list(kind) else kind


def _mapped(
    table: pa.Table, schema: pa.Schema, convert: Callable[[pa.Array, pa.DataType], pa.Array]
) -> pa.Table:
    """The table with every column that is not of its type in ``schema`` converted."""
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        if column.type == field.type:
            columns.append(column)
        else:
            chunks = [convert(chunk, field.type) for chunk in column.chunks]
            columns.append(pa.chunked_array(chunks, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


# By hand, since casts of pyarrow 26 between lists and fixed-size lists with nulls read memory that
# is not theirs.


def _listed(vectors: pa.Array, kind: pa.DataType) -> pa.Array:
    """Vectors as lists."""
    valid = np.asarray(vectors.is_valid())
    ends = np.append(0, np.cumsum(valid)) * vectors.type.list_size
    items = vectors.flatten()  # without those of nulls
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), items, type=kind, mask=pa.array(~valid)
    )


def _left(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as what it was: lists as vectors, a time in its own zone."""
    if not at.is_fixed_size_list(kind):
        return column.cast(kind)
    valid = np.asarray(column.is_valid())
    # Of a null, nothing is looked at: any items do.
    first = np.where(valid, np.cumsum(valid) - 1, 0)[:, np.newaxis] * kind.list_size
    place = (first + np.arange(kind.list_size)).reshape(-1)
    items = column.drop_null().flatten()
    if len(items) == 0:
        return pa.nulls(len(column), kind)
    items = items.take(pa.array(place)).cast(kind.value_type)
    return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=pa.array(~valid))


def _declared(kind: pa.DataType) -> DataType:
    from pyspark.sql import types

    if at.is_list(kind):
        return types.ArrayType(_declared(kind.value_type))
    if at.is_decimal(kind):
        return types.DecimalType(kind.precision, kind.scale)
    plain: dict[pa.DataType, Any] = {
        pa.bool_(): types.BooleanType,
        pa.int8(): types.ByteType,
        pa.int16(): types.ShortType,
        pa.int32(): types.IntegerType,
        pa.int64(): types.LongType,
        pa.float32(): types.FloatType,
        pa.float64(): types.DoubleType,
        pa.string(): types.StringType,
        pa.binary(): types.BinaryType,
        pa.date32(): types.DateType,
        pa.timestamp("us", "UTC"): types.TimestampType,
    }
    declared: DataType = plain[kind]()
    return declared
