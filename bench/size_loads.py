"""Loads of one source, in a process of its own: the child of :mod:`bench.size`.

    python -m bench.size_loads '{"root": …, "source": …, "events": …, "runs": …}'

Prints the seconds of each ingest into all of the source's views and of each materialization of
these, by the clock and of processor time. The first load makes tables and warms up, and is not
counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import noskew as ns
from bench.size_project import events

#: Seconds for all loads; there are two at least, of which the second counts.
_PATIENCE = 8.0


def main() -> None:
    task = json.loads(sys.argv[1])
    took: dict[str, list[tuple[float, float]]] = {"ingest": [], "materialize": [], "limit": []}
    with ns.FeatureStore(task["root"]) as store:
        views = [n for n, v in store.applied.project.views.items() if _reads(v, task["source"])]
        start = time.perf_counter()
        for turn in range(task["runs"] + 1):
            if turn > 1 and time.perf_counter() - start > _PATIENCE:
                break
            batch = events(task["events"], turn)
            times = {
                "ingest": _seconds(store.ingest, task["source"], batch),
                "materialize": _seconds(store.materialize, views),
                "limit": _seconds(_write_bare, Path(task["root"]), batch, len(views)),
            }
            for step, seconds in times.items():
                if turn:
                    took[step].append(seconds)
    print(json.dumps(took))


def _reads(view: ns.FeatureView, source: str) -> bool:
    return view.source.name == source


def _write_bare(root: Path, batch: pa.Table, views: int) -> None:
    for number in range(views):
        pq.write_table(batch, root / f"bare-{number}.parquet")


def _seconds(call: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """By the clock, and of this process's processor time."""
    start, work = time.perf_counter(), time.process_time()
    call(*arguments)
    return time.perf_counter() - start, time.process_time() - work


if __name__ == "__main__":
    main()
