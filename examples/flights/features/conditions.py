"""What is computed when a flight is asked about.

A server imports this file to run the function. It imports none of the others, so a server needs
neither pandas nor Polars nor PySpark: transforms ran when the data came in.
"""

from __future__ import annotations

import numpy as np


def flight_conditions(columns):
    """Wind across the runway, and how much longer the schedule is than the route takes."""
    angle = np.radians(columns["wind_dir"] - columns["runway_heading"])
    across = np.abs(columns["wind_speed"] * np.sin(angle))
    return {
        # Calm air has no direction, and crosses nothing.
        "crosswind": np.ma.where(columns["wind_speed"] == 0, 0.0, across),
        "schedule_slack": columns["scheduled_minutes"] - columns["typical_minutes"],
    }
