"""A SELECT over 10 M rows of a Parquet file, and the certification of a view of 10 features.

The limit is DuckDB alone: the same SELECT over the same file, read in Arrow batches, as many
threads. Ours reads the source's batches and makes events of them, as an ingest does: columns
checked against the schema, each event traced to its row, with its clocks, key and bucket.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import noskew as ns
from bench import data
from bench.result import Result
from bench.timing import median, spread
from noskew.certification.certify import certify_view
from noskew.clock import SystemClock
from noskew.registry.records.certificate import Certificate
from noskew.training.ingest import BATCH_ROWS, Ingest, open_connector

_USERS = 1_000_000
_SAMPLE = 2_000
_BUCKETS = 16
SELECT = (
    "SELECT user_id, happened_at, amount * 2 AS twice, items > 500 AS large, "
    "upper(country) AS country, amount + items AS total FROM orders"
)


def run_select(rows: int, runs: int) -> Iterator[Result]:
    """Seconds of the SELECT, ours and DuckDB's in turns."""
    path = _file(rows)
    sides: dict[str, Callable[[Path], int]] = {"noskew": _events, "limit": _bare}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            assert side(path) == rows
            times[name].append(time.perf_counter() - start)
    best = {name: seconds[1:] for name, seconds in times.items()}  # the first run warms up
    yield Result(
        "transform.sql",
        median(best["noskew"]),
        "s",
        median(best["limit"]),
        f"{rows:,} rows of a Parquet file, 5 columns in, 6 out; {runs} runs",
        noise={name: spread(seconds) for name, seconds in best.items()},
    )


def run_certificate(rows: int, runs: int) -> Iterator[Result]:
    """Seconds of certifying a view of 10 features on a sample of its source."""
    view = _view(ns.Parquet(str(_file(rows))))
    certificates = [_certified(view) for _ in range(runs + 1)][1:]
    assert all(c.is_equal for c in certificates)
    seconds = [c.seconds for c in certificates]
    yield Result(
        "certify.10",
        median(seconds),
        "s",
        None,
        f"a view of 10 features, {_SAMPLE:,} rows of its source and {certificates[0].made_up_rows} "
        f"made up, {len(certificates[0].paths)} paths; {runs} runs",
        noise={"noskew": spread(seconds)},
    )


def _certified(view: ns.FeatureView) -> Certificate:
    return certify_view(view, data.workdir(), SystemClock(), sample=_SAMPLE)


def _events(path: Path) -> int:
    view = _view(ns.Parquet(str(path)))
    assert view.source.batch is not None
    source = open_connector(view.source.batch, view.source.schema.arrow)
    run = Ingest(view, source, _BUCKETS, now=2 * data.START, run=1)
    return sum(batch.num_rows for part in source.parts() for batch in run.events(part, None))


def _bare(path: Path) -> int:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.read_parquet(str(path)).create_view("orders")
        return sum(map(len, connection.sql(SELECT).to_arrow_reader(BATCH_ROWS)))


def _view(connector: ns.Parquet) -> ns.FeatureView:
    schema = {
        "user_id": int,
        "happened_at": "timestamp",
        "amount": float,
        "items": int,
        "country": str,
    }
    orders = ns.Source("orders", schema, event_time="happened_at", batch=connector)
    return ns.FeatureView(
        "spending",
        entity=ns.Entity("user", {"user_id": int}),
        source=orders,
        transform=ns.sql(SELECT),
        features=[
            "twice",
            "country",
            ns.sum("total", window=["1h", "1d", "7d"]),
            ns.count(where="large", window=["1d", "7d"]),
            ns.mean("twice", window="1d"),
            ns.max("total", window="7d"),
            ns.count_distinct("country", window="7d"),
        ],
    )


def _file(rows: int) -> Path:
    path = data.workdir() / f"orders-{rows}.parquet"
    if not path.exists():
        draw = np.random.default_rng(5)
        when = data.START + np.arange(rows) * (data.SPAN // rows)
        pq.write_table(
            pa.table(
                {
                    "user_id": draw.integers(0, _USERS, rows),
                    "happened_at": pa.array(when).view(data.UTC),
                    "amount": draw.normal(size=rows),
                    "items": draw.integers(0, 1_000, rows),
                    "country": pa.array(draw.integers(0, 50, rows)).cast(pa.string()),
                }
            ),
            path,
            row_group_size=BATCH_ROWS,
        )
    return path
