"""One point-in-time join by noskew, in a process of its own.

Imports, and compiled kernels from their cache, are loaded before the clock starts, on a tiny
table of the same types: a training job pays them once.
"""

from __future__ import annotations

import json
import sys

import pyarrow as pa

from bench import data
from bench.data import TIME, TINY, Shape
from bench.history_limits import measure


def main() -> None:
    task = json.loads(sys.argv[1])
    with TINY.open() as tiny:
        few = data.asking_rows(1_000, entities=TINY.entities)
        tiny.get_historical_features(few, task["service"], event_time=TIME)
    with Shape(**task["shape"]).open() as store:
        _ = store.offline, store.applied

        def join(rows: pa.Table) -> pa.Table:
            return store.get_historical_features(rows, task["service"], event_time=TIME).to_arrow()

        print(json.dumps(measure(task, join)))


if __name__ == "__main__":
    main()
