"""Feast doing the benchmarks' jobs: one task a process, JSON in, JSON out.

Runs in ``.venv-feast``, by path, and imports nothing of noskew. Feast is tuned: its registry is
cached for ever, keys are in the newest serialization, Redis is asked without the duplicate check
and written 10,000 rows at a time, requests are columnar, DuckDB and ibis are imported before the
clock starts, and PYTHONOPTIMIZE=1 leaves out its run-time type checks.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    ValueType,
    types,
)

KEY, TIME = "entity_id", "event_timestamp"
Task = dict[str, Any]


def open_store(task: Task, *, offline: str = "duckdb") -> FeatureStore:
    """A Feast project in the task's folder, with Redis online."""
    folder = Path(task["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    online: Any = {"type": "sqlite", "path": str(folder / "online.db")}
    if "redis" in task:
        online = {"type": "redis", "skip_dedup": True, "connection_string": task["redis"]}
    config = {
        "project": "bench",
        "provider": "local",
        "registry": {"path": str(folder / "registry.db"), "cache_ttl_seconds": 0},
        "online_store": online,
        "offline_store": {"type": offline},
        "entity_key_serialization_version": 3,
        "auth": {"type": "no_auth"},
        "materialization": {"online_write_batch_size": 10_000},
    }
    (folder / "feature_store.yaml").write_text(json.dumps(config))  # JSON is YAML
    return FeatureStore(repo_path=str(folder))


def define(store: FeatureStore, task: Task) -> FeatureView:
    """One view of the task's features over its file."""
    entity = Entity(name="thing", join_keys=[KEY], value_type=ValueType.INT64)
    source = FileSource(name="events", path=task["events"], timestamp_field=TIME)
    fields = [Field(name=n, dtype=types.Float64) for n in task["features"]]
    view = FeatureView(
        name="newest",
        entities=[entity],
        ttl=timedelta(0),
        online=True,
        source=source,
        schema=[Field(name=KEY, dtype=types.Int64), *fields],
    )
    plain = FeatureService(name="plain", features=[view])
    store.apply([entity, view, plain])
    return view


def references(task: Task) -> list[str]:
    return [f"newest:{n}" for n in task["features"]]


def load(task: Task) -> dict[str, float]:
    """Fill the online store, and its precomputed vectors, for ``online`` and the server."""
    store = open_store(task)
    view = define(store, task)
    frame = pq.read_table(task["events"]).to_pandas()
    frame = frame[frame[KEY] < task["entities"]]
    # Feast stamps what it writes with the time of writing.
    frame[TIME] = datetime.now(UTC)  # noqa: TID251
    start = time.perf_counter()
    for at in range(0, len(frame), 10_000):
        store.write_to_online_store("newest", frame.iloc[at : at + 10_000])
    loaded = time.perf_counter()
    store.apply([FeatureService(name="vector", features=[view], precompute_online=True)])
    store.precompute_feature_service("vector")
    return {"load": loaded - start, "precompute": time.perf_counter() - loaded}


def online(task: Task) -> dict[str, list[float]]:
    """Seconds per call, to_dict included, by way of asking and run."""
    store = open_store(task)
    names = task["features"]
    ways = {
        "refs": (references(task), False, ""),
        "service": (store.get_feature_service("plain"), False, ""),
        "precomputed": (store.get_feature_service("vector"), True, "newest__"),
    }
    table = pq.read_table(task["events"])
    values = table.take(pc.sort_indices(table, sort_keys=[(KEY, "ascending")]))
    took: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(task["runs"] + 1):
        for way, (features, full, prefix) in ways.items():
            spent, calls = 0.0, 0
            while spent < task["seconds"] or calls < 2:
                ids = task["batches"][calls % len(task["batches"])]
                start = time.perf_counter()
                answer = store.get_online_features(
                    features=features, entity_rows={KEY: ids}, full_feature_names=full
                ).to_dict()
                spent += time.perf_counter() - start
                calls += 1
                if calls == 1:
                    wanted = values.column(names[0]).take(pa.array(ids)).to_pylist()
                    if answer[prefix + names[0]] != wanted:
                        raise AssertionError(f"{way}: wrong values")
            if run:
                took[way].append(spent / calls)
    return took


def history(task: Task) -> dict[str, Any]:
    """A point-in-time join by the DuckDB engine, into Arrow."""
    import ibis

    store = open_store(task)
    define(store, task)
    asked = pq.read_table(task["rows"]).drop(["row"]).to_pandas()
    ibis.memtable({"x": [1]}).to_pyarrow()
    start = time.perf_counter()
    answer = store.get_historical_features(entity_df=asked, features=references(task)).to_arrow()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak": _peak(),
        "rows": len(answer),
        "nulls": [answer.column(n).null_count for n in task["features"]],
        "sums": [pc.sum(answer.column(n)).as_py() for n in task["features"]],
    }


def materialize(task: Task) -> dict[str, float]:
    """A first load of Redis from Parquet."""
    store = open_store(task)
    define(store, task)
    first = datetime(2024, 12, 31, tzinfo=UTC)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        store.materialize(first, first + timedelta(days=100))
    seconds = time.perf_counter() - start
    ids = [0, task["entities"] // 2, task["entities"] - 1]
    answer = store.get_online_features(features=references(task), entity_rows={KEY: ids}).to_dict()
    if any(answer[n].count(None) for n in task["features"]):
        raise AssertionError("rows are missing after materialize")
    return {"seconds": seconds, "peak": _peak()}


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) * 1024 for x in status if x.startswith("VmHWM:"))


TASKS = {f.__name__: f for f in (load, online, history, materialize)}


def main() -> None:
    task = json.load(sys.stdin)
    os.chdir(Path(task["folder"]).parent)
    print(json.dumps(TASKS[task["task"]](task)))


if __name__ == "__main__":
    main()
