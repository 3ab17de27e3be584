"""Any table that a program writes as CSV is read back as it was."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noskew.kernel.bits import differences
from noskew.stores.sources import CsvSource

KINDS = {
    "k": "int64",
    "x": "float64",
    "s": "string",
    "b": "bool",
    "d": "date",
    "at": "timestamp",
    "t": "string",
}
_SCHEMA = pa.schema(
    [
        ("k", pa.int64()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("d", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("t", pa.string()),
    ]
)
_LETTERS = st.sampled_from("a\"\n\r,;\t|é \\'") | st.characters(
    codec="utf-8", exclude_characters="\0"
)
_TEXTS = st.text(_LETTERS, max_size=12)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
_ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False) | st.just(float("nan")),
        _TEXTS,
        st.none() | st.booleans(),
        st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        st.none() | _TIMES,
        _TEXTS,
    ),
    max_size=8,
)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(KINDS)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def by_arrow(rows: pa.Table, path: Path, delimiter: str) -> None:
    pyarrow.csv.write_csv(rows, path, pyarrow.csv.WriteOptions(delimiter=delimiter))


def by_polars(rows: pa.Table, path: Path, delimiter: str) -> None:
    pl.from_arrow(rows).write_csv(path, separator=delimiter)  # type: ignore[union-attr]


def by_duckdb(rows: pa.Table, path: Path, delimiter: str) -> None:
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.sql("SELECT * FROM rows").write_csv(str(path), sep=delimiter)


def by_python(rows: pa.Table, path: Path, delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(rows.column_names)
        writer.writerows(zip(*rows.to_pydict().values(), strict=True))


def by_pandas(rows: pa.Table, path: Path, delimiter: str) -> None:
    # Arrow's types, since those of pandas have one word for NaN and null.
    frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
    texts = {"x": [None if v is None else repr(v) for v in rows["x"].to_pylist()]}
    # With "\\n" alone pandas leaves a "\\r" without quotes, and nobody can tell what it is.
    frame.assign(**texts).to_csv(path, index=False, sep=delimiter, lineterminator="\r\n")


@pytest.mark.parametrize("writer", [by_arrow, by_polars, by_duckdb, by_python, by_pandas])
@given(
    rows=_ROWS, delimiter=st.sampled_from(",;\t|"), block=st.sampled_from([1, 5, 40, 300, 1 << 22])
)
@example(rows=[(1, 1.5, '"\n', True, None, None, "\n")] * 3, delimiter=",", block=1)
@example(rows=[(None, None, "", None, None, None, "\r")], delimiter=";", block=5)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    writer: Callable[[pa.Table, Path, str], None],
    rows: list[tuple[Any, ...]],
    delimiter: str,
    block: int,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    given_rows = table(rows)
    writer(given_rows, path, delimiter)
    source = CsvSource(path, KINDS, block_bytes=block)
    assert source.schema().names == list(KINDS)
    batches = [batch for part in source.parts() for batch in source.read(part)]
    found = pa.Table.from_batches(batches, _SCHEMA).combine_chunks()
    assert not differences(given_rows, found)
