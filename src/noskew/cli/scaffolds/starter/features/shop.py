"""What a shop knows about a customer. Change it, then run: noskew plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import noskew as ns

customer = ns.Entity("customer", keys={"customer": str})

# Two clocks: an order happens at `ordered_at`, and this store learns of it at `recorded_at`.
orders = ns.Source(
    "orders",
    schema={
        "order_id": int,
        "customer": str,
        "shop": str,
        "amount": float,
        "returned": bool,
        "ordered_at": "timestamp",
        "recorded_at": "timestamp",
    },
    event_time="ordered_at",
    created="recorded_at",
    event_id="order_id",
    batch=ns.Parquet("data/orders.parquet"),
    owner="you",
)

customer_orders = ns.FeatureView(
    "customer_orders",
    entity=customer,
    source=orders,
    features=[
        ns.count(window=["1d", "7d"], name="orders"),
        ns.sum("amount", window=["1d", "7d"], name="spent"),
        ns.mean("amount", window="28d", name="usual_amount"),
        ns.count(where="returned", window="28d", name="returns"),
        ns.top_n("shop", 1, window="28d", name="favourite_shop"),
        ns.latest("amount", name="last_amount", max_age="14d"),
    ],
    description="What a customer bought lately.",
    owner="you",
)


def compare(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """The basket of the moment against what this customer usually spends."""
    return {"basket_ratio": columns["basket"] / columns["usual_amount"]}


basket = ns.OnDemand(
    "basket",
    compare,
    inputs=[customer_orders["usual_amount"]],
    request={"basket": float},
    outputs={"basket_ratio": float},
)

checkout = ns.FeatureService(
    "checkout",
    [customer_orders, basket],
    description="What the model at the checkout reads.",
    owner="you",
)
