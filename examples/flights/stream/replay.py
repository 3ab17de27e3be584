"""Ten days of 2013 again, as a stream: each departure and arrival when it is reported.

    python replay.py [--days N]

Reads ``../data/flights.parquet``, which ``prepare.py`` wrote, and pushes its reports to the local
logs of the sources ``departures`` and ``arrivals``. The flights are real. The package does not
say how their reports travelled, so that is made up, the same in every run:

- most are known within minutes, so they come in nearly the order of their event times;
- one in 200 is known only after hours: late, by the half hour that the views allow;
- one in 50 comes a second time.

Time runs in steps of an hour. What was reported in a step is appended to the logs at its end,
and a clock that follows the flights says so: that is its known time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import noskew as ns

HERE = Path(__file__).resolve().parent
#: The sources, and the column of a flight that says when it happened.
SOURCES = {"departures": "departed_at", "arrivals": "landed_at"}
FLIGHT = ["flight_id", "origin", "dest", "carrier", "tailnum"]
MEASURED = {"departures": ["dep_delay"], "arrivals": ["arr_delay", "elapsed_minutes"]}
DAYS = 10
STEP = pd.Timedelta(hours=1)
MINUTE = 60_000_000

#: When a report became known, beside its own columns. It is no column of the sources.
KNOWN = "logged_at"


def reports(data: Path, *, days: int = DAYS) -> dict[str, pa.Table]:
    """The reports of each source on the first ``days`` of the data, in the order they come in.

    They have the source's columns and ``logged_at``, the end of the step in which they come.
    """
    flights = pd.read_parquet(data / "flights.parquet")
    until = flights["scheduled_at"].min().normalize() + pd.Timedelta(days=days)
    flights = flights[flights["scheduled_at"] < until]
    number = flights["carrier"] + flights["flight"].astype("str") + "-" + flights["origin"]
    flights["flight_id"] = number + flights["scheduled_at"].dt.strftime("-%Y%m%dT%H%M")
    rng = np.random.default_rng(2013)
    return {name: _reports(flights, name, until, rng) for name in SOURCES}


def steps(found: dict[str, pa.Table]) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """The end of each step (µs) in which something comes, and what comes, by source."""
    parts: dict[int, dict[str, pa.Table]] = {}
    for name, table in found.items():
        known = table.column(KNOWN).cast(pa.int64()).to_numpy()
        rows = table.drop_columns([KNOWN])
        ends, first = np.unique(known, return_index=True)
        for end, start, stop in zip(ends, first, [*first[1:], len(known)], strict=True):
            parts.setdefault(int(end), {})[name] = rows.slice(start, stop - start)
    yield from sorted(parts.items())


def _reports(
    flights: pd.DataFrame, name: str, until: pd.Timestamp, rng: np.random.Generator
) -> pa.Table:
    happened = SOURCES[name]
    made = flights.loc[flights[happened].notna(), [*FLIGHT, happened, *MEASURED[name]]]
    reported = made[happened] + _delays(len(made), rng)
    twice = rng.random(len(made)) < 1 / 50
    again = reported[twice] + pd.to_timedelta(rng.integers(1, 120, twice.sum()), unit="min")
    made = pd.concat([made, made[twice]])
    reported = pd.concat([reported, again]).astype("datetime64[us, UTC]")
    made[KNOWN] = reported.dt.ceil(STEP)
    order = np.argsort(reported.to_numpy(), kind="stable")
    made = made.iloc[order]
    made = made[made[KNOWN] <= until]
    return pa.Table.from_pandas(made, preserve_index=False).replace_schema_metadata(None)


def _delays(size: int, rng: np.random.Generator) -> pd.TimedeltaIndex:
    """From what happened to its report: minutes, and now and then hours."""
    minutes = np.minimum(rng.exponential(3, size), 20)
    minutes[rng.random(size) < 1 / 200] += rng.uniform(60, 300)
    return pd.to_timedelta((minutes * MINUTE).astype("int64"), unit="us")


def main(days: int) -> None:
    found = reports(HERE.parent / "data", days=days)
    todo = list(steps(found))
    clock = ns.FixedClock(todo[0][0])
    with ns.FeatureStore(HERE, clock=clock) as store:
        store.apply()
        sources = store.applied.project.sources
        if any(store.logs.of(sources[name]).bounds(0)[1] for name in found):
            raise SystemExit(f"it was replayed before; to do so again, remove {HERE / '.noskew'}")
        for end, parts in todo:
            clock.set(end)
            for name, rows in parts.items():
                store.push(name, rows)
        for name in found:
            store.stream(name)
        asked = {"origin": ["EWR", "JFK", "LGA"]}
        board = store.get_online_features("delay_board", asked).to_dict()
    now = pd.Timestamp(clock.now(), unit="us", tz="UTC")
    print(f"{sum(map(len, found.values())):,} reports; it is {now:%Y-%m-%dT%H:%M:%SZ}")
    print(pd.DataFrame(board).set_index("origin").T.round(1).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Replay the flights of 2013 as a stream.")
    parser.add_argument("--days", type=int, default=DAYS, help=f"so many days (default: {DAYS})")
    main(parser.parse_args().days)
