"""SQL of other dialects runs as its DuckDB translation, which is part of the definition."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.definitions.transforms import SqlTransform
from noskew.errors import TransformError
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.translation.dialects import COMPARED, DUCKDB
from noskew.translation.verified_dialects import _LANGUAGES

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "n": int,
    "m": "int32",
    "x": float,
    "s": str,
    "dep_Delay": float,
    "items": "list<int64>",
    "price": "decimal(18, 2)",
}
SOURCE = ns.Source("events", SCHEMA, event_time="at")
USER = ns.Entity("user", {"user_id": int})
BIG = 2**53 + 1


def view(text: str, dialect: str, feature: str = "made") -> ns.FeatureView:
    transform = ns.sql(text, dialect=dialect, unchecked=True)
    return ns.FeatureView(
        "view", entity=USER, source=SOURCE, features=[feature], transform=transform
    )


def value(expression: str, dialect: str, **cells: Any) -> Any:
    """What an expression gives for one row."""
    made = view(f"SELECT {expression} AS made FROM events", dialect)
    row = {"user_id": 1, "at": 0, **cells}
    batch = pa.table({f.name: pa.array([row.get(f.name)], f.type) for f in SOURCE.schema.arrow})
    events = Pipeline(made)(batch, known_time=0, buckets=1).events
    return events.column("made").to_pylist()[0]


@pytest.mark.parametrize(
    ("dialect", "expression", "cells", "expected"),
    [
        ("postgres", "n / 2", {"n": 7}, 3),
        ("postgres", "n / 2", {"n": -7}, -3),
        ("postgres", "n / m", {"n": BIG * 3, "m": 3}, BIG),
        ("postgres", "x / 2", {"x": 7.0}, 3.5),
        ("mysql", "n / 2", {"n": 7}, 3.5),
        ("bigquery", "n / 2", {"n": 7}, 3.5),
        ("spark", "n / 2", {"n": 7}, 3.5),
        ("spark", "n div 2", {"n": -7}, -3),
        ("spark", "n % 3", {"n": -7}, -1),
        ("spark", "size(items)", {"items": [1, 2]}, 2),
        ("spark", "nvl(s, 'none')", {"s": None}, "none"),
        ("spark", "if(n > 1, 'a', 'b')", {"n": None}, "b"),
        ("snowflake", "iff(n > 1, 1, 0)", {"n": 2}, 1),
        ("snowflake", "zeroifnull(n)", {"n": None}, 0),
        ("tsql", "isnull(n, 0)", {"n": None}, 0),
        ("bigquery", "safe_cast(s AS INT64)", {"s": "x"}, None),
    ],
)
def test_an_expression_means_what_its_dialect_says(
    dialect: str, expression: str, cells: dict[str, Any], expected: Any
) -> None:
    found = value(expression, dialect, **cells)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("dialect", ["spark", "snowflake", "postgres", "bigquery"])
def test_names_match_without_regard_to_case_and_keep_their_spelling(dialect: str) -> None:
    made = view("SELECT USER_ID, DEP_DELAY + 1 AS lateBy FROM Events", dialect, "lateBy")
    assert list(made.columns) == ["user_id", "lateBy"]


def test_the_translation_is_part_of_the_definition() -> None:
    made = view("SELECT n div 2 AS made FROM events", "spark")
    again = ns.FeatureView.from_dict(made.to_dict(), entity=USER, source=SOURCE)
    assert isinstance(again.transform, SqlTransform)
    assert isinstance(made.transform, SqlTransform)
    assert again.definition_hash == made.definition_hash
    assert again.transform.statement == made.transform.statement
    assert "//" in made.transform.statement
    other = SqlTransform(
        "SELECT n div 2 AS made FROM events",
        dialect="spark",
        statement="SELECT n AS made FROM events",
    )
    changed = ns.FeatureView("view", entity=USER, source=SOURCE, features=["made"], transform=other)
    assert changed.definition_hash != made.definition_hash


def test_the_same_text_in_duckdbs_dialect_has_no_more_identity_than_before() -> None:
    assert set(ns.sql("SELECT 1 AS a FROM events").identity()) == {"kind", "text", "engine"}


@pytest.mark.parametrize(
    ("text", "dialect", "message"),
    [
        ("SELECT n FROM events", "sparc", "unknown SQL dialect 'sparc'.*spark"),
        ("SELECT FROM WHERE", "spark", "cannot be translated from spark"),
        ("SELECT nothing AS made FROM events", "spark", "nothing.*Columns of 'events'"),
        ("SELECT 1 AS made; SELECT 2", "spark", "expected one SELECT statement, got 2"),
        ("SELECT count(*) AS made FROM events", "spark", "aggregate looks at many rows"),
        (
            "SELECT row_number() OVER (ORDER BY n) AS made FROM events",
            "postgres",
            "window function",
        ),
        ("SELECT n AS made FROM others", "spark", "selects from its source, 'events', alone"),
        ("SELECT current_date() AS made FROM events", "spark", "depends on more than the row"),
        ("SELECT made_up(n) AS made FROM events", "mysql", "DuckDB has no such function"),
        ("SELECT made_up(n) AS made FROM events", "spark", "not among the functions"),
    ],
)
def test_what_cannot_be_translated_or_is_not_row_wise_is_refused(
    text: str, dialect: str, message: str
) -> None:
    with pytest.raises(TransformError, match=message):
        view(text, dialect)


def test_only_a_dialect_loads_the_translator() -> None:
    program = """
import sys
import noskew as ns

source = ns.Source("s", {"k": int, "ts": "timestamp", "x": float}, event_time="ts", filter="x > 0")
entity = ns.Entity("e", {"k": int})
for dialect in ("duckdb", "mysql"):
    transform = ns.sql("SELECT k, x + 1 AS y FROM s", dialect=dialect, unchecked=True)
    ns.FeatureView("v", entity=entity, source=source, transform=transform, features=["y"])
    print(dialect, "sqlglot" in sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n")[:2] == ["duckdb False", "mysql True"]


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake", "mysql", "trino", "tsql", "oracle"])
def test_a_dialect_that_was_not_compared_is_used_by_who_says_so(dialect: str) -> None:
    """``CAST(2.5 AS INT64)`` is 3 in BigQuery, and was 2 without a word."""
    said = f"the dialect '{dialect}' is translated, but was not compared"
    with pytest.raises(TransformError, match=said):
        ns.sql("SELECT x AS made FROM events", dialect=dialect)
    with pytest.raises(TransformError, match=said):
        ns.expressions({"y": "x"}, dialect=dialect.upper())
    taken = ns.sql("SELECT x AS made FROM events", dialect=dialect, unchecked=True)
    assert taken.title == f"SQL ({dialect}, unchecked)"
    expressions = ns.expressions({"y": "x"}, dialect=dialect, unchecked=True)
    assert expressions.title == f"SQL ({dialect}, unchecked): x"


def test_what_was_compared_has_tables() -> None:
    assert set(COMPARED) - {DUCKDB} == set(_LANGUAGES)
    assert ns.sql("SELECT x AS made FROM events", dialect="spark").title == "SQL (spark)"
