"""A filter and a transform run on the engine they were defined with, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

import noskew as ns
from noskew.errors import TransformError
from noskew.kernel.transforms.pipeline import Pipeline

AIRPORT = ns.Entity("airport", {"origin": str})
SCHEMA = {"origin": str, "departed_at": "timestamp", "delay": float}


def view(transform: Any = None, **source: Any) -> ns.FeatureView:
    departures = ns.Source("departures", SCHEMA, event_time="departed_at", **source)
    return ns.FeatureView(
        "delays", entity=AIRPORT, source=departures, transform=transform, features=["delay"]
    )


def test_the_engine_of_a_filter_is_part_of_the_definition() -> None:
    now, before = view(filter="delay > 0"), view(filter="delay > 0", engine="duckdb-1")
    assert now.source.engine.startswith("duckdb-")
    assert now.definition_hash != before.definition_hash
    assert now.log_hash != before.log_hash
    assert view().source.engine == ""


def test_the_engine_of_a_filter_survives_the_registry() -> None:
    before = view(filter="delay > 0", engine="duckdb-1").source
    assert ns.Source.from_dict(before.to_dict()).engine == "duckdb-1"


def test_another_engine_is_refused() -> None:
    with pytest.raises(TransformError, match="applied with duckdb-1"):
        Pipeline(view(filter="delay > 0", engine="duckdb-1"))
    sql = ns.sql("SELECT origin, departed_at, delay FROM departures")
    with pytest.raises(TransformError, match="applied with duckdb-1"):
        Pipeline(view(type(sql)(sql.text, "duckdb-1")))
    Pipeline(view(sql, filter="delay > 0"))
