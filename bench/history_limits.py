"""Point-in-time joins by hand, in DuckDB and in Polars, on noskew's own Parquet files.

One join in a process of its own, which imports nothing of noskew, so that its memory is its own.
The clock runs over reading the files, joining, and having the answer as an Arrow table.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from bench.timing import peak_bytes, resident_bytes

KEY, TIME = "entity_id", "event_timestamp"
Task = Mapping[str, Any]
Join = Callable[[pa.Table], pa.Table]


def duckdb_latest(task: Task, *, only_asked: bool = False) -> Join:
    columns = ", ".join(f"f.{n}" for n in task["features"])
    where = f"WHERE {KEY} IN (SELECT {KEY} FROM asked)" if only_asked else ""
    return _duckdb(
        task,
        f"SELECT a.{KEY}, a.{TIME}, a.row, {columns} FROM asked a "
        f"ASOF LEFT JOIN (SELECT * FROM events {where}) f "
        f"ON a.{KEY} = f.{KEY} AND a.{TIME} >= f._event_time",
    )


def duckdb_windows(task: Task) -> Join:
    """One range join over the widest window, with filtered aggregates for the others."""
    starts, values = [], []
    for name, (width, hop) in task["windows"].items():
        starts.append(f"(epoch_us({TIME}) - {width}) // {hop} * {hop} AS from_{name}")
        for function, column in (("count", "t"), ("avg", "f0"), ("max", "f0")):
            inside = f"FILTER (e.t > a.from_{name})"
            values.append(f"{function}(e.{column}) {inside} AS {function}_{name}")
    widest = max(task["windows"], key=lambda n: task["windows"][n][0])
    return _duckdb(
        task,
        f"""SELECT a.{KEY}, a.row, {", ".join(values)}
        FROM (SELECT *, epoch_us({TIME}) AS t, {", ".join(starts)} FROM asked) a
        LEFT JOIN (SELECT {KEY}, epoch_us(_event_time) AS t, f0 FROM events) e
        ON a.{KEY} = e.{KEY} AND e.t <= a.t AND e.t > a.from_{widest}
        GROUP BY a.{KEY}, a.row""",
    )


def duckdb_windows_framed(task: Task) -> Join:
    """Asking rows and events in one ordered partition, framed by RANGE as wide as is aligned."""
    frames, values = [], []
    for name, (width, hop) in task["windows"].items():
        reach = f"(t - ((t - {width}) // {hop} * {hop}) - 1)"
        frames.append(
            f"w{name} AS (PARTITION BY {KEY} ORDER BY t "
            f"RANGE BETWEEN {reach} PRECEDING AND CURRENT ROW)"
        )
        for function, column in (("count", "seen"), ("avg", "f0"), ("max", "f0")):
            values.append(f"{function}({column}) OVER w{name} AS {function}_{name}")
    return _duckdb(
        task,
        f"""SELECT * EXCLUDE (t, f0, seen) FROM (
            SELECT {KEY}, t, f0, seen, row, {", ".join(values)} FROM (
                SELECT {KEY}, epoch_us(_event_time) AS t, f0, 1 AS seen, NULL AS row FROM events
                UNION ALL
                SELECT {KEY}, epoch_us({TIME}), NULL, NULL, row FROM asked)
            WINDOW {", ".join(frames)})
        WHERE row IS NOT NULL""",
    )


def _duckdb(task: Task, query: str) -> Join:
    import duckdb

    connection = duckdb.connect()
    files = ", ".join("'{}'".format(f.replace("'", "''")) for f in task["files"])
    connection.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{files}])")
    connection.sql("SELECT 1").to_arrow_table()

    def join(rows: pa.Table) -> pa.Table:
        connection.register("asked", rows)
        return connection.sql(query).to_arrow_table()

    return join


def polars_latest(task: Task) -> Join:
    import polars as pl

    pl.Series([1, 2]).sum()

    def join(rows: pa.Table) -> pa.Table:
        asked = pl.from_arrow(rows)
        assert isinstance(asked, pl.DataFrame)
        events = pl.scan_parquet(task["files"]).select(
            KEY, pl.col("_event_time").alias(TIME), *task["features"]
        )
        # The files are sorted by entity and time, which is the order within `by` that it needs.
        return (
            asked.lazy()
            .sort(TIME)
            .join_asof(events, on=TIME, by=KEY, strategy="backward", check_sortedness=False)
            .collect()
            .to_arrow()
        )

    return join


SYSTEMS: Mapping[str, Callable[[Task], Join]] = {
    "duckdb": duckdb_latest,
    "duckdb semi": lambda task: duckdb_latest(task, only_asked=True),
    "polars": polars_latest,
    "duckdb joined": duckdb_windows,
    "duckdb framed": duckdb_windows_framed,
}


def measure(task: Task, join: Join) -> dict[str, float]:
    """Time one join, and keep the answer of the first run.

    ``peak`` is the greatest resident memory of the process, ``answer`` the bytes of the answer.
    """
    rows = pq.read_table(task["rows"])
    before = resident_bytes()
    start = time.perf_counter()
    answer = join(rows)
    seconds = time.perf_counter() - start
    peak = peak_bytes()
    size = answer.nbytes
    assert len(answer) == len(rows), (len(answer), len(rows))
    if task["run"] == 0:
        features = [c for c in answer.column_names if c not in (KEY, TIME)]
        answer = answer.select(features).sort_by("row")
        feather.write_feather(answer, Path(task["answer"]), compression="uncompressed")
    return {"seconds": seconds, "peak": peak, "before": before, "answer": size}


def main() -> None:
    task = json.loads(sys.argv[1])
    print(json.dumps(measure(task, SYSTEMS[task["system"]](task))))


if __name__ == "__main__":
    main()
