"""The face of the store: what it refuses, what it warns of, what it tidies, how things look."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import noskew as ns
from noskew import feature_store
from noskew.errors import (
    HindsightWarning,
    InputError,
    NotFoundError,
    NotMaterializedError,
    StoreError,
    http_status,
)
from noskew.training.training_set import TrainingSet

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
AIRPORT = ns.Entity("airport", {"origin": str})
SCHEMA = {"origin": str, "read_at": "timestamp", "told_at": "timestamp", "wind": float}
#: Known when it is loaded.
READINGS = ns.Source("readings", SCHEMA, event_time="read_at")
WEATHER = ns.FeatureView(
    "weather",
    entity=AIRPORT,
    source=READINGS,
    features=[ns.latest("wind"), ns.count(window="1h")],
)
SERVICE = ns.FeatureService("model", [WEATHER])
ROWS = [
    {"origin": "JFK", "read_at": NOON, "told_at": NOON, "wind": 7.0},
    {"origin": "EWR", "read_at": NOON, "told_at": NOON, "wind": 3.0},
]
JFK = {"origin": ["JFK"]}


@pytest.fixture
def clock() -> ns.FixedClock:
    return ns.FixedClock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: ns.FixedClock) -> Iterator[ns.FeatureStore]:
    with ns.FeatureStore(tmp_path, project="flights", clock=clock) as made:
        made.apply(SERVICE)
        made.ingest("readings", ROWS)
        yield made


def asked(*times: datetime) -> pa.Table:
    return pa.table({"origin": ["JFK"] * len(times), "event_timestamp": list(times)})


def test_the_face_is_thin() -> None:
    assert len(inspect.getsource(feature_store).splitlines()) <= 300


# ---------------------------------------------------------------- saving training sets


def test_a_training_set_saves_itself(store: ns.FeatureStore) -> None:
    made = store.get_historical_features(asked(NOON), "model")
    made.save("june")
    made.save("june")  # the same content
    assert store.training_set("june").digest == made.digest
    other = store.get_historical_features(asked(NOON, NOON), "model")
    with pytest.raises(InputError, match="replace=True"):
        other.save("june")
    other.save("june", replace=True)
    assert store.rebuild_training_set("june").digest == other.digest
    store.training_set("june").save("copy")
    assert store.rebuild_training_set("copy").digest == other.digest
    assert not hasattr(store, "save_training_set")


def test_a_training_set_of_nobody_cannot_be_saved(store: ns.FeatureStore) -> None:
    made = store.get_historical_features(asked(NOON), "model")
    for other in (TrainingSet(made.table), TrainingSet(made.table, made.spec)):
        with pytest.raises(InputError, match=r"no feature store made this .* to_parquet"):
            other.save("june")
    with pytest.raises(NotFoundError):
        store.training_set("june")


# ---------------------------------------------------------------- before the first materialize


def test_reading_before_materializing_is_refused(store: ns.FeatureStore) -> None:
    for read in (
        lambda: store.reader("model"),
        lambda: store.get_online_features("model", JFK),
        lambda: store.get_online_features(SERVICE, JFK),
    ):
        with pytest.raises(NotMaterializedError, match="noskew materialize weather") as caught:
            read()
        assert isinstance(caught.value, StoreError)
        assert http_status(caught.value) == 503
    store.materialize()
    assert store.get_online_features("model", JFK).to_dict()["wind"] == [7.0]


def test_a_view_without_any_data_can_be_read_once_materialized(tmp_path: Path) -> None:
    with ns.FeatureStore(tmp_path, project="flights") as store:
        store.apply(SERVICE)
        store.materialize()
        answer = store.get_online_features("model", JFK)
        assert answer.to_dict() == {"origin": ["JFK"], "wind": [None], "count_1h": [0]}


def test_reading_a_changed_view_before_materializing_is_refused(store: ns.FeatureStore) -> None:
    store.materialize()
    changed = ns.FeatureView("weather", entity=AIRPORT, source=READINGS, features=["wind"])
    store.apply(ns.FeatureService("model", [changed]))
    with pytest.raises(NotMaterializedError, match="weather as defined now"):
        store.get_online_features("model", JFK)


def test_reading_a_view_that_is_not_online_says_so(tmp_path: Path) -> None:
    offline = ns.FeatureView(
        "weather", entity=AIRPORT, source=READINGS, features=["wind"], online=False
    )
    with ns.FeatureStore(tmp_path, project="flights") as store:
        store.apply(ns.FeatureService("model", [offline]))
        store.materialize()
        with pytest.raises(NotMaterializedError, match="online=False"):
            store.reader("model")


def test_a_reader_does_not_check_again(store: ns.FeatureStore) -> None:
    store.materialize()
    reader = store.reader("model")
    store.online.delete([key for key, _ in store.online.scan()])
    assert reader.get(JFK).to_dict()["wind"] == [None]
    with pytest.raises(NotMaterializedError):
        store.reader("model")


# ---------------------------------------------------------------- hindsight


def test_known_at_row_warns_of_rows_before_the_load(store: ns.FeatureStore) -> None:
    before = NOON.replace(hour=11)
    with pytest.warns(HindsightWarning, match=r"'readings' nothing was known at 2013-06-01T11:00"):
        made = store.get_historical_features(asked(NOON, before), "model", known_at="row")
    assert made.to_arrow()["wind"].to_pylist() == [7.0, None]


def test_the_warning_points_at_the_line_that_asked(store: ns.FeatureStore) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store.get_historical_features(asked(NOON.replace(hour=1)), "model", known_at="row")
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize("known_at", [None, "2013-06-01T10:00:00Z"])
def test_other_answers_about_the_past_do_not_warn(store: ns.FeatureStore, known_at: object) -> None:
    store.get_historical_features(asked(NOON.replace(hour=11)), "model", known_at=known_at)


def test_known_at_row_does_not_warn_where_facts_were_known(store: ns.FeatureStore) -> None:
    store.get_historical_features(asked(NOON), "model", known_at="row")
    store.get_historical_features(asked(NOON).slice(0, 0), "model", known_at="row")


def test_known_at_row_does_not_warn_of_a_source_with_created(tmp_path: Path) -> None:
    told = ns.Source("readings", SCHEMA, event_time="read_at", created="told_at")
    view = ns.FeatureView("weather", entity=AIRPORT, source=told, features=["wind"])
    with ns.FeatureStore(tmp_path, project="flights") as store:
        store.apply(ns.FeatureService("model", [view]))
        before = asked(NOON.replace(hour=11))
        store.get_historical_features(before, "model", known_at="row")  # nothing was ingested
        store.ingest("readings", ROWS)
        store.get_historical_features(before, "model", known_at="row")


# ---------------------------------------------------------------- compact, prune


def test_compact_makes_fewer_files_of_the_same_values(
    store: ns.FeatureStore, clock: ns.FixedClock
) -> None:
    for minute in range(1, 4):
        clock.advance("1min")
        at = NOON.replace(minute=minute)
        store.ingest("readings", [{"origin": "JFK", "read_at": at, "told_at": at, "wind": 0.5}])
    saved = store.get_historical_features(asked(NOON.replace(minute=5)), "model")
    saved.save("before")
    told: list[tuple[str, int]] = []
    (done,) = store.compact("weather", progress=lambda name, rows: told.append((name, rows)))
    assert (done.view, done.rows, done.files_before, done.files_after) == ("weather", 5, 5, 2)
    assert told == [("weather", 4)]  # the bucket of EWR had one file
    again = store.get_historical_features(asked(NOON.replace(minute=5)), "model")
    assert again.digest == saved.digest
    assert store.rebuild_training_set("before").digest == saved.digest
    (done,) = store.compact()
    assert (done.files_before, done.files_after) == (2, 2)
    with pytest.raises(NotFoundError):
        store.compact("wether")


def test_prune_removes_rows_of_definitions_that_are_not_applied_and_no_others(
    store: ns.FeatureStore,
) -> None:
    newest = [ns.latest("wind", name="newest")]
    kept = ns.FeatureView("kept", entity=AIRPORT, source=READINGS, features=newest)
    store.apply([SERVICE, ns.FeatureService("other", [kept])])
    store.materialize()
    assert store.prune() == []
    rows = len(list(store.online.scan()))
    changed = ns.FeatureView("weather", entity=AIRPORT, source=READINGS, features=["wind"])
    store.apply([ns.FeatureService("model", [changed]), ns.FeatureService("other", [kept])])
    store.materialize()
    (counted,) = store.prune(dry_run=True)
    assert (counted.view, counted.definition_hash) == ("weather", WEATHER.definition_hash)
    assert counted.rows == 2
    assert len(list(store.online.scan())) == rows + 3
    assert store.prune() == [counted]
    assert len(list(store.online.scan())) == rows  # two rows and a heartbeat went
    assert store.prune() == []
    assert store.get_online_features("model", JFK).to_dict()["wind"] == [7.0]
    assert store.get_online_features("other", JFK).to_dict()["newest"] == [7.0]


def test_prune_keeps_the_rows_of_a_view_that_was_renamed(store: ns.FeatureStore) -> None:
    store.materialize()
    renamed = ns.FeatureView("wind", entity=AIRPORT, source=READINGS, features=WEATHER.specs)
    assert renamed.definition_hash == WEATHER.definition_hash
    store.apply(ns.FeatureService("model", [renamed]))
    assert store.prune() == []
    assert store.get_online_features("model", JFK).to_dict()["wind"] == [7.0]


def test_what_was_pruned_is_filled_again_after_going_back(store: ns.FeatureStore) -> None:
    store.materialize()
    changed = ns.FeatureView("weather", entity=AIRPORT, source=READINGS, features=["wind"])
    store.apply(ns.FeatureService("model", [changed]))
    store.prune()
    store.apply(SERVICE)
    assert store.materialized_until(WEATHER) is None
    with pytest.raises(NotMaterializedError):
        store.reader("model")
    (done,) = store.materialize()
    assert done.entities == 2
    assert store.get_online_features("model", JFK).to_dict()["count_1h"] == [1]


# ---------------------------------------------------------------- how things look


def test_definitions_look_like_a_line() -> None:
    assert repr(AIRPORT) == "<Entity airport: origin string>"
    assert repr(READINGS) == "<Source readings: 4 columns, happened read_at, known when loaded>"
    assert repr(WEATHER) == "<FeatureView weather: wind, count_1h, of airport from readings>"
    assert repr(WEATHER["wind"]) == "<Selection of weather: wind>"
    assert repr(SERVICE) == "<FeatureService model: 2 features of weather>"
    many = ns.FeatureView(
        "v",
        entity=AIRPORT,
        source=READINGS,
        features=[ns.count(window=[f"{n}h" for n in range(1, 7)])],
    )
    assert "count_4h, … (6 features)" in repr(many)


def test_known_at_is_no_number(store: ns.FeatureStore) -> None:
    """Seconds were taken for microseconds, and everything was null."""
    with pytest.raises(InputError, match="known_at=1370088000"):
        store.get_historical_features(asked(NOON), "model", known_at=1_370_088_000)


def test_answers_look_like_a_line(store: ns.FeatureStore) -> None:
    applied = repr(store.applied)
    assert applied.startswith("<Applied version 1 at 2013-06-01T12:00:00Z: <Project: 1 entities")
    (version,) = store.registry.history("flights")
    assert repr(version).endswith(" at 2013-06-01T12:00:00Z>")
    (done,) = store.materialize()
    assert repr(done) == "<Materialized weather until 2013-06-01T12:00:00Z: 2 rows, 2 changed>"
    made = store.get_historical_features(asked(NOON), "model", known_at="2013-06-01T12:00:00Z")
    assert repr(made) == (
        "<TrainingSet: 1 rows × 4 columns of model, known_at=2013-06-01T12:00:00Z>"
    )
    made = store.get_historical_features(asked(NOON), "model")
    assert repr(made) == "<TrainingSet: 1 rows × 4 columns of model>"
    assert repr(TrainingSet(made.table)) == "<TrainingSet: 1 rows × 4 columns>"
