"""A process that appends many batches and prints by how many MiB its memory grew at most."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from noskew.stores.offline import BUCKET, EVENT_TIME, KNOWN_TIME, IcebergStore, TableSpec

BUCKETS = 64
ROWS = 65_536
VALUES = [f"v{number}" for number in range(10)]


def batch() -> pa.RecordBatch:
    """About 7 MB of rows, spread over all buckets."""
    numbers = np.arange(ROWS)
    columns = {
        "k": pa.array(numbers % 1_000),
        EVENT_TIME: pa.array(numbers, pa.timestamp("us", "UTC")),
        KNOWN_TIME: pa.array(numbers, pa.timestamp("us", "UTC")),
        BUCKET: pa.array((numbers % BUCKETS).astype(np.int32)),
    }
    columns |= {name: pa.array(np.sin(numbers)) for name in VALUES}
    return pa.RecordBatch.from_pydict(columns)


def peak_mib() -> float:
    """The most memory this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Append a little to have everything loaded, then much."""
    home, count = sys.argv[1], int(sys.argv[2])
    schema = pa.schema([("k", pa.int64()), *((name, pa.float64()) for name in VALUES)])
    one = batch()

    def many() -> Iterator[pa.RecordBatch]:
        for _ in range(count):
            yield one

    with IcebergStore(f"sqlite:///{home}/catalog.db", home) as store:
        store.create(TableSpec("t", schema, ("k",), BUCKETS))
        store.append("t", [one], token="warm")
        before = peak_mib()
        store.append("t", many(), token="many")
        sys.stdout.write(f"{peak_mib() - before:.0f}\n")
        assert store.info("t").rows == (count + 1) * ROWS


if __name__ == "__main__":
    main()
