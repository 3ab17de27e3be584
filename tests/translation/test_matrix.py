"""Front-end × path × type: the naive reference, or plain Python, says what each value is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.clock import to_micros
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.testing import reference
from noskew.testing.reference import Fact
from tests.translation import matrix
from tests.translation.engines import bits

ROWS = matrix.rows()
BATCH = pa.Table.from_pylist(ROWS, schema=matrix.SOURCE.schema.arrow)
LATER = to_micros(ROWS[-1]["at"]) + 3_600_000_000
#: What one framework cannot say. PostgreSQL has no integer of one byte: it is one of two.
OTHER_TYPES = {"PostgreSQL": {"kept_i8": "int16"}}


def expected(front_end: str) -> list[dict[str, Any]]:
    """The values of each row. pandas takes NaN for a missing value."""
    made = [matrix.expected(row) for row in ROWS]
    if front_end != "pandas":
        return made
    return [{name: None if _is_nan(v) else v for name, v in row.items()} for row in made]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def columns(view: ns.FeatureView, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values of a view's features, such that equal means equal bits."""
    return {
        name: bits(pa.array([row[name] for row in rows], view.columns[name].to_arrow()))
        for name in view.features
    }


def run(pipeline: Pipeline, batches: list[pa.Table]) -> pa.Table:
    made = [pipeline(batch, known_time=LATER, buckets=1).events for batch in batches]
    return pa.concat_tables(made)


PATHS = {
    "one batch": [BATCH],
    "micro-batches": [BATCH.slice(0, 4), BATCH.slice(4, 1), BATCH.slice(5)],
    "one row at a time": [BATCH.slice(at, 1) for at in range(len(BATCH))],
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("front_end", matrix.FRONT_ENDS)
@pytest.mark.parametrize("streamed", [False, True], ids=["batch", "stream"])
def test_transforms(front_end: str, path: str, *, streamed: bool) -> None:
    view = matrix.view(front_end)
    made = run(Pipeline(view, streamed=streamed), PATHS[path])
    wanted = columns(view, expected(front_end))
    for name in view.features:
        assert bits(made[name]) == wanted[name], name


@pytest.mark.parametrize("front_end", matrix.FRONT_ENDS)
def test_types(front_end: str) -> None:
    view = matrix.view(front_end)
    wanted = {**matrix.OUT, **OTHER_TYPES.get(front_end, {})}
    assert {n: str(view.columns[n]) for n in view.features} == {n: wanted[n] for n in view.features}


@pytest.mark.parametrize("front_end", matrix.FRONT_ENDS)
def test_rows_in_another_order(front_end: str) -> None:
    view, order = matrix.view(front_end), list(reversed(range(len(BATCH))))
    made = run(Pipeline(view), [BATCH.take(order)])
    wanted = columns(view, [expected(front_end)[at] for at in order])
    for name in view.features:
        assert bits(made[name]) == wanted[name], name


@pytest.mark.parametrize("front_end", matrix.FRONT_ENDS)
def test_from_ingest_to_training_and_serving(front_end: str, tmp_path: Path) -> None:
    view = matrix.view(front_end)
    values = [{name: row[name] for name in view.features} for row in expected(front_end)]
    facts = [
        Fact((row["user_id"],), to_micros(row["at"]), LATER, at, values[at])
        for at, row in enumerate(ROWS)
    ]
    users = list(range(8))  # One of them was never seen.
    asked = [(user, row["at"]) for row in ROWS[::3] for user in users]
    config = Config(
        project="matrix",
        offline=OfflineConfig(buckets=2),
        online=OnlineConfig(url="lmdb:///online"),
    )
    with ns.FeatureStore(tmp_path, config=config, clock=ns.FixedClock(LATER)) as store:
        store.apply([ns.FeatureService("all", [view])])
        store.ingest("events", BATCH.slice(0, 7))
        store.ingest("events", BATCH.slice(7))
        table = {"user_id": [u for u, _ in asked], "event_timestamp": [t for _, t in asked]}
        training = store.get_historical_features(table, "all").to_arrow()
        store.materialize()
        online = store.get_online_features("all", {"user_id": users}).to_arrow()
    keys = [((user,), to_micros(at)) for user, at in asked]
    wanted = columns(view, reference.naive_historical(view, facts, keys))
    served = columns(view, [reference.online(view, facts, (user,), LATER) for user in users])
    for name in view.features:
        assert bits(training[name]) == wanted[name], name
        assert bits(online[name]) == served[name], name
