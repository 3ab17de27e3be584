"""The same rows in any number of files, each in types of its own, are the same table."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.types import Schema
from tests.sources.declared import read

SCHEMA = {"uid": int, "at": "timestamp", "n": int, "x": float, "t": str, "day": "date"}
#: Forms of a column that hold all of its values here.
FORMS: dict[str, list[pa.DataType]] = {
    "uid": [pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.float64()],
    "at": [
        pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "+02:00")
    ],
    "n": [pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(20, 0)],
    "x": [pa.float16(), pa.float32(), pa.float64(), pa.int16(), pa.decimal128(9, 3)],
    "t": [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    "day": [pa.date32(), pa.date64()],
}
ROW = st.fixed_dictionaries(
    {
        "uid": st.integers(0, 127),
        "at": st.integers(0, 2_000_000_000),
        "n": st.none() | st.integers(0, 100),
        "x": st.none() | st.integers(0, 100).map(float),
        "t": st.none() | st.sampled_from(["", "a", "é", "NULL"]),
        "day": st.none() | st.integers(0, 20_000),
    }
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows in the declared types; times are seconds, days are numbered."""
    arrow = Schema(SCHEMA).arrow
    plain = {"at": pa.timestamp("s", "UTC"), "day": pa.date32()}
    columns = []
    for field in arrow:
        kind = plain.get(field.name, field.type)
        numbers = {"at": pa.int64(), "day": pa.int32()}.get(field.name, kind)
        array = pa.array([row[field.name] for row in rows], numbers)
        columns.append(array.cast(kind).cast(field.type))
    return pa.Table.from_arrays(columns, schema=arrow)


def form(data: st.DataObject, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in a drawn type."""
    kinds = FORMS[name] + ([pa.null(), pa.int8()] if column.null_count == len(column) else [])
    kind = data.draw(st.sampled_from(kinds), name)
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type).dictionary_encode().cast(kind)
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), kind)])
    if pa.types.is_timestamp(kind) and kind.tz is None:
        column = column.cast(pa.timestamp("us"))
    return column.cast(kind)


@given(rows=st.lists(ROW, min_size=1, max_size=12), data=st.data())
def test_the_same_rows(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = table(rows)
    inner = st.lists(st.integers(0, len(rows)), max_size=3)
    cuts = [0, *sorted(data.draw(inner, "cuts")), len(rows)]
    with tempfile.TemporaryDirectory() as folder:
        # One without rows has all columns, so that each of the others may lack those of nulls.
        pq.write_table(whole[:0], Path(folder) / "9.parquet")
        for number, (start, end) in enumerate(pairwise(cuts)):
            piece = whole[start:end]
            columns = {}
            for name in data.draw(st.permutations(list(SCHEMA)), "order"):
                column = piece.column(name)
                if column.null_count == len(column) and data.draw(st.booleans(), f"no {name}"):
                    continue
                columns[name] = form(data, name, column)
            # Files of the same bytes are copies.
            columns["file"] = pa.chunked_array([pa.array([number] * len(piece), pa.int8())])
            size = data.draw(st.integers(1, 5), "rows of a group")
            pq.write_table(
                pa.table(columns), Path(folder) / f"{number}.parquet", row_group_size=size
            )
        found = read(ns.Parquet(folder), SCHEMA).combine_chunks()
    assert found.equals(whole.combine_chunks())
