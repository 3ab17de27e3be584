"""What is known about a flight an hour before it leaves New York."""

from __future__ import annotations

import numpy as np

import noskew as ns

# ---------------------------------------------------------------- who is described

airport = ns.Entity("airport", keys={"origin": str}, description="EWR, JFK or LGA")
carrier = ns.Entity("carrier", keys={"carrier": str}, description="an airline's code: UA, B6, …")
route = ns.Entity("route", keys={"origin": str, "dest": str})
plane = ns.Entity("plane", keys={"tailnum": str}, description="an aircraft's registration")

# ---------------------------------------------------------------- where it comes from

# A flight happens when it was scheduled to leave. How late it was is known when it is over:
# `created` is what keeps a training set from seeing delays that nobody could have known yet.
flights = ns.Source(
    "flights",
    schema={
        "origin": str, "dest": str, "carrier": str, "tailnum": str, "arr_delay": float,
        "elapsed_minutes": float, "scheduled_at": "timestamp", "departed_at": "timestamp",
        "reported_at": "timestamp",
    },
    event_time="scheduled_at",
    created="reported_at",
    batch=ns.Parquet("data/flights.parquet"),
    owner="operations",
)  # fmt: skip

weather_reports = ns.Source(
    "weather_reports",
    schema={
        "origin": str, "temp": float, "wind_dir": float, "wind_speed": float, "wind_gust": float,
        "precip": float, "visib": float, "observed_at": "timestamp", "published_at": "timestamp",
    },
    event_time="observed_at",
    created="published_at",
    batch=ns.Parquet("data/weather.parquet"),
    owner="operations",
)  # fmt: skip

aircraft = ns.Source(
    "aircraft",
    schema={
        "tailnum": str, "built": int, "engines": int, "seats": int, "built_at": "timestamp",
        "registered_at": "timestamp",
    },
    event_time="built_at",
    created="registered_at",
    batch=ns.Parquet("data/planes.parquet"),
    owner="fleet",
)  # fmt: skip

# ---------------------------------------------------------------- features

DELAYS = ns.sql(
    """
    SELECT origin, dest, carrier, tailnum, scheduled_at, elapsed_minutes, arr_delay,
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

route_times = ns.FeatureView(
    "route_times",
    entity=route,
    source=flights,
    transform=DELAYS,
    features=[
        ns.mean("elapsed_minutes", window="28d", name="typical_minutes"),
        ns.mean("arr_delay", window="28d", name="route_delay"),
    ],
    description="How long a route takes from gate to gate, and how late it is.",
    owner="operations",
)

plane_delays = ns.FeatureView(
    "plane_delays",
    entity=plane,
    source=flights,
    transform=DELAYS,
    features=[
        ns.last_value("arr_delay", window="1d", name="plane_last_delay"),
        ns.mean("arr_delay", window="7d", name="plane_delay"),
    ],
    description="How late an aircraft has been.",
    owner="operations",
)

plane_facts = ns.FeatureView(
    "plane_facts",
    entity=plane,
    source=aircraft,
    features=["built", "engines", "seats"],
    description="What an aircraft is.",
    owner="fleet",
)

weather = ns.FeatureView(
    "weather",
    entity=airport,
    source=weather_reports,
    features=["temp", "wind_dir", "wind_speed", "wind_gust", "precip", "visib"],
    max_age="3h",
    description="The latest observation, if it is not older than three hours.",
    owner="operations",
)

# ---------------------------------------------------------------- computed when asked for


def flight_conditions(columns):
    """Wind across the runway, and how much longer the schedule is than the route takes."""
    angle = np.radians(columns["wind_dir"] - columns["runway_heading"])
    return {
        "crosswind": np.abs(columns["wind_speed"] * np.sin(angle)),
        "schedule_slack": columns["scheduled_minutes"] - columns["typical_minutes"],
    }


conditions = ns.OnDemand(
    "conditions",
    flight_conditions,
    inputs=[weather["wind_dir", "wind_speed"], route_times["typical_minutes"]],
    request={"runway_heading": float, "scheduled_minutes": float},
    outputs={"crosswind": float, "schedule_slack": float},
)

# ---------------------------------------------------------------- what the model reads

delay_model = ns.FeatureService(
    "delay_model",
    [airport_delays, carrier_delays, route_times, plane_delays, plane_facts, weather, conditions],
    description="Will this flight arrive 15 minutes late, or later?",
    owner="operations",
)
