"""A project on which Spark and one process are compared: two entities, every kind of column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

import noskew as ns
from noskew.clock import FixedClock
from noskew.config import Config, OfflineConfig, OnlineConfig

T0 = 1_600_000_000_000_000
UTC = pa.timestamp("us", "UTC")
BUCKETS = 5

USER = ns.Entity("user", {"user_id": int})
PAIR = ns.Entity("pair", {"user_id": int, "shop": str})
ORDERS = ns.Source(
    "orders",
    {
        "user_id": int,
        "shop": str,
        "at": "timestamp",
        "price": float,
        "small": "float32",
        "money": "decimal(18, 2)",
        "day": "date",
        "raw": "bytes",
        "count": "int8",
        "tags": "list<string>",
        "taste": "vector<float32, 3>",
    },
    event_time="at",
)
SPENT = ns.FeatureView(
    "spent",
    entity=USER,
    source=ORDERS,
    features=[
        ns.mean("price", window=["1h", "1d"]),
        ns.sum("money", window="1d"),
        ns.count(window="1h"),
        ns.latest("taste"),
        ns.last_n("small", 3),
        "tags",
        ns.count_distinct("shop"),
        ns.quantile("price", 0.9, window="1d"),
    ],
)
SHOPS = ns.FeatureView(
    "shops",
    entity=PAIR,
    source=ORDERS,
    features=[
        ns.latest("raw"),
        ns.latest("day", max_age="2h"),
        ns.max("count", window="1d"),
        ns.stddev("price", window="1d", name="spread"),
    ],
)
NEVER = ns.FeatureView(
    "never",
    entity=USER,
    source=ns.Source("never", {"user_id": int, "at": "timestamp", "n": int}, event_time="at"),
    features=[ns.count(window="1h", name="never_count"), ns.latest("n")],
)


def over(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"ratio": inputs["offer"] / inputs["price_mean_1d"], "worst": inputs["spread"] * 2}


OVER = ns.OnDemand(
    "over",
    over,
    inputs=[SPENT["price_mean_1d"], SHOPS["spread"]],
    request={"offer": float},
    outputs={"ratio": float, "worst": float},
)
MODEL = ns.FeatureService("model", [SPENT, SHOPS["raw", "day"], NEVER, OVER])


def orders(rows: int, seed: int = 1) -> pa.Table:
    """Events with ties in time, nulls, NaN, and every extreme that a float has."""
    rng = np.random.default_rng(seed)
    price = rng.normal(size=rows)
    price[::7], price[1::11], price[2::13] = np.nan, -0.0, np.inf
    money = rng.integers(-(10**12), 10**12, rows)
    days = rng.integers(-700_000, 2_900_000, rows).astype(np.int32)
    lists = [[None, "", str(n)][: n % 4] for n in range(rows)]
    vectors = [None if i % 9 == 0 else [i, -0.0, float("nan")] for i in range(rows)]
    return pa.table(
        {
            "user_id": pa.array(rng.integers(0, 40, rows), mask=rng.random(rows) < 0.05),
            "shop": pa.array([f"s{n}" for n in rng.integers(0, 4, rows)]),
            "at": pa.array(T0 + rng.integers(0, 200, rows) * 600_000_000).view(UTC),
            "price": pa.array(price, mask=rng.random(rows) < 0.1),
            "small": pa.array(price.astype(np.float32)),
            "money": pa.array([Decimal(int(n)) / 4 for n in money], pa.decimal128(18, 2)),
            "day": pa.array(days).view(pa.date32()),
            "raw": pa.array([bytes([n % 256, 0]) for n in range(rows)], pa.binary()),
            "count": pa.array(rng.integers(-128, 128, rows).astype(np.int8)),
            "tags": pa.array(lists, pa.list_(pa.string())),
            "taste": pa.array(vectors, pa.list_(pa.float32(), 3)),
        }
    )


def asked(rows: int, seed: int = 2) -> pa.Table:
    """Rows that ask, some without a key, some twice, with columns of their own."""
    rng = np.random.default_rng(seed)
    table = pa.table(
        {
            "label": pa.array(np.arange(rows)),
            "user_id": pa.array(rng.integers(0, 45, rows), mask=rng.random(rows) < 0.1),
            "shop": pa.array([f"s{n}" for n in rng.integers(0, 5, rows)]),
            "event_timestamp": pa.array(T0 + rng.integers(0, 130_000_000_000, rows)).view(UTC),
            "offer": pa.array(rng.normal(size=rows)),
            "note": pa.array([None, "x"] * (rows // 2)),
        }
    )
    return pa.concat_tables([table, table.slice(0, 3)])


@contextmanager
def opened(
    root: Path, *, online: str = "lmdb:///online", clock: FixedClock | None = None
) -> Iterator[ns.FeatureStore]:
    """The project's store in a directory; Spark is the session that is active."""
    config = Config(
        project="shop",
        offline=OfflineConfig(buckets=BUCKETS),
        online=OnlineConfig(url=online),
    )
    clock = clock or FixedClock("2030-01-01T00:00:00Z")
    with ns.FeatureStore(root, config=config, clock=clock) as store:
        store.apply([MODEL, ns.FeatureService("rest", [SHOPS])], uncertified=True)
        yield store
