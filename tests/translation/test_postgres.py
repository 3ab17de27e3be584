"""What is written for PostgreSQL means in noskew what it means in PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from noskew.errors import TransformError
from noskew.translation.postgres.language import PostgresLanguage
from tests.translation.engines import met, run, select, sql_view
from tests.translation.postgres_expressions import EXPRESSIONS, FAILING, REFUSED
from tests.translation.rows import SCHEMA, SOURCE, table

ALL = [line for line in EXPRESSIONS.splitlines() if line]
CLOSE = {name for name, known in PostgresLanguage.functions.items() if known.close} | {" ^"}
_TYPES = {
    "int64": "bigint",
    "int32": "integer",
    "int16": "smallint",
    "int8": "smallint",
    "float64": "float8",
    "float32": "real",
    "string": "text",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
    "bytes": "bytea",
}


def type_name(kind: Any) -> str:
    text = str(kind)
    if text.startswith("list<"):
        return f"{_TYPES[text[5:-1]]}[]"
    return _TYPES.get(text, text.replace("decimal", "numeric"))


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in UTC, with the rows in a table ``events`` of its own."""
    rows = table().to_pylist()
    with psycopg.connect(postgres_url, autocommit=True) as made:
        made.execute("SET timezone = 'UTC'")
        columns = ", ".join(f"{name} {type_name(kind)}" for name, kind in SOURCE.schema.items())
        made.execute(f"CREATE TEMPORARY TABLE events (place integer, {columns})")
        places = ", ".join(["%s"] * (len(SCHEMA) + 1))
        with made.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO events VALUES ({places})",
                [(at, *row.values()) for at, row in enumerate(rows)],
            )
        yield made


@pytest.fixture(scope="module")
def theirs(postgres: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return postgres.execute(f"{select(ALL)} ORDER BY place").fetchall()


@pytest.fixture(scope="module")
def ours() -> pa.Table:
    return run(sql_view(ALL, "postgres"), table())


def same(a: Any, b: Any, *, close: bool) -> bool:
    if isinstance(b, datetime) and b.tzinfo is None:
        b = b.replace(tzinfo=UTC)
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        is_near = close and math.isclose(a, b, rel_tol=2**-50)
        return is_near or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, Decimal):
        return isinstance(b, (Decimal, int)) and a == b
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("at", range(len(ALL)), ids=ALL)
def test_an_expression_means_what_postgresql_computes(
    at: int, ours: pa.Table, theirs: list[tuple[Any, ...]]
) -> None:
    column = ours[f"c{at}"]
    expected = [row[at] for row in theirs]
    if pa.types.is_float32(column.type):  # PostgreSQL writes the shortest text that is read back.
        expected = pa.array(expected, pa.float32()).to_pylist()
    close = (
        any(f"{name}(" in ALL[at] or name in ALL[at].split() for name in CLOSE) or "^" in ALL[at]
    )
    wrong = [
        (a, b)
        for a, b in zip(column.to_pylist(), expected, strict=True)
        if not same(a, b, close=close)
    ]
    assert wrong == []


@pytest.mark.parametrize("text", [line for line in FAILING.splitlines() if line])
def test_what_fails_in_postgresql_fails_here(text: str, postgres: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.DataError):
        postgres.execute(select([text]))
    with pytest.raises(TransformError, match="DuckDB failed on a batch"):
        run(sql_view([text], "postgres"), table())


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_cannot_be_the_same_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason):
        sql_view([text], "postgres")


def test_every_function_of_the_table_was_compared() -> None:
    assert set(PostgresLanguage.functions) - met(PostgresLanguage(), ALL) == set()
    assert not set(PostgresLanguage.functions) & set(PostgresLanguage.refused)
