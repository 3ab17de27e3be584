"""Cursors: a query's rows by a column that only grows, and what is known of it without them.

The statements are put together around the author's own query, of which nothing is looked at. The
names of columns are quoted, and values are numbers and times of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as at

from noskew.clock import MIN_TIME
from noskew.errors import InputError


@dataclass(frozen=True)
class Cursor:
    """A column that is greater in rows that came, or were changed, later.

    ``is_time``: whether it is a timestamp, of which values are in µs; else it is an integer.
    """

    column: str
    is_time: bool

    def literal(self, value: int) -> str:
        """A value in SQL."""
        if not self.is_time:
            return str(value)
        when = np.datetime_as_string(np.datetime64(max(value, MIN_TIME), "us"), unit="us")
        return f"TIMESTAMPTZ '{when.replace('T', ' ')}+00'"


@dataclass(frozen=True)
class Below:
    """The rows below a value: how many, and the sum of their own, by which others are told."""

    rows: int
    total: int


@dataclass(frozen=True)
class Extent:
    """What is known of a cursor, all of it at one moment.

    ``greatest``: of all rows; None if none has a value. ``nulls``: rows without one. ``below``: the
    rows below each of the values that were asked about.
    """

    greatest: int | None
    nulls: int
    below: tuple[Below, ...]


@dataclass(frozen=True)
class SqlTimes:
    """Expressions of an engine for a column ``{}`` of times: as one that times are compared with,
    and as µs since 1970.
    """

    compared: str
    micros: str


def rows_between(
    query: str, cursor: Cursor, least: int | None, greatest: int, times: SqlTimes
) -> str:
    """The rows of a query from one value to another, both with it; None: from the first on."""
    value = _value(cursor, times)
    tests = [f"{value} <= {cursor.literal(greatest)}"]
    if least is not None:
        tests.append(f"{value} >= {cursor.literal(least)}")
    return f"SELECT * FROM {_rows(query)} WHERE {' AND '.join(tests)}"


def extent_query(query: str, cursor: Cursor, below: Sequence[int], times: SqlTimes) -> str:
    """One row that :func:`extent_of` reads."""
    name = _quoted(cursor.column)
    outputs = [f"max({name}) AS greatest", f"count(CASE WHEN {name} IS NULL THEN 1 END) AS nulls"]
    number = times.micros.format(name) if cursor.is_time else name
    for i, value in enumerate(below):
        test = f"{_value(cursor, times)} < {cursor.literal(value)}"
        outputs.append(f"count(CASE WHEN {test} THEN 1 END) AS rows_{i}")
        outputs.append(f"CAST(sum(CASE WHEN {test} THEN {number} END) AS VARCHAR) AS total_{i}")
    return f"SELECT {', '.join(outputs)} FROM {_rows(query)}"


def extent_of(row: pa.Table, cursor: Cursor, what: str) -> Extent:
    """The answer. Raises InputError for a cursor of another type than its source declares."""
    greatest, nulls, *counts = (row.column(name)[0] for name in row.column_names)
    kind = greatest.type
    fits = at.is_temporal(kind) if cursor.is_time else at.is_integer(kind)
    if not (fits or at.is_null(kind)):
        declared = "a timestamp" if cursor.is_time else "an integer"
        raise InputError(
            f"{what}: the cursor {cursor.column!r} is of the type {kind} there, and not "
            f"{declared}, as declared; cast it in the query"
        )
    below = [
        Below(int(rows.as_py()), int(total.as_py() or 0))
        for rows, total in zip(counts[::2], counts[1::2], strict=True)
    ]
    return Extent(_number(greatest), int(nulls.as_py()), tuple(below))


def _number(value: pa.Scalar) -> int | None:
    """An integer as it is, a time in µs; parts of one count as a whole."""
    if not value.is_valid:
        return None
    if at.is_integer(value.type):
        return int(value.as_py())
    if at.is_timestamp(value.type) and value.type.unit == "ns":
        return -(-int(value.value) // 1_000)
    return int(value.cast(pa.timestamp("us")).value)


def _value(cursor: Cursor, times: SqlTimes) -> str:
    """The cursor as its values are compared."""
    name = _quoted(cursor.column)
    return times.compared.format(name) if cursor.is_time else name


def _rows(query: str) -> str:
    return f"(\n{query.strip().rstrip(';')}\n) AS extract"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
