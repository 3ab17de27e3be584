"""What a plan says of on-demand functions that are computed in another way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import noskew as ns
from noskew.registry.difference import NOBODY
from noskew.registry.service_differences import on_demand_difference


def doubled(columns: Any) -> Any:
    return {"y": columns["x"] * 2}


def made(function: Any, **data: Any) -> ns.OnDemand:
    outputs = None if function.__class__ is type(ns.expressions({"y": "x"})) else {"y": float}
    found = ns.OnDemand("o", function, request={"x": float}, outputs=outputs)
    return ns.OnDemand.from_dict(found.to_dict() | data, views={}) if data else found


def sql(text: str, dialect: str = "duckdb", **data: Any) -> ns.OnDemand:
    return made(ns.expressions({"y": text}, dialect=dialect), **data)


_EVERY = "values change: every feature"
CHANGES: Mapping[str, tuple[ns.OnDemand, ns.OnDemand, list[str]]] = {
    "nothing": (sql("x"), sql("x"), []),
    "an expression": (sql("x + 1"), sql("x + 2"), ["expression of y: x + 1 → x + 2", _EVERY]),
    "a dialect": (sql("x + 1"), sql("x + 1", "spark"), ["dialect: duckdb → spark", _EVERY]),
    "an engine": (sql("x", engine="duckdb-1"), sql("x"), ["engine: duckdb-1 → duckdb-2", _EVERY]),
    "a translation": (
        sql("x", "spark", statements=["SELECT (x) AS made FROM inputs"]),
        sql("x", "spark"),
        ["translation from spark", _EVERY],
    ),
    "a function for expressions": (
        made(doubled),
        sql("x * 2"),
        [f"function: {__name__}:doubled → SQL: x * 2", _EVERY],
    ),
    "row by row": (
        made(doubled),
        made(ns.per_row(doubled)),
        [f"function: {__name__}:doubled → {__name__}:doubled, row by row", _EVERY],
    ),
    "the source": (
        made(doubled, digest="0" * 32),
        made(doubled, digest="1" * 32),
        [f"source of {__name__}:doubled: 00000000 → 11111111", _EVERY],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_says_what_is_computed_differently(name: str) -> None:
    old, new, reasons = CHANGES[name]
    found = on_demand_difference(old, new, NOBODY, stale=False)
    assert [r.replace("->", "→") for r in found.reasons] == reasons
    assert not found.breaking
    assert (old.definition_hash != new.definition_hash) == bool(reasons)


def test_an_output_that_goes_is_breaking_and_one_that_comes_is_not() -> None:
    one, two = sql("x"), made(ns.expressions({"y": "x", "z": "x * 2"}))
    assert not on_demand_difference(one, two, NOBODY, stale=False).breaking
    assert on_demand_difference(two, one, NOBODY, stale=False).breaking
