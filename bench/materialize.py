"""Filling an online store from the offline table: 1 M entities of 10 features.

The limit puts rows that are ready, keys and bytes in lists, in the order in which the offline
table has them: LMDB by ``putmulti``, with one flush at the end as ours has; Redis by ``MSET`` of
10,000 rows through redis-py. It compares no versions, reads no table and packs nothing. "sorted"
is LMDB with rows that were in the order of their keys, over all buckets, before the clock started.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather

import noskew as ns
from bench import data
from bench.data import KEY, TINY, Shape
from bench.result import Result
from bench.servers import redis_server
from bench.timing import child, median, peak_bytes, spread
from noskew.intake.tables import table_name

_LMDB_ROWS = 32_768
_REDIS_ROWS = 10_000


class Case:
    """One size of table into one kind of store, in turns with its limit."""

    def __init__(self, store: str, rows: int) -> None:
        self.store, self.shape = store, Shape(rows=rows, entities=rows)
        self.runs: dict[str, list[dict[str, float]]] = {"noskew": [], "limit": []}
        if store == "lmdb":
            self.runs["sorted"] = []

    def run(self, times: int) -> Case:
        for _ in range(times):
            for system in self.runs:
                self._once(system)
        return self

    def run_ours(self, times: int) -> Case:
        """Without the limits."""
        for _ in range(times):
            self._once("noskew")
        return self

    def _once(self, system: str) -> None:
        ready = str(data.workdir() / f"ready-{self.shape.root().name}.feather")
        with _address(self.store) as url:
            task = {"system": system, "rows": self.shape.rows, "url": url, "ready": ready}
            self.runs[system].append(child("bench.materialize", task))

    def seconds(self, system: str = "noskew") -> float:
        return median([r["seconds"] for r in self.runs[system]])

    def peak(self) -> float:
        return median([r["peak"] for r in self.runs["noskew"]])

    def result(self, name: str) -> Result:
        times = {s: [r["seconds"] for r in loads] for s, loads in self.runs.items()}
        return Result(
            name,
            self.seconds(),
            "s",
            self.seconds("limit"),
            f"{self.shape.rows:,} entities × {self.shape.features} float64, one event each, "
            f"first load of an empty store; {len(times['noskew'])} runs",
            {s: median(times[s]) for s in times if s not in ("noskew", "limit")},
            noise={s: spread(t) for s, t in times.items()},
        )


@contextmanager
def _address(store: str) -> Iterator[str]:
    """The address of an empty store."""
    if store == "lmdb":
        yield f"lmdb:///{data.fresh('materialized')}"
        return
    with redis_server() as port:
        yield f"redis://127.0.0.1:{port}/0"


# ------------------------------------------------------------------------- in a child process


def main() -> None:
    task = json.loads(sys.argv[1])
    shape = Shape(rows=task["rows"], entities=task["rows"])
    seconds = _ours(task, shape) if task["system"] == "noskew" else _bare(task)
    print(json.dumps({"seconds": seconds, "peak": peak_bytes()}))


def _ours(task: dict[str, Any], shape: Shape) -> float:
    with TINY.open(online=f"lmdb:///{data.fresh('tiny')}") as tiny:
        tiny.materialize(full=True)
    with shape.open(online=task["url"]) as store:
        _ = store.offline, store.applied, store.online
        start = time.perf_counter()
        done = store.materialize(full=True)
        seconds = time.perf_counter() - start
        assert done[0].changed == shape.rows, done
        _keep_ready(task["ready"], store)
    return seconds


def _keep_ready(path: str, store: ns.FeatureStore) -> None:
    """The rows as they are stored, in the order of the offline table; made once."""
    if Path(path).exists():
        return
    view = store.applied.project.view("newest")
    plan = store.reader("latest").plan
    keys: list[bytes] = []
    for bucket in range(store.config.offline.buckets):
        table = store.offline.read(table_name(view), [KEY], bucket=bucket)
        keys += plan.store_keys({KEY: table.column(KEY).to_pylist()})  # type: ignore[arg-type]
    table = pa.table({"key": keys, "row": store.online.read(keys)})
    feather.write_feather(table, path, compression="uncompressed")


def _bare(task: dict[str, Any]) -> float:
    table = feather.read_table(task["ready"])
    if task["system"] == "sorted":
        table = table.sort_by("key")
    keys, rows = table.column("key").to_pylist(), table.column("row").to_pylist()
    put = _put_lmdb if task["url"].startswith("lmdb") else _put_redis
    return put(task["url"], keys, rows)


def _put_lmdb(url: str, keys: list[bytes], rows: list[bytes]) -> float:
    import lmdb

    folder = url.removeprefix("lmdb:///")
    Path(folder).mkdir(parents=True)
    with lmdb.open(folder, map_size=4 << 30, sync=False) as environment:
        start = time.perf_counter()
        for at in range(0, len(keys), _LMDB_ROWS):
            end = at + _LMDB_ROWS
            with environment.begin(write=True) as transaction:
                transaction.cursor().putmulti(zip(keys[at:end], rows[at:end], strict=True))
        environment.sync(True)
        return time.perf_counter() - start


def _put_redis(url: str, keys: list[bytes], rows: list[bytes]) -> float:
    import redis

    client = redis.Redis.from_url(url)
    client.ping()
    start = time.perf_counter()
    with client.pipeline(transaction=False) as pipeline:
        for at in range(0, len(keys), _REDIS_ROWS):
            end = at + _REDIS_ROWS
            pipeline.mset(dict(zip(keys[at:end], rows[at:end], strict=True)))
            if at // _REDIS_ROWS % 8 == 7:
                pipeline.execute()
        pipeline.execute()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
