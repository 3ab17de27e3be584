"""How late flights are right now: what an airport's board knows, folded as reports come."""

from __future__ import annotations

import noskew as ns

# ---------------------------------------------------------------- who is described

airport = ns.Entity("airport", keys={"origin": str}, description="EWR, JFK or LGA")
route = ns.Entity("route", keys={"origin": str, "dest": str})
plane = ns.Entity("plane", keys={"tailnum": str}, description="an aircraft's registration")

# ---------------------------------------------------------------- where it comes from

# A flight is reported twice: when it has left, and when it has reached its gate. Each report may
# come more than once; `event_id` makes sure that it counts once. When a report was known is what
# the log says: the time at which it was appended.
FLIGHT = {"flight_id": str, "origin": str, "dest": str, "carrier": str, "tailnum": str}

departures = ns.Source(
    "departures",
    schema={**FLIGHT, "departed_at": "timestamp", "dep_delay": float},
    event_time="departed_at",
    event_id="flight_id",
    stream=ns.LocalLog(),
    owner="operations",
)

arrivals = ns.Source(
    "arrivals",
    schema={**FLIGHT, "landed_at": "timestamp", "arr_delay": float, "elapsed_minutes": float},
    event_time="landed_at",
    event_id="flight_id",
    stream=ns.LocalLog(),
    owner="operations",
)

# ---------------------------------------------------------------- features

# Reports come in any order. One is late when it lies further back than this behind the newest;
# it counts all the same (late="fold" is the default), and is counted as late.
LATENESS = "30min"

airport_departures = ns.FeatureView(
    "airport_departures",
    entity=airport,
    source=departures,
    features=[
        ns.count(window=["1h", "1d"], name="departures"),
        ns.mean("dep_delay", window=["1h", "6h", "7d"], name="departure_delay"),
        ns.quantile("dep_delay", 0.9, window="6h", name="departure_delay_p90"),
        ns.count_distinct("dest", window="1d", name="destinations"),
    ],
    lateness=LATENESS,
    description="What leaves an airport, and how late.",
    owner="operations",
)

airport_arrivals = ns.FeatureView(
    "airport_arrivals",
    entity=airport,
    source=arrivals,
    transform=ns.sql("SELECT origin, landed_at, arr_delay, arr_delay >= 15 AS late FROM arrivals"),
    features=[
        ns.mean("arr_delay", window=["1h", "6h", "1d"], name="arrival_delay"),
        ns.stddev("arr_delay", window="6h", name="arrival_delay_spread"),
        ns.count(where="late", window=["1h", "6h"], name="late_arrivals"),
    ],
    lateness=LATENESS,
    description="How late flights from an airport arrive.",
    owner="operations",
)

route_arrivals = ns.FeatureView(
    "route_arrivals",
    entity=route,
    source=arrivals,
    features=[
        ns.mean("elapsed_minutes", window="7d", name="route_minutes"),
        ns.last_n("arr_delay", 3, window="7d", name="route_last_delays"),
    ],
    lateness=LATENESS,
    description="How long a route takes from gate to gate, and its last delays.",
    owner="operations",
)

plane_arrivals = ns.FeatureView(
    "plane_arrivals",
    entity=plane,
    source=arrivals,
    features=[
        ns.last_value("arr_delay", window="1d", name="plane_last_delay"),
        ns.sum("elapsed_minutes", window="7d", name="plane_minutes"),
    ],
    lateness=LATENESS,
    description="How late an aircraft came last, and how much it flies.",
    owner="operations",
)

# ---------------------------------------------------------------- what the board reads

delay_board = ns.FeatureService(
    "delay_board",
    [airport_departures, airport_arrivals],
    description="An airport at this moment.",
    owner="operations",
)
