"""How late airports and carriers are. The operations team writes SQL."""

from __future__ import annotations

import noskew as ns
from features.ground import airport, carrier, flights

DELAYS = ns.sql(
    """
    SELECT origin, carrier, scheduled_at, arr_delay,
           arr_delay >= 15 AS late,
           departed_at IS NULL AS cancelled
    FROM flights
    """
)

airport_delays = ns.FeatureView(
    "airport_delays",
    entity=airport,
    source=flights,
    transform=DELAYS,
    features=[
        ns.mean("arr_delay", window=["1h", "6h", "1d", "7d"], name="airport_delay"),
        ns.quantile("arr_delay", 0.9, window="6h", name="airport_delay_p90"),
        ns.count(where="late", window=["1h", "6h"], name="airport_late"),
        ns.count(where="cancelled", window="1d", name="airport_cancelled"),
        ns.count(window="6h", name="airport_flights"),
    ],
    description="How late flights from an airport have been.",
    owner="operations",
)

carrier_delays = ns.FeatureView(
    "carrier_delays",
    entity=carrier,
    source=flights,
    transform=DELAYS,
    features=[
        ns.mean("arr_delay", window=["1h", "6h", "1d", "7d"], name="carrier_delay"),
        ns.count(where="late", window="6h", name="carrier_late"),
        ns.count(window="6h", name="carrier_flights"),
    ],
    description="How late a carrier has been.",
    owner="operations",
)
