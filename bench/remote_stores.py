"""Redis and DynamoDB side by side: ``python -m bench.remote_stores`` prints a table.

Both are on this machine, so what is measured is the work of client and server, without a network:
rows of 400 bytes, sides alternating. DynamoDB's server is that of the tests.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from time import perf_counter

from noskew.stores.online import open_store
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.dynamodb import create_table
from tests import dynamodb_server as dynamodb
from tests import servers

_ROWS, _ROW_BYTES, _ROUNDS = 20_000, 400, 10
_CALLS = {1: 500, 100: 100}


def main() -> None:
    """Measure, and print what the how-to shows."""
    os.environ.update(dynamodb.CREDENTIALS)
    random_ = random.Random(1)
    keys = [b"%08d" % i for i in range(_ROWS)]
    rows = [(1).to_bytes(16, "big") + random_.randbytes(_ROW_BYTES - 16) for _ in keys]
    with ExitStack() as stack:
        server = stack.enter_context(dynamodb.dynamodb_server())
        redis = stack.enter_context(servers.redis_server())
        create_table(server.url("rows"))
        stores = {
            "Redis": stack.enter_context(open_store(redis.url)),
            "DynamoDB": stack.enter_context(open_store(server.url("rows"))),
        }
        print("| | " + " | ".join(stores) + " |\n|---|" + "---|" * len(stores))
        _print("writes, rows/s", {n: f"{_writes(s, keys, rows):,.0f}" for n, s in stores.items()})
        for count in _CALLS:
            times: dict[str, list[float]] = {name: [] for name in stores}
            for _ in range(_ROUNDS):
                for name, store in stores.items():
                    times[name] += _reads(store, keys, count, random_)
            for part, share in (("p50", 0.5), ("p99", 0.99)):
                each = {name: _quantile(ts, share) for name, ts in times.items()}
                _print(
                    f"read of {count}, {part}, ms", {n: f"{t * 1e3:.2f}" for n, t in each.items()}
                )
            rates = {name: count / _quantile(ts, 0.5) for name, ts in times.items()}
            _print(f"read of {count}, rows/s", {n: f"{r:,.0f}" for n, r in rates.items()})


def _writes(store: OnlineStore, keys: Sequence[bytes], rows: Sequence[bytes]) -> float:
    rates = []
    step = len(keys) // _ROUNDS
    for at in range(0, len(keys), step):
        begun = perf_counter()
        store.write(keys[at : at + step], rows[at : at + step])
        rates.append(step / (perf_counter() - begun))
    return statistics.median(rates)


def _reads(
    store: OnlineStore, keys: Sequence[bytes], count: int, random_: random.Random
) -> list[float]:
    times = []
    for _ in range(_CALLS[count]):
        asked = random_.sample(keys, count)
        begun = perf_counter()
        store.read(asked)
        times.append(perf_counter() - begun)
    return times


def _quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


def _print(name: str, values: Mapping[str, str]) -> None:
    print(f"| {name} | " + " | ".join(values.values()) + " |")


if __name__ == "__main__":
    main()
