"""What is checked once in a process is not checked again, and what is kept is bounded."""

from __future__ import annotations

from typing import Any

import pytest

import noskew as ns
from noskew.definitions import sql_check, sql_engine
from noskew.definitions.expression_tree import INPUTS, bind, statement
from noskew.definitions.sized_cache import SizedCache
from noskew.errors import TransformError
from noskew.types import Schema

COLUMNS = Schema({"k": int, "ts": "timestamp", "x": float, "ok": bool})


def test_the_least_recently_used_go_first() -> None:
    cache: SizedCache[str] = SizedCache(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 4)
    assert cache.get("a") == "A"
    cache.put("c", "C", 4)
    assert [cache.get(key) for key in "abc"] == ["A", None, "C"]
    cache.put("large", "L", 11)
    assert cache.get("large") is None
    cache.put("a", "again", 4)
    assert cache.get("a") == "A"
    assert len(cache) == 2


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that DuckDB was asked to parse."""
    asked: list[str] = []
    serialized = sql_engine._serialized
    monkeypatch.setattr(sql_engine, "_serialized", lambda sql: asked.append(sql) or serialized(sql))
    return asked


def test_a_statement_is_checked_once_for_the_same_source_and_columns(parses: list[str]) -> None:
    sql = "SELECT k, ts, x * 17 AS y FROM s17"
    first = sql_check.check_transform(sql, "s17", COLUMNS, "first")
    assert len(parses) == 1
    assert sql_check.check_transform(sql, "s17", Schema(dict(COLUMNS)), "second") == first
    assert "_row" in sql_engine.with_row_numbers(sql)
    assert len(parses) == 1
    other = Schema({**COLUMNS, "x": "int32"})
    assert sql_check.check_transform(sql, "s17", other, "third")["y"].kind == "int32"
    assert len(parses) == 2


def test_a_refusal_names_who_asked_each_time() -> None:
    for who in ("first", "second"):
        with pytest.raises(TransformError, match=f"^{who}: .*aggregate"):
            sql_check.check_transform("SELECT sum(x) AS x FROM s18", "s18", COLUMNS, who)


def test_a_filter_is_no_transform_of_the_same_text() -> None:
    filtered = f"SELECT (\nx\n) AS keep FROM {sql_check.FILTERED}"
    sql_check.check_transform(filtered, sql_check.FILTERED, COLUMNS, "transform")
    with pytest.raises(TransformError, match="true/false"):
        sql_check.check_expression("x", COLUMNS, "filter")
    sql_check.check_expression("x > 0", COLUMNS, "filter")
    sql_check.check_expression("x > 0", COLUMNS, "filter")


def test_an_expression_is_bound_once(parses: list[str]) -> None:
    sql = statement("x * 19")
    assert bind(sql, COLUMNS, "first") is bind(sql, COLUMNS, "second")
    assert set(parses) == {sql}
    assert bind(sql, Schema({"x": int}), "third") != bind(sql, COLUMNS, "fourth")
    assert INPUTS in sql


def test_the_reserved_name_is_found_in_any_spelling() -> None:
    for name in ("_row", "_ROW", '"_Row"'):
        options: dict[str, Any] = {"entity": ns.Entity("e", {"k": int}), "features": ["x"]}
        source = ns.Source("s", dict(COLUMNS), event_time="ts")
        with pytest.raises(TransformError, match="'_row' is reserved"):
            ns.FeatureView(
                "v", source=source, transform=ns.sql(f"SELECT x AS {name} FROM s"), **options
            )
