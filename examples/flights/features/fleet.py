"""What aircraft are, and how late they come. The fleet team writes pandas."""

from __future__ import annotations

import pandas as pd

import noskew as ns
from features.ground import aircraft, flights, plane

#: Beyond this a flight waits for something else than its aircraft, mostly for the next morning.
MOST_MINUTES = 360.0


def by_aircraft(rows: pd.DataFrame) -> pd.DataFrame:
    """Delays that an aircraft takes along; flights that never had one are left out."""
    flown = rows[rows["tailnum"].notna()]
    return flown[["tailnum", "scheduled_at"]].assign(
        arr_delay=flown["arr_delay"].clip(upper=MOST_MINUTES)
    )


plane_delays = ns.FeatureView(
    "plane_delays",
    entity=plane,
    source=flights,
    transform=ns.pandas(
        by_aircraft, schema={"tailnum": str, "scheduled_at": "timestamp", "arr_delay": float}
    ),
    features=[
        ns.last_value("arr_delay", window="1d", name="plane_last_delay"),
        ns.mean("arr_delay", window="7d", name="plane_delay"),
    ],
    description="How late an aircraft has been.",
    owner="fleet",
)

plane_facts = ns.FeatureView(
    "plane_facts",
    entity=plane,
    source=aircraft,
    features=["built", "engines", "seats"],
    description="What an aircraft is.",
    owner="fleet",
)
