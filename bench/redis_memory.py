"""What a feature costs in Redis: memory used, keys and overhead included, per float64."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from bench.data import ENTITIES, Shape
from bench.result import Result
from bench.servers import redis_server


def run() -> Iterator[Result]:
    """Views of 10 and of 50 features; the limit is 8 bytes a value under an 8-byte key."""
    for features in (10, 50):
        shape = Shape(rows=ENTITIES, features=features)
        ours, bare = _bytes_ours(shape), _bytes_bare(features)
        yield Result(
            f"bytes_per_feature.{features}",
            ours / ENTITIES / features,
            "bytes",
            bare / ENTITIES / features,
            f"growth of used_memory by {ENTITIES:,} entities × {features} float64 in one view; "
            f"limit: SET of {8 * features} bytes under a key of 8",
        )


def _bytes_ours(shape: Shape) -> int:
    with redis_server() as port, shape.open(online=f"redis://127.0.0.1:{port}/0") as store:
        client = redis.Redis(port=port)
        store.online.ping()
        before = client.info("memory")["used_memory"]
        store.materialize(full=True)
        store.close()
        return int(client.info("memory")["used_memory"] - before)


def _bytes_bare(features: int) -> int:
    with redis_server() as port:
        client = redis.Redis(port=port)
        client.ping()
        before = client.info("memory")["used_memory"]
        row = bytes(8 * features)
        for at in range(0, ENTITIES, 10_000):
            client.mset({i.to_bytes(8, "big"): row for i in range(at, at + 10_000)})
        return int(client.info("memory")["used_memory"] - before)
