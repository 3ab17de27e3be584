"""Training sets on a local Spark, beside those of this process on the same rows and tables.

Both are asked in turns by one process, which has started Spark and its Python processes, and warmed
up both on a tiny table of the same types: a job pays for that once. What a second core is worth is
measured on a frame that Spark reads, whose answer goes nowhere: nothing of it is done in one place.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow.parquet as pq

import noskew as ns
from bench import data
from bench.data import TIME, TINY, Shape
from bench.result import Result
from bench.timing import child, median, spread
from noskew.kernel.bits import differences

SERVICES = ("latest", "windows")
FRAME = "frame"
CORES = 2
_MORE_ROWS = 5
Seconds = dict[str, list[float]]


def run(events: int, rows: int, runs: int) -> Iterator[Result]:
    """Both services for rows of one process, and what a second core is worth for a frame."""
    size = f"{rows:,} rows × {events:,} events, session started"
    for service in SERVICES:
        took = _measured(service, events, rows, CORES, runs)
        here, there = took["in process"], took["spark"]
        yield Result(
            f"spark.{service}.1m",
            median(there),
            "s",
            median(here),
            f"{size}, {CORES} cores; limit: the in-process runner; {runs} runs",
            noise={"noskew": spread(there), "limit": spread(here)},
        )
    many = _MORE_ROWS * rows
    took = {cores: _measured(FRAME, events, many, cores, 3)["spark"] for cores in (CORES, 1)}
    yield Result(
        "spark.cores",
        median(took[1]) / median(took[CORES]),
        "×",
        setup=f"time of one core ({median(took[1]):.3g} s) over that of {CORES}: a frame of "
        f"{many:,} rows × {events:,} events, windows; 3 runs",
        noise={f"{cores} cores": spread(times) for cores, times in took.items()},
    )


def _measured(what: str, events: int, rows: int, cores: int, runs: int) -> Seconds:
    task = {"what": what, "shape": asdict(Shape(rows=events)), "cores": cores, "runs": runs}
    Shape(rows=events).root()
    return child("bench.spark", task | {"rows": str(data.rows_file(rows))})


# ------------------------------------------------------------------------- in a child process


def main() -> None:
    from noskew.runners.spark.session import make_session

    task = json.loads(sys.argv[1])
    session = make_session(f"local[{task['cores']}]", {"spark.driver.memory": "2g"})
    measure = _frame if task["what"] == FRAME else _table
    tiny = {"rows": str(data.rows_file(2_000, entities=TINY.entities)), "runs": 2}
    try:
        with TINY.open() as store:
            measure(store, task | tiny)
        with Shape(**task["shape"]).open() as store:
            print(json.dumps(measure(store, task)))
    finally:
        session.stop()


def _table(store: ns.FeatureStore, task: dict[str, Any]) -> Seconds:
    """Rows of this process, by both runners in turns."""
    rows, service = pq.read_table(task["rows"]), task["what"]
    took: Seconds = {"in_process": [], "spark": []}
    answers = {}
    for _ in range(task["runs"] + 1):
        for runner, seconds in took.items():
            start = time.perf_counter()
            training_set = store.get_historical_features(
                rows, service, event_time=TIME, runner=runner
            )
            answers[runner] = training_set.to_arrow()
            seconds.append(time.perf_counter() - start)
    assert differences(answers["in_process"], answers["spark"]) == {}
    return {"in process": took["in_process"][1:], "spark": took["spark"][1:]}  # the first warms up


def _frame(store: ns.FeatureStore, task: dict[str, Any]) -> Seconds:
    """Rows that Spark reads from a file."""
    from pyspark.sql import SparkSession

    session = SparkSession.active()
    # Of one file, Spark makes a partition for each 128 MiB, unless it is told otherwise.
    session.conf.set("spark.sql.files.maxPartitionBytes", str(4 << 20))
    took = []
    for _ in range(task["runs"] + 1):
        start = time.perf_counter()
        rows = session.read.parquet(task["rows"])
        training_set = store.get_historical_features(rows, "windows", event_time=TIME)
        training_set.to_spark().write.format("noop").mode("overwrite").save()
        took.append(time.perf_counter() - start)
    return {"spark": took[1:]}


if __name__ == "__main__":
    main()
