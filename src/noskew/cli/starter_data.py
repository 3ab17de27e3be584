"""The data of the starter project: the last 30 days of a small shop's orders."""

from __future__ import annotations

from pathlib import Path

SHOPS = ("anchor", "bakery", "corner")
CUSTOMERS = 200
ORDERS = 5_000
_DAY = 86_400_000_000


def write_starter_data(folder: Path, *, now: int) -> None:
    """Write ``orders.parquet`` and ``questions.parquet`` into ``folder``.

    Orders happen over the 30 days before ``now`` (µs), and are known up to two hours after. Each
    question is a customer, a basket and a time: the rows of a training set. Nothing but ``now``
    decides on the content.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(7)
    when = pa.timestamp("us", "UTC")
    names = np.array([f"c{i:03d}" for i in range(CUSTOMERS)])
    start = now - 30 * _DAY
    # A few customers order often, most seldom.
    weight = 1 / np.arange(1, CUSTOMERS + 1)
    ordered = np.sort(start + random.integers(0, 30 * _DAY, ORDERS))
    orders = {
        "order_id": pa.array(np.arange(ORDERS)),
        "customer": pa.array(random.choice(names, ORDERS, p=weight / weight.sum())),
        "shop": pa.array(random.choice(SHOPS, ORDERS)),
        "amount": pa.array(np.round(random.lognormal(3, 0.8, ORDERS), 2)),
        "returned": pa.array(random.random(ORDERS) < 0.08),
        "ordered_at": pa.array(ordered, when),
        "recorded_at": pa.array(
            np.minimum(ordered + random.integers(0, 7_200_000_000, ORDERS), now), when
        ),
    }
    asked = np.sort(start + random.integers(8 * _DAY, 30 * _DAY, 500))
    questions = {
        "customer": pa.array(random.choice(names, 500)),
        "basket": pa.array(np.round(random.lognormal(3, 0.8, 500), 2)),
        "event_timestamp": pa.array(asked, when),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(orders), folder / "orders.parquet")
    pq.write_table(pa.table(questions), folder / "questions.parquet")
