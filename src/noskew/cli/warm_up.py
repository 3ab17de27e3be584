"""Compiling the kernel ahead of use: every compiled function is called once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

import noskew as ns
from noskew.definitions.aggregation import FeatureSpec
from noskew.definitions.project import Definition
from noskew.feature_store import FeatureStore

_ROWS = 2_000
_ENTITIES = 100
_DAY = 86_400_000_000


def warm_up() -> float:
    """Run views with every aggregate once, in a temporary folder; returns the seconds it took.

    They are ingested and streamed, materialized and read, online and as a training set, so that
    every compiled function is called with the types it has in use.
    """
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="noskew-warm-") as folder:
        root = Path(folder)
        (root / "noskew.toml").write_text('project = "warm"\n')
        with ns.FeatureStore(root) as store:
            _use(store)
    return perf_counter() - started


def _use(store: FeatureStore) -> None:
    now = store.clock.now()
    # Uncertified: these are nobody's definitions, and nobody is served from here.
    store.apply(_definitions(), uncertified=True)
    facts = _facts(now)
    store.ingest("facts", facts)
    store.ingest("facts", facts.slice(_ROWS // 2))  # what is there no more is taken back
    store.materialize()
    for half in (facts.slice(0, _ROWS // 2), facts.slice(_ROWS // 2)):
        store.push("stream", half)
        store.stream("stream")
    keys = facts.select(["number", "name"])
    questions = keys.append_column("event_timestamp", facts.column("at"))
    for count in (1, _ENTITIES):
        store.get_online_features("all", keys.slice(0, count))
        store.get_historical_features(questions.slice(0, count), "facts", known_at="row")
    store.get_historical_features(questions, "all")


def _definitions() -> list[Definition]:
    entities = [ns.Entity("number", {"number": int}), ns.Entity("name", {"name": str})]
    columns = {
        "id": int,
        "number": int,
        "name": str,
        "at": "timestamp",
        "real": float,
        "flag": bool,
    }
    # Events of a name are in either partition, so its rows are merged at read.
    log = ns.LocalLog(partitions=2, key=("number",))
    facts = ns.Source(
        "facts", columns, event_time="at", created="at", event_id="id", changes="replace"
    )
    stream = ns.Source("stream", columns, event_time="at", stream=log)
    views = {
        source.name: [
            ns.FeatureView(
                f"{source.name}_{kind}_by_{entity.name}",
                entity=entity,
                source=source,
                features=features,
            )
            for entity in entities
            for kind, features in _features().items()
        ]
        for source in (facts, stream)
    }
    return [
        ns.FeatureService("facts", views["facts"], full_names=True),
        ns.FeatureService("all", [*views["facts"], *views["stream"]], full_names=True),
    ]


def _features() -> dict[str, list[FeatureSpec]]:
    """Those that add up, which have a faster way to be read, and the others."""
    windows = ["1h", "7d"]
    sums: list[FeatureSpec] = [ns.count(window=windows), ns.count(where="flag")]
    others: list[FeatureSpec] = [ns.latest("real"), ns.latest("flag")]
    for column in ("number", "real"):
        sums += [make(column, window=windows) for make in (ns.sum, ns.mean, ns.var)]
        sums += [ns.sum(column)]
        others += [ns.quantile(column, 0.5, window="7d"), ns.sum(column, window="1d", hop="exact")]
    for column in ("number", "name", "real"):
        others += [
            ns.count_distinct(column, window="7d"),
            ns.top_n(column, 3, window="7d"),
            ns.last_n(column, 3, window="7d"),
            ns.first_value(column, window="7d"),
            ns.min(column, window=windows),
            ns.max(column, window="1d", hop="exact"),
        ]
    return {"sums": sums, "others": others}


def _facts(now: int) -> pa.Table:
    draw = np.random.default_rng(7)
    number = draw.integers(0, _ENTITIES, _ROWS)
    at = np.sort(now - draw.integers(0, 9 * _DAY, _ROWS))
    return pa.table(
        {
            "id": np.arange(_ROWS),
            "number": number,
            "name": pa.array(number).cast(pa.string()),
            "at": pa.array(at).view(pa.timestamp("us", "UTC")),
            "real": draw.lognormal(3, 0.8, _ROWS),
            "flag": draw.random(_ROWS) < 0.5,
        }
    )
