"""The weather at the airports. The meteorologists write Polars."""

from __future__ import annotations

import polars as pl

import noskew as ns
from features.ground import airport, weather_reports

#: More than the strongest wind ever measured at the ground: the instrument failed.
MOST_MILES_PER_HOUR = 260.0


def cleaned(reports: pl.DataFrame) -> pl.DataFrame:
    """Winds that can be: one report of Newark says 1,048 miles an hour."""
    speed, gust = pl.col("wind_speed"), pl.col("wind_gust")
    return reports.with_columns(
        wind_speed=pl.when(speed <= MOST_MILES_PER_HOUR).then(speed),
        # North is 360; 0 is written when it is calm, and then means nothing.
        wind_dir=pl.when(speed > 0).then(pl.col("wind_dir")),
    ).with_columns(
        # Gusts are reported when there are some. At least the wind it is always.
        wind_gust=pl.max_horizontal(speed, gust),
    )


weather = ns.FeatureView(
    "weather",
    entity=airport,
    source=weather_reports,
    transform=ns.polars(
        cleaned,
        schema={
            "temp": float,
            "wind_dir": float,
            "wind_speed": float,
            "wind_gust": float,
            "precip": float,
            "visib": float,
        },
    ),
    features=["temp", "wind_dir", "wind_speed", "wind_gust", "precip", "visib"],
    max_age="3h",
    description="The latest observation, if it is not older than three hours.",
    owner="meteorology",
)
