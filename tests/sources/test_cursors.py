"""Queries by a cursor: the same on every engine, whatever its columns are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from noskew.errors import InputError
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.cursor import Below, Cursor, Extent
from noskew.stores.sources.duckdb import DuckDbQuery
from noskew.stores.sources.named import NamedSource
from noskew.stores.sources.postgres import PostgresQuery

DAY = 86_400_000_000
ROWS = '(VALUES (1, {}), (2, {}), (3, {})) AS t (n, "When; it\'s""") -- all of them'
Query = Callable[[str], BatchSource]


@pytest.fixture(params=["duckdb", "postgres"])
def query(request: pytest.FixtureRequest) -> Query:
    if request.param == "duckdb":
        return DuckDbQuery
    url = request.getfixturevalue("postgres_url")
    return lambda sql: PostgresQuery(url, sql)


def table(*values: str) -> str:
    return "SELECT * FROM " + ROWS.format(*values)


def numbers(source: BatchSource) -> list[Any]:
    batches = source.read(Part("any", "any", None), ["n"])
    return sorted(n for batch in batches for n in batch.column(0).to_pylist())


NAME = "When; it's\""
TIMES = [
    ("DATE '1970-01-02'", "DATE '1970-01-03'", "DATE '1970-01-04'"),
    ("TIMESTAMP '1970-01-02'", "TIMESTAMP '1970-01-03'", "TIMESTAMP '1970-01-04'"),
    (
        "TIMESTAMPTZ '1970-01-02 02:00:00+02'",
        "TIMESTAMPTZ '1970-01-03 00:00:00+00'",
        "TIMESTAMPTZ '1970-01-03 22:00:00-02'",
    ),
]


@pytest.mark.parametrize("values", TIMES, ids=["date", "timestamp", "timestamptz"])
def test_times(query: Query, values: tuple[str, ...]) -> None:
    source, cursor = query(table(*values)), Cursor(NAME, is_time=True)
    assert source.extent(cursor) == Extent(3 * DAY, 0, ())
    assert source.extent(cursor, [3 * DAY, DAY]) == Extent(
        3 * DAY, 0, (Below(2, 3 * DAY), Below(0, 0))
    )
    assert numbers(source.between(cursor, 2 * DAY, 3 * DAY)) == [2, 3]
    assert numbers(source.between(cursor, 2 * DAY + 1, 3 * DAY - 1)) == []
    assert numbers(source.between(cursor, None, 2 * DAY)) == [1, 2]


def test_integers(query: Query) -> None:
    source, cursor = query(table("5", "-7", "NULL")), Cursor(NAME, is_time=False)
    assert source.extent(cursor, [5]) == Extent(5, 1, (Below(1, -7),))
    assert numbers(source.between(cursor, -7, 5)) == [1, 2]
    assert numbers(source.between(cursor, -6, 5)) == [1]


def test_sums_beyond_64_bits(query: Query) -> None:
    most = str(2**63 - 1)
    less = str(2**63 - 2)
    source, cursor = query(table(most, less, less)), Cursor(NAME, is_time=False)
    assert source.extent(cursor, [2**63 - 1]).below == (Below(2, 2 * (2**63 - 2)),)


def test_microseconds_are_exact(query: Query) -> None:
    values = [f"TIMESTAMPTZ '2025-06-0{i} 12:34:56.78901{i}+00'" for i in (1, 2, 3)]
    source, cursor = query(table(*values)), Cursor(NAME, is_time=True)
    greatest = source.extent(cursor).greatest
    assert greatest == 1_748_954_096_789_013
    (below,) = source.extent(cursor, [greatest]).below
    assert below == Below(2, 2 * greatest - 3 * DAY - 3)


def test_no_rows(query: Query) -> None:
    source = query("SELECT 1 AS n, TIMESTAMP '2025-01-01' AS c WHERE 1 = 0;")
    cursor = Cursor("c", is_time=True)
    assert source.extent(cursor, [5]) == Extent(None, 0, (Below(0, 0),))
    assert numbers(source.between(cursor, None, 5)) == []


def test_another_name_of_a_column(query: Query) -> None:
    source = NamedSource(query(table("1", "2", "3")), {"c": NAME})
    cursor = Cursor("c", is_time=False)
    assert source.extent(cursor, [3]) == Extent(3, 0, (Below(2, 3),))
    assert numbers(source.between(cursor, 2, 3)) == [2, 3]


def test_another_type_is_refused(query: Query) -> None:
    source = query(table("1", "2", "3"))
    with pytest.raises(InputError, match="is of the type int32 there, and not"):
        source.extent(Cursor(NAME, is_time=True))


def test_parts_of_a_microsecond_count_as_a_whole() -> None:
    values = [f"TIMESTAMP_NS '1970-01-01 00:00:00.00000100{i}'" for i in (0, 1, 2)]
    source, cursor = DuckDbQuery(table(*values)), Cursor(NAME, is_time=True)
    greatest = source.extent(cursor).greatest
    assert greatest == 2
    assert numbers(source.between(cursor, 1, greatest)) == [1, 2, 3]
