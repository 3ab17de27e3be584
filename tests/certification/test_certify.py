"""Certification passes what is row-wise, and finds what is not, with its cause."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.certification.adversarial_rows import made_up_rows, odd_values, ordinary_rows
from noskew.certification.certify import certify_function, certify_view
from noskew.certification.feature_paths import FeaturePaths
from noskew.clock import FixedClock
from noskew.definitions.view import FeatureView
from noskew.kernel.bits import differences
from noskew.kernel.plan import ViewPlan
from noskew.registry.records.certificate import Certificate
from noskew.registry.records.kinds import CERTIFICATE
from noskew.types import dtype
from tests.certification import definitions as d

NOW = FixedClock(0)
ALL_AGGREGATES = (
    "x",
    "s",
    "price",
    "items",
    "spot",
    "raw",
    "born",
    ns.count(window=["1h", "1d"]),
    ns.sum("x", window="1h"),
    ns.sum("n", window="1h"),
    ns.mean("n", window="6h"),
    ns.var("x", window="1d"),
    ns.min("s", window="1h"),
    ns.max("born", window="1h"),
    ns.first_value("x", window="1h"),
    ns.last_n("s", 3, window="1h"),
    ns.count_distinct("s", window="1d"),
    ns.quantile("x", 0.5, window="1d"),
    ns.top_n("s", 2, window="1d"),
    ns.count(where="ok", window="1h", name="oks"),
    ns.sum("n", window="10min", hop="exact", name="exact"),
)


def certified(view: FeatureView, **options: Any) -> Certificate:
    return certify_view(view, Path(), NOW, **{"sample": 100, "thorough": False, **options})


@pytest.mark.parametrize("name", d.SKEWED)
def test_a_skewed_definition_is_found_and_its_cause_named(name: str) -> None:
    make, cause = d.SKEWED[name]
    made = certified(d.view(make()), thorough=name in ("memory", "hash"))
    assert not made.is_equal
    assert re.search(cause, made.cause), made.cause
    example = made.differences[0].example
    assert len(example) >= 1
    assert all(isinstance(v, str) for v in example.values())
    text = CERTIFICATE.encode(made.definition_hash, made)
    assert CERTIFICATE.decode(made.definition_hash, text, 0).value == made


@pytest.mark.parametrize(
    "transform",
    [
        ns.pandas(d.doubled, schema=d.OUT),
        ns.polars(d.filtered, schema=d.OUT),
        ns.arrow(d.in_arrow, schema=d.OUT),
        ns.sql("SELECT x / 3 AS made FROM events WHERE n > 0"),
        ns.sql("SELECT x / 3 AS made FROM events WHERE n > 0", dialect="spark"),
    ],
)
def test_a_row_wise_definition_is_certified(transform: Any) -> None:
    made = certified(d.view(transform))
    assert made.is_equal, made.differences
    ways = [
        "repeated",
        "small batches",
        "one row at a time",
        "shuffled",
        "shuffled, in small batches",
    ]
    ordinary = [f"{way}, ordinary numbers" for way in ways]
    assert [p.name for p in made.paths] == [
        *ways,
        *(ordinary if transform.identity()["kind"] in ("pandas", "polars", "arrow") else []),
        "rows online",
        "HTTP, Arrow",
        "HTTP, JSON",
    ]
    assert all(p.rows and not p.different for p in made.paths)


@pytest.mark.parametrize("key", ["user_id", "s"])
def test_all_paths_of_every_aggregate_and_type(key: str) -> None:
    """With partial rows where the stream is not by the entity's key."""
    source = d.source(stream=ns.Kafka("events", key=key), event_id="n", filter="small <> 7")
    made = certified(d.view(None, *ALL_AGGREGATES, source=source), thorough=True)
    assert made.is_equal, made.differences
    assert {p.name for p in made.paths} >= {"stream", "offline table", "HTTP, JSON"}
    assert all(p.rows for p in made.paths)


def test_real_rows_are_taken_from_the_whole_of_a_source(tmp_path: Path) -> None:
    for part in range(8):
        rows = made_up_rows(d.view(None, "x"), 50)
        pa.parquet.write_table(rows, tmp_path / f"{part}.parquet")
    view = d.view(None, "x", source=d.source(batch=ns.Parquet(".")))
    made = certify_view(view, tmp_path, NOW, sample=40, thorough=False)
    assert (made.sample_rows, made.no_sample) == (40, "")
    broken = d.view(None, "x", source=d.source(batch=ns.Parquet("nowhere/")))
    made = certify_view(broken, tmp_path, NOW, sample=40, thorough=False)
    assert made.is_equal
    assert "nowhere" in made.no_sample


def test_rows_that_fail_on_every_path_are_told_and_are_no_difference() -> None:
    made = certified(d.view(ns.sql("SELECT n + 1 AS made FROM events")))
    assert made.is_equal
    assert made.failing_rows > 0
    assert "Overflow" in made.failure


def test_a_fault_of_a_path_of_noskew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = FeaturePaths._materialized

    def losing(self: FeaturePaths, events: pa.Table, until: int) -> Any:
        return usual(self, events.slice(1), until)

    monkeypatch.setattr(FeaturePaths, "_materialized", losing)
    made = certified(d.view(None, ns.count(window=None)))
    assert not made.is_equal
    assert "fault in noskew" in made.cause
    assert {x.path for x in made.differences} == {"rows online", "HTTP, Arrow", "HTTP, JSON"}


ONLY_HERE = """
import sys

if "pytest" not in sys.modules:
    raise ImportError("only where it was tried")


def same(table):
    return table
"""


def test_a_function_that_no_other_process_can_import_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(ONLY_HERE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("only_here")
    view = d.view(ns.arrow(module.same, schema={"x": float}), "x")
    made = certified(view, thorough=True)
    assert "another process" in made.cause
    assert "only where it was tried" in made.differences[0].example["it says"]
    assert certified(view).is_equal


def test_a_function_that_fails_without_rows_is_refused() -> None:
    made = certified(d.view(ns.arrow(d.first_of_all, schema=d.OUT)))
    assert "batch without rows" in made.cause


def test_an_on_demand_function_is_certified_or_refused() -> None:
    assert certify_function(d.on_demand(d.ratio), NOW).is_equal
    made = certify_function(d.on_demand(d.share), NOW, thorough=False)
    assert not made.is_equal
    assert "batch" in made.cause


@pytest.mark.parametrize(
    "kind",
    [
        "bool",
        "int8",
        "int64",
        "float32",
        "float64",
        "string",
        "bytes",
        "timestamp",
        "date",
        "decimal(1, 0)",
        "decimal(38, 10)",
        "list<string>",
        "vector<float32, 3>",
    ],
)
def test_odd_values_are_of_their_type_and_null_is_among_them(kind: str) -> None:
    values = odd_values(dtype(kind))
    made = pa.array(values, dtype(kind).to_arrow())
    assert made.null_count == 1
    assert len(values) >= 3


def test_ordinary_rows_have_no_number_that_a_mean_does_not_survive() -> None:
    rows = made_up_rows(d.view(None, *ALL_AGGREGATES))
    for some in (ordinary_rows(rows), made_up_rows(d.view(None, "x"), ordinary=True)):
        x = some.column("x").drop_null().to_numpy()
        assert len(x)
        assert np.isfinite(x).all()
        assert np.abs(x).max() <= 1e6
    assert len(ordinary_rows(rows)) < len(rows)


def test_rows_made_up_have_every_odd_value_ties_and_few_entities() -> None:
    view = d.view(None, *ALL_AGGREGATES)
    rows = made_up_rows(view)
    assert not differences(rows, made_up_rows(view))
    texts = set(rows.column("s").to_pylist())
    assert texts == set(odd_values(dtype("string")))
    times = rows.column("at").cast(pa.int64()).to_numpy()
    assert len(np.unique(times)) < len(times)
    assert len(set(rows.column("user_id").to_pylist())) <= 5
    hour = 3_600_000_000
    assert {0, 1, hour - 1} <= set((times % hour).tolist())


def test_the_plan_of_every_aggregate_is_there() -> None:
    """Guards the list above: an aggregate that is added must be added there."""
    from noskew.definitions.aggregation import INPUT_KINDS
    from noskew.kernel.plan import compile_view

    plan: ViewPlan = compile_view(d.view(None, *ALL_AGGREGATES))
    assert plan.windows
    used = {s.function for s in d.view(None, *ALL_AGGREGATES).specs if hasattr(s, "function")}
    assert used >= set(INPUT_KINDS) - {"first_n", "stddev", "last"}
