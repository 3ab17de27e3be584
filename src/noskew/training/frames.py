"""Rows in, answers out: pandas, Polars, Arrow, Parquet or SQL, without losing a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.duckdb_session import connect
from noskew.errors import InputError, SchemaMismatchError, missing_extra
from noskew.runners.spark.faults import spark_faults
from noskew.runners.spark.session import is_frame

#: Text that is a query, not a path.
_QUERY = re.compile(r"(SELECT|WITH|FROM)\s", re.IGNORECASE)
#: Cells that are made for each that a list of mappings has; and so many in any case.
_MOST_EMPTY, _FEW = 64, 1_000_000


def to_arrow(rows: Any, what: str = "rows") -> pa.Table:
    """A table of a caller's rows, columns and order as given.

    Takes a pyarrow Table or RecordBatch, a pandas, Polars or Spark frame, anything with
    ``__arrow_c_stream__``, a mapping of columns, a list of row mappings, the path of a Parquet
    file, or a SQL query on DuckDB (text that starts with SELECT or WITH).

    Raises InputError for anything else and SchemaMismatchError for duplicated columns.
    """
    table = _read(rows, what)
    names = table.column_names
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise SchemaMismatchError(f"{what}: the column {twice[0]!r} appears twice")
    return table


def _read(rows: Any, what: str) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if isinstance(rows, (str, Path)):
        return _from_text(rows, what)
    if is_frame(rows):
        with spark_faults(f"collecting {what}"):
            return rows.toArrow()
    try:
        if isinstance(rows, Mapping):
            return pa.table({name: _column(name, values) for name, values in rows.items()})
        if isinstance(rows, list):
            return _of_mappings(rows, what)
        if type(rows).__module__.split(".")[0] == "pandas":
            return _from_pandas(rows, what)
        if hasattr(rows, "__arrow_c_stream__"):
            return pa.table(rows)
    except (pa.ArrowException, AttributeError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} cannot be made a table: {error}") from error
    raise InputError(
        f"{what}: expected a pandas, Polars or Arrow frame, a mapping of columns, a list of "
        f"mappings, a Parquet path or a SELECT, got {type(rows).__name__}"
    )


def _of_mappings(rows: list[Any], what: str) -> pa.Table:
    """Rows as mappings: a column for each name that any of them has, null where one lacks it."""
    if wrong := [row for row in rows if not isinstance(row, Mapping)]:
        raise InputError(
            f"{what}: expected mappings such as {{'origin': 'JFK'}}, got {wrong[0]!r:.60}"
        )
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) * len(rows) > _MOST_EMPTY * sum(map(len, rows)) + _FEW:
        raise InputError(
            f"{what}: {len(rows):,} rows have {len(names):,} names, of which few are in many rows; "
            f"give the same names to all of them"
        )
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def _column(name: str, values: Any) -> Any:
    """Values of a column. Raises InputError for one value alone."""
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        raise InputError(f"{name!r} must be a list of values, got {values!r:.60}")
    return values


def index_of(rows: Any) -> Any:
    """The index of a pandas DataFrame that has one of its own; None for any other rows."""
    if type(rows).__module__.partition(".")[0] != "pandas" or not hasattr(rows, "index"):
        return None
    return None if type(rows.index).__name__ == "RangeIndex" else rows.index


def _from_pandas(frame: Any, what: str) -> pa.Table:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SchemaMismatchError(f"{what}: the column {twice!r} appears twice")
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _from_text(rows: str | Path, what: str) -> pa.Table:
    text = str(rows).strip()
    if isinstance(rows, str) and _QUERY.match(text):
        import duckdb

        try:
            with connect() as connection:
                return connection.sql(text).to_arrow_table()
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            raise InputError(f"{what}: DuckDB refuses the query: {message}") from error
    try:
        return pq.read_table(text)
    except FileNotFoundError as error:
        raise InputError(f"{what}: no Parquet file at {text!r}") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{what}: {text!r} cannot be read as Parquet: {error}") from error


def to_polars(table: pa.Table) -> Any:
    """The table as a Polars DataFrame."""
    try:
        import polars
    except ImportError as error:
        raise missing_extra("polars", "polars", "to_polars()") from error
    return polars.from_arrow(table)
