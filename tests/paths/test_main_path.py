"""The main path at the face of the store, and what its first users stumbled over."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import noskew as ns
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.errors import ConflictError, DefinitionError

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
AIRPORT = ns.Entity("airport", {"origin": str})
#: Its only clock says both when a thing happened and when it became known.
READINGS = ns.Source(
    "readings",
    {"origin": str, "read_at": "timestamp", "wind": float},
    event_time="read_at",
    created="read_at",
)
WEATHER = ns.FeatureView(
    "weather",
    entity=AIRPORT,
    source=READINGS,
    features=[ns.latest("wind"), ns.count(window="1h")],
)
SERVICE = ns.FeatureService("model", [WEATHER])
ROWS = [{"origin": "JFK", "read_at": NOON, "wind": 7.0}]


def test_lists_of_rows_go_in_and_come_out(tmp_path: Path) -> None:
    with ns.FeatureStore(tmp_path, project="flights", clock=ns.FixedClock(NOON)) as store:
        store.apply(SERVICE)
        (report,) = store.ingest("readings", ROWS)
        assert report.rows == 1
        (done,) = store.materialize("weather")
        assert done.entities == 1
        answer = store.get_online_features("model", [{"origin": "JFK"}, {"origin": "EWR"}])
        assert answer.to_dict() == {
            "origin": ["JFK", "EWR"],
            "wind": [7.0, None],
            "count_1h": [1, 0],
        }


def test_one_column_can_be_event_time_and_known_time(tmp_path: Path) -> None:
    with ns.FeatureStore(tmp_path, project="flights", clock=ns.FixedClock(NOON)) as store:
        store.apply(SERVICE)
        store.ingest("readings", ROWS)
        asked = {"origin": ["JFK"], "event_timestamp": [NOON]}
        made = store.get_historical_features(asked, "model", known_at="row").to_arrow()
        assert made["wind"].to_pylist() == [7.0]


def test_projects_in_one_warehouse_do_not_share_events(tmp_path: Path) -> None:
    shared = {
        "offline": OfflineConfig(
            catalog=f"sqlite:///{tmp_path}/catalog.db",
            warehouse=str(tmp_path / "warehouse"),
        ),
        "online": OnlineConfig(url=f"lmdb:///{tmp_path}/online"),
    }
    for name, rows in (("north", ROWS), ("south", []), ("NORTH", [])):
        config = Config(project=name, **shared)
        with ns.FeatureStore(tmp_path / name, config=config, clock=ns.FixedClock(NOON)) as store:
            (tmp_path / name).mkdir(exist_ok=True)
            store.apply(SERVICE)
            if rows:
                store.ingest("readings", rows)
            store.materialize()
            asked = {"origin": ["JFK"], "event_timestamp": [NOON]}
            expected = [7.0] if rows else [None]
            made = store.get_historical_features(asked, "model").to_arrow()
            assert made["wind"].to_pylist() == expected
            online = store.get_online_features("model", {"origin": ["JFK"]})
            assert online.to_dict()["wind"] == expected


def test_features_must_be_a_list() -> None:
    with pytest.raises(DefinitionError, match=r"features=\[…\]"):
        ns.FeatureView("v", entity=AIRPORT, source=READINGS, features=ns.mean("wind"))  # type: ignore[arg-type]


def test_an_apply_of_an_old_plan_is_refused(tmp_path: Path) -> None:
    with ns.FeatureStore(tmp_path, project="flights") as store:
        agreed = store.plan(SERVICE)
        assert "feature view weather" in str(agreed)
        store.apply(ns.FeatureService("other", [WEATHER]))
        with pytest.raises(ConflictError):
            store.apply(SERVICE, base_version=agreed.base_version)


def test_late_facts_are_never_missed(tmp_path: Path) -> None:
    clock = ns.FixedClock("2013-06-01T12:10:00Z")
    with ns.FeatureStore(tmp_path, project="flights", clock=clock) as store:
        store.apply(SERVICE)
        store.ingest("readings", ROWS)
        store.materialize()
        # Known before the last run, ingested after it.
        early = datetime(2013, 6, 1, 11, 50, tzinfo=UTC)
        store.ingest("readings", [{"origin": "EWR", "read_at": early, "wind": 3.0}])
        (done,) = store.materialize()
        assert (done.entities, done.changed) == (1, 1)
        answer = store.get_online_features("model", {"origin": ["EWR", "JFK"]})
        assert answer.to_dict()["wind"] == [3.0, 7.0]


def test_another_online_store_is_filled_whole(tmp_path: Path) -> None:
    clock = ns.FixedClock("2013-06-01T12:10:00Z")
    for place in ("first", "second"):
        config = Config(project="flights", online=OnlineConfig(url=f"lmdb:///{place}"))
        with ns.FeatureStore(tmp_path, config=config, clock=clock) as store:
            store.apply(SERVICE)
            store.ingest("readings", ROWS)
            (done,) = store.materialize()
            assert done.entities == 1
            assert store.get_online_features("model", {"origin": ["JFK"]}).to_dict()["wind"] == [
                7.0
            ]
            (again,) = store.materialize()
            assert again.entities == 0


def test_an_online_store_that_lost_its_rows_is_filled_again(tmp_path: Path) -> None:
    clock = ns.FixedClock("2013-06-01T12:10:00Z")
    with ns.FeatureStore(tmp_path, project="flights", clock=clock) as store:
        store.apply(SERVICE)
        store.ingest("readings", ROWS)
        store.materialize()
        store.online.delete([key for key, _ in store.online.scan()])
        (done,) = store.materialize()
        assert (done.entities, done.changed) == (1, 1)
