"""What the model of delays reads, from all teams. Kept by its data scientists."""

from __future__ import annotations

import noskew as ns
from features.conditions import flight_conditions
from features.fleet import plane_delays, plane_facts
from features.meteorology import weather
from features.network import route_times
from features.operations import airport_delays, carrier_delays

conditions = ns.OnDemand(
    "conditions",
    flight_conditions,
    inputs=[weather["wind_dir", "wind_speed"], route_times["typical_minutes"]],
    request={"runway_heading": float, "scheduled_minutes": float},
    outputs={"crosswind": float, "schedule_slack": float},
    owner="data science",
)

delay_model = ns.FeatureService(
    "delay_model",
    [airport_delays, carrier_delays, route_times, plane_delays, plane_facts, weather, conditions],
    description="Will this flight arrive 15 minutes late, or later?",
    owner="data science",
)
