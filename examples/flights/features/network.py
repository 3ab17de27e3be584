"""How long routes take. The network team writes PySpark."""

from __future__ import annotations

# With `from pyspark.sql import functions as F` it is the same view, of the same hash. These are
# the same functions without Spark, which nothing here needs.
from sqlframe.duckdb import functions as F

import noskew as ns
from features.ground import flights, route


def arrivals(rows):
    """Flights that ended where they should: a diversion does not tell how long its route is."""
    return rows.where(F.col("arr_delay").isNotNull()).select(
        "origin", "dest", "scheduled_at", "elapsed_minutes", "arr_delay"
    )


route_times = ns.FeatureView(
    "route_times",
    entity=route,
    source=flights,
    transform=ns.pyspark(arrivals),
    features=[
        ns.mean("elapsed_minutes", window="28d", name="typical_minutes"),
        ns.mean("arr_delay", window="28d", name="route_delay"),
    ],
    description="How long a route takes from gate to gate, and how late it is.",
    owner="network",
)
