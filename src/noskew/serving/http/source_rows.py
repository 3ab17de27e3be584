"""Source rows: events that a caller sends as JSON, as a table."""

from __future__ import annotations

from decimal import InvalidOperation
from typing import Any

import pyarrow as pa

from noskew.definitions.source import Source
from noskew.errors import InputError, LimitError, SchemaMismatchError, shown
from noskew.wire.json_values import Convert, converter
from noskew.wire.rows import as_columns, as_list


def table(source: Source, rows: Any, max_rows: int) -> pa.Table:
    """``rows`` (columns, or a list of rows) as a table of those columns that the source has.

    Strings are turned into what they stand for in a column's type; whether the values are of
    that type is judged where they are appended. A column that a row of a list leaves out is null
    there. Raises InputError for other forms and columns of different lengths, LimitError for
    too many rows, and SchemaMismatchError for values that are not what they stand for.
    """
    if rows == []:
        return source.schema.arrow.empty_table()
    if isinstance(rows, list):
        _check_count(len(rows), max_rows)
    columns = {n: as_list(n, v) for n, v in as_columns(rows, source.schema.__contains__).items()}
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        raise InputError(
            "columns of different lengths: "
            + ", ".join(f"{n!r} has {len(v)}" for n, v in columns.items())
        )
    _check_count(max(sizes, default=0), max_rows)
    return pa.table({name: _array(source, name, values) for name, values in columns.items()})


def _check_count(n: int, max_rows: int) -> None:
    if n > max_rows:
        raise LimitError(f"{n} rows in one request; at most {max_rows} are taken")


def _array(source: Source, name: str, values: list[Any]) -> pa.Array:
    convert = converter(source.schema[name])
    if convert is not None:
        values = [None if v is None else _converted(source, name, convert, v) for v in values]
    try:
        return pa.array(values)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise _mismatch(source, name, "other values", error) from error


def _converted(source: Source, name: str, convert: Convert, value: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, InvalidOperation) as error:
        raise _mismatch(source, name, shown(value), error) from error


def _mismatch(source: Source, name: str, got: str, error: Exception) -> SchemaMismatchError:
    why = next(iter(str(error).splitlines()), type(error).__name__)[:300]
    return SchemaMismatchError(
        f"rows pushed to {source.name!r}, column {name!r}: expected {source.schema[name]}, got "
        f"{got}: {why}"
    )
