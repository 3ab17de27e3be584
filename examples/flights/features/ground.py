"""The common ground: who is described, and where the data come from. Kept by the platform team."""

from __future__ import annotations

import noskew as ns

# ---------------------------------------------------------------- who is described

airport = ns.Entity(
    "airport", keys={"origin": str}, description="EWR, JFK or LGA", owner="platform"
)
carrier = ns.Entity(
    "carrier", keys={"carrier": str}, description="an airline's code: UA, B6, …", owner="platform"
)
route = ns.Entity("route", keys={"origin": str, "dest": str}, owner="platform")
plane = ns.Entity(
    "plane", keys={"tailnum": str}, description="an aircraft's registration", owner="platform"
)

# ---------------------------------------------------------------- where it comes from

# A flight happens when it was scheduled to leave. How late it was is known when it is over:
# `created` is what keeps a training set from seeing delays that nobody could have known yet.
flights = ns.Source(
    "flights",
    schema={
        "origin": str,
        "dest": str,
        "carrier": str,
        "tailnum": str,
        "arr_delay": float,
        "elapsed_minutes": float,
        "scheduled_at": "timestamp",
        "departed_at": "timestamp",
        "reported_at": "timestamp",
    },
    event_time="scheduled_at",
    created="reported_at",
    batch=ns.Parquet("data/flights.parquet"),
    owner="platform",
)

weather_reports = ns.Source(
    "weather_reports",
    schema={
        "origin": str,
        "temp": float,
        "wind_dir": float,
        "wind_speed": float,
        "wind_gust": float,
        "precip": float,
        "visib": float,
        "observed_at": "timestamp",
        "published_at": "timestamp",
    },
    event_time="observed_at",
    created="published_at",
    batch=ns.Parquet("data/weather.parquet"),
    owner="platform",
)

aircraft = ns.Source(
    "aircraft",
    schema={
        "tailnum": str,
        "built": int,
        "engines": int,
        "seats": int,
        "built_at": "timestamp",
        "registered_at": "timestamp",
    },
    event_time="built_at",
    created="registered_at",
    batch=ns.Parquet("data/planes.parquet"),
    owner="platform",
)
