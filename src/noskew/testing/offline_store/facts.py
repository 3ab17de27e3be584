"""Facts for tests of offline stores, and their values as what they are to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
    KNOWN_TIME,
    TableSpec,
)

TIME = pa.timestamp("us", "UTC")
BUCKETS = 4
MAX = 2**63 - 1

#: Values per type, each of them to come back bit for bit.
VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False, None]),
    "int8": (pa.int8(), [-128, 127, 0, None]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), [-MAX - 1, MAX, 2**53 + 1, None]),
    "float32": (pa.float32(), [0.0, -0.0, float("nan"), float("inf"), 1e-45, None]),
    "float64": (pa.float64(), [0.0, -0.0, float("nan"), float("-inf"), 5e-324, 0.1, None]),
    "string": (pa.string(), ["", "a", "ü\U0001f600", "nul\x00inside", "x" * 5000, None]),
    "binary": (pa.binary(), [b"", b"\x00\xff", b"y" * 5000, None]),
    "fixed": (pa.binary(3), [b"\x00\x00\x00", b"\xff\x00z", None]),
    "timestamp": (TIME, [0, -1, 253_402_300_799_999_999, -62_135_596_800_000_000, None]),
    "date": (pa.date32(), [date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), None]),
    "decimal": (pa.decimal128(38, 9), [Decimal("0.000000001"), Decimal("-1e28"), None]),
    "decimal_small": (pa.decimal128(5, 2), [Decimal("999.99"), Decimal("-0.01"), None]),
    "list_int8": (pa.list_(pa.int8()), [[], [1, None, -128], None]),
    "list_float": (pa.list_(pa.float64()), [[-0.0, float("nan")], [], [None], None]),
    "list_string": (pa.list_(pa.string()), [["", None, "b"], [], None]),
    "list_time": (pa.list_(TIME), [[0, None], None]),
    "vector": (pa.list_(pa.float32(), 3), [[1.0, -0.0, float("nan")], [0.0, 0.5, 2.0], None]),
    "vector_int16": (pa.list_(pa.int16(), 2), [[1, -(2**15)], None, [0, 0]]),
}


def facts(
    rows: Iterable[Sequence[Any]],
    *,
    schema: pa.Schema | None = None,
    known: int = 1_000,
    buckets: int = BUCKETS,
) -> pa.RecordBatch:
    """A batch from rows of (key, event time, value...), the key's bucket being key % buckets."""
    rows = list(rows)
    schema = schema or schema_of(k=pa.int64(), v=pa.float64())
    names = [name for name in schema.names if name != "k"]
    columns: dict[str, pa.Array[Any]] = {
        "k": pa.array([row[0] for row in rows], pa.int64()),
        EVENT_TIME: pa.array([row[1] for row in rows], TIME),
        KNOWN_TIME: pa.array([known] * len(rows), TIME),
        BUCKET: pa.array([row[0] % buckets for row in rows], pa.int32()),
    }
    for number, name in enumerate(names):
        values = [row[2 + number] for row in rows]
        columns[name] = pa.array(values, schema.field(name).type)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def simple(name: str = "facts") -> TableSpec:
    """A table of one integer key and one float."""
    return TableSpec(name, schema_of(k=pa.int64(), v=pa.float64()), ("k",), BUCKETS)


def listed(values: Any) -> list[Any]:
    """An Arrow array as Python values."""
    result: list[Any] = values.to_pylist()
    return result


def schema_of(**columns: pa.DataType) -> pa.Schema:
    """Columns by name."""
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


def bits(table: pa.Table) -> list[tuple[str, Any]]:
    """The logical content as comparable values: floats as their hexadecimal form."""
    return [(name, bits_of(listed(table.column(name)))) for name in table.column_names]


def bits_of(value: Any) -> Any:
    """A value with each float in it as its hexadecimal form."""
    if isinstance(value, list):
        return [bits_of(item) for item in value]
    return value.hex() if isinstance(value, float) else value
