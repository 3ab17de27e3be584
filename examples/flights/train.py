"""Will a flight arrive 15 minutes late, or later? Asked an hour before it should leave.

    python train.py

Builds two training sets of the same flights with the same features, and a model on each:

- *leaky*: ``known_at=None``, all that is known today. A flight that left half an hour before the
  question counts with its delay, although it was still in the air.
- *honest*: ``known_at="row"``, what the online store could have answered at that moment.

Then both are asked about later months, with the features that really were there.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

import noskew as ns

HERE = Path(__file__).resolve().parent
SERVICE = "delay_model"
LABEL = "is_late"
LATE_MINUTES = 15
#: The question is asked so long before the scheduled departure.
LEAD = pd.Timedelta(hours=1)
#: Flights of the first days are left out: their windows of seven days are not full.
WARM_UP = pd.Timedelta(days=7)
#: The magnetic heading of each airport's longest runway, which the caller sends along.
RUNWAY_HEADING = {"EWR": 39.0, "JFK": 134.0, "LGA": 44.0}
KEYS = ["origin", "dest", "carrier", "tailnum"]
#: What the caller knows of a flight: the fields of the request, and three of the schedule.
REQUEST = ["runway_heading", "scheduled_minutes"]
SCHEDULE = ["hour", "weekday", "distance"]


def questions(data: Path) -> pd.DataFrame:
    """One row a flight that arrived: keys, request fields, schedule, time of asking, label."""
    flights = pd.read_parquet(data / "flights.parquet", dtype_backend="numpy_nullable")
    begun = flights["scheduled_at"].min() + WARM_UP
    flights = flights[flights["arr_delay"].notna() & (flights["scheduled_at"] >= begun)]
    local = flights["scheduled_at"].dt.tz_convert("America/New_York")
    rows = flights[[*KEYS, "scheduled_minutes", "distance"]].copy()
    rows["event_timestamp"] = flights["scheduled_at"] - LEAD
    rows["runway_heading"] = flights["origin"].map(RUNWAY_HEADING).astype("float64")
    rows["hour"] = local.dt.hour
    rows["weekday"] = local.dt.day_of_week
    rows[LABEL] = (flights["arr_delay"] >= LATE_MINUTES).astype("int8")
    return rows.reset_index(drop=True)


def first_later_day(rows: pd.DataFrame) -> pd.Timestamp:
    """Where training ends and testing begins: two thirds through, at midnight UTC."""
    return rows["event_timestamp"].quantile(2 / 3).normalize()


def train(frame: pd.DataFrame, features: list[str]) -> HistGradientBoostingClassifier:
    """A model of boosted trees on the given columns; nulls stay nulls."""
    model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    # One thread takes seconds anywhere. Several wait for each other at every split: on a machine
    # that does something else, too, that is many times slower.
    with threadpool_limits(limits=1):
        return model.fit(inputs(frame, features), frame[LABEL].to_numpy("int8"))


def auc(model: HistGradientBoostingClassifier, frame: pd.DataFrame, features: list[str]) -> float:
    """How well the model orders flights: 0.5 is a coin, 1 is perfect."""
    with threadpool_limits(limits=1):
        scores = model.predict_proba(inputs(frame, features))[:, 1]
    return float(roc_auc_score(frame[LABEL].to_numpy("int8"), scores))


def inputs(frame: pd.DataFrame, features: list[str]):
    """The columns as one float64 array; nulls are NaN."""
    return frame[features].astype("float64").to_numpy()


def compare(leaky: pd.DataFrame, honest: pd.DataFrame, features: list[str]) -> dict[str, float]:
    """Train on both sets, on the same flights; test on later ones. Keys: promised_leaky (tested
    on leaky features), real_leaky (on honest ones), honest, and schedule (no feature store)."""
    later = (honest["event_timestamp"] >= first_later_day(honest)).to_numpy()
    found = {}
    model = train(leaky[~later], features)
    found["promised_leaky"] = auc(model, leaky[later], features)
    found["real_leaky"] = auc(model, honest[later], features)
    model = train(honest[~later], features)
    found["honest"] = auc(model, honest[later], features)
    model = train(honest[~later], [*SCHEDULE, "scheduled_minutes"])
    found["schedule"] = auc(model, honest[later], [*SCHEDULE, "scheduled_minutes"])
    return found


def main() -> None:
    store = ns.FeatureStore(HERE)
    rows = questions(HERE / "data")
    leaky = store.get_historical_features(rows, SERVICE).to_pandas()
    honest = store.get_historical_features(rows, SERVICE, known_at="row").to_pandas()
    features = [c for c in honest if c not in (*KEYS, "event_timestamp", LABEL)]
    found = compare(leaky, honest, features)
    print(f"{len(rows):,} flights, tested on those from {first_later_day(rows):%d %B} on (AUC)")
    print(
        f"leaky features:  promises {found['promised_leaky']:.3f}, gets {found['real_leaky']:.3f}"
    )
    print(f"honest features: promises {found['honest']:.3f}, gets {found['honest']:.3f}")
    print(f"the schedule alone: {found['schedule']:.3f}")


if __name__ == "__main__":
    main()
