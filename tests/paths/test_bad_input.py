"""Bad input at the face of the store: a clear error of our tree, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.errors import (
    ConfigError,
    CorruptDataError,
    DefinitionError,
    InputError,
    InvalidNameError,
    KeyTypeError,
    LimitError,
    NotFoundError,
    SchemaMismatchError,
    StoreUnavailableError,
)

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
AIRPORT = ns.Entity("airport", {"origin": str})
GATE = ns.Entity("gate", {"number": "int16"})
DEPARTURES = ns.Source(
    "departures",
    {"origin": str, "number": "int16", "departed_at": "timestamp", "delay": float},
    event_time="departed_at",
)
DELAYS = ns.FeatureView(
    "delays",
    entity=AIRPORT,
    source=DEPARTURES,
    features=[ns.mean("delay", window="1h"), ns.latest("delay")],
)
GATES = ns.FeatureView(
    "gates", entity=GATE, source=DEPARTURES, features=[ns.latest("delay", name="gate_delay")]
)
SERVICE = ns.FeatureService("delay_model", [DELAYS])
GATE_SERVICE = ns.FeatureService("gate_model", [GATES])


def departures(**columns: Any) -> pa.Table:
    made: dict[str, Any] = {
        "origin": ["JFK", "EWR"],
        "number": pa.array([1, 2], pa.int16()),
        "departed_at": [NOON, NOON],
        "delay": [10.0, 20.0],
    }
    return pa.table({**made, **columns})


def project(root: Path, online: str = "lmdb:///online") -> ns.FeatureStore:
    config = Config(
        project="bad_input", offline=OfflineConfig(buckets=2), online=OnlineConfig(url=online)
    )
    return ns.FeatureStore(root, config=config, clock=ns.FixedClock("2013-06-01T12:30:00Z"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ns.FeatureStore]:
    with project(tmp_path_factory.mktemp("bad_input")) as made:
        made.apply([SERVICE, GATE_SERVICE])
        made.ingest("departures", departures())
        made.materialize()
        yield made


def unharmed(store: ns.FeatureStore) -> bool:
    """What was there before is there still, and answers."""
    table = store.offline.tables()
    counts = {store.offline.info(name).rows for name in table}
    answer = store.get_online_features("delay_model", {"origin": ["JFK"]}).to_dict()
    return counts == {2} and answer["delay"] == [10.0]


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ({"origin": "JFK"}, InputError, "must be a list"),
        ({"origin": ["JFK"], "airport": ["x"]}, InputError, "takes no 'airport'"),
        ({}, KeyTypeError, "needs the join key 'origin'"),
        ([{}], InputError, "rows must be mappings"),
        ({"origin": [1]}, KeyTypeError, "must be string, got int"),
        ({"origin": [b"JFK"]}, KeyTypeError, "got bytes"),
        ({"origin": [["JFK"]]}, KeyTypeError, "got list"),
        ({"origin": [float("nan")]}, KeyTypeError, "got float"),
        ({"origin": ["JFK"] * 100_001}, LimitError, "100001 rows"),
        (7, InputError, "got int"),
        (None, InputError, "got NoneType"),
    ],
)
def test_online_rows_that_do_not_fit(
    store: ns.FeatureStore, rows: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        store.get_online_features("delay_model", rows)
    assert unharmed(store)


@pytest.mark.parametrize("value", [40_000, -40_000, 2**80, True, 1.5, 40_000.0, "1", NOON])
def test_integer_keys_are_not_converted(store: ns.FeatureStore, value: Any) -> None:
    with pytest.raises(KeyTypeError, match="'number' must be int16"):
        store.get_online_features("gate_model", {"number": [value]})
    with pytest.raises(KeyTypeError, match="'number' must be int16"):
        store.get_online_features("gate_model", {"number": [1] * 20 + [value]})


def test_whole_floats_are_keys_in_training_and_serving(store: ns.FeatureStore) -> None:
    """pandas makes floats of integers with a hole; training took them, and serving did not."""
    frame = pd.DataFrame({"number": [1, None, 2]})
    asked = frame.assign(event_timestamp=NOON)
    trained = store.get_historical_features(asked, "gate_model").to_arrow().to_pylist()
    for rows in (frame, {"number": [1.0, None, np.float32(2)]}, {"number": [1, None, 2]}):
        served = store.get_online_features("gate_model", rows).to_arrow().to_pylist()
        for one, other in zip(trained, served, strict=True):
            assert {**one, "event_timestamp": None, "number": None} == {
                **other,
                "event_timestamp": None,
                "number": None,
            }


def test_null_and_unknown_keys_are_answered(store: ns.FeatureStore) -> None:
    answer = store.get_online_features("delay_model", {"origin": [None, "XXX", "JFK"]})
    assert answer.to_dict()["delay"] == [None, None, 10.0]
    assert answer.statuses()["delay"] == ["MISSING", "MISSING", "PRESENT"]


def test_a_key_of_a_megabyte_is_a_key(store: ns.FeatureStore) -> None:
    answer = store.get_online_features("delay_model", {"origin": ["x" * 1_000_000, "JFK"]})
    assert answer.to_dict()["delay"] == [None, 10.0]


def test_no_rows_are_answered_with_no_rows(store: ns.FeatureStore) -> None:
    assert store.get_online_features("delay_model", {"origin": []}).to_dict()["delay"] == []
    empty = (
        departures()
        .slice(0, 0)
        .select(["origin"])
        .append_column("event_timestamp", pa.array([], pa.timestamp("us", "UTC")))
    )
    made = store.get_historical_features(empty, "delay_model").to_arrow()
    assert made.num_rows == 0
    assert made.schema.field("delay").type == pa.float64()


def test_unknown_services_name_the_known_ones(store: ns.FeatureStore) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'delay_model'"):
        store.get_online_features("delay_mode", {"origin": ["JFK"]})
    with pytest.raises(NotFoundError, match=r"no feature view '../x'"):
        store.materialize(["../x"])
    with pytest.raises(NotFoundError, match="no source 'arrivals'"):
        store.ingest("arrivals", departures())


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ({"event_timestamp": [NOON]}, SchemaMismatchError, "'origin' is not there"),
        ({"origin": ["JFK"]}, SchemaMismatchError, "no column 'event_timestamp'"),
        ({"origin": ["JFK"], "event_timestamp": [None]}, SchemaMismatchError, "1 rows have no"),
        (
            {"origin": ["JFK"], "event_timestamp": ["2013-06-01T12:00:00"]},
            SchemaMismatchError,
            "has no offset",
        ),
        ({"origin": ["JFK"], "event_timestamp": ["noon Z"]}, SchemaMismatchError, "expected time"),
        ({"origin": ["JFK"], "event_timestamp": [1370088000]}, SchemaMismatchError, "unit"),
        ({"origin": [7], "event_timestamp": [NOON]}, SchemaMismatchError, "expected string"),
        (
            {"origin": ["JFK"], "event_timestamp": [NOON], "delay": [1.0]},
            SchemaMismatchError,
            "has the name of a feature",
        ),
        ("missing.parquet", InputError, "no Parquet file"),
        ("SELECT nonsense", InputError, "DuckDB refuses"),
        (3.5, InputError, "got float"),
    ],
)
def test_training_rows_that_do_not_fit(
    store: ns.FeatureStore, rows: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        store.get_historical_features(rows, "delay_model")


def test_times_of_other_eras_are_refused(store: ns.FeatureStore) -> None:
    far = pa.array([9 * 10**18 // 1000 * 100], pa.int64()).view(pa.timestamp("us", "UTC"))
    rows = pa.table({"origin": ["JFK"], "event_timestamp": far})
    with pytest.raises(SchemaMismatchError, match="outside the years 1 to 9999"):
        store.get_historical_features(rows, "delay_model")


def test_duplicated_columns_are_refused(store: ns.FeatureStore) -> None:
    frame = pd.DataFrame([["JFK", "EWR", NOON]], columns=["origin", "origin", "event_timestamp"])
    with pytest.raises(SchemaMismatchError, match="'origin' appears twice"):
        store.get_historical_features(frame, "delay_model")
    doubled = departures().append_column("delay", pa.array([1.0, 2.0]))
    with pytest.raises(SchemaMismatchError, match="delay"):
        store.ingest("departures", doubled)
    assert unharmed(store)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"delay": ["late", "later"]}, "'delay': expected float64, got string"),
        ({"origin": [1, 2]}, "'origin': expected string, got int64"),
        ({"number": [1, 70_000]}, "'number': expected int16"),
        ({"departed_at": ["2013-06-01 12:00", "2013-06-01 12:00"]}, "has no offset"),
        ({"departed_at": [None, NOON]}, "no event time"),
    ],
)
def test_source_rows_that_do_not_fit(
    store: ns.FeatureStore, columns: dict[str, Any], says: str
) -> None:
    with pytest.raises(SchemaMismatchError, match=says):
        store.ingest("departures", departures(**columns))
    assert unharmed(store)


def test_rows_without_key_or_from_the_future_are_counted(tmp_path: Path) -> None:
    with project(tmp_path) as store:
        store.apply([SERVICE])
        later = datetime(2013, 6, 1, 12, 35, 0, 1, tzinfo=UTC)  # the clock stands at 12:30
        table = departures(origin=[None, "EWR"], departed_at=[NOON, later])
        (report,) = store.ingest("departures", table)
        assert report.refused == {"null key": 1, "future event time": 1}
        assert report.rows == 0


@pytest.mark.parametrize("name", ["../x", "a b", "x'; DROP TABLE y", '"', "", "_x", "x" * 129, 7])
def test_names_that_could_leave_their_place_are_refused(name: Any) -> None:
    with pytest.raises(InvalidNameError):
        ns.Entity(name, {"origin": str})
    with pytest.raises(InvalidNameError):
        ns.FeatureService(name, [DELAYS])
    with pytest.raises(DefinitionError):
        ns.Source("s", {name: str, "t": "timestamp"}, event_time="t")


def test_a_damaged_file_of_the_offline_table_is_named(tmp_path: Path) -> None:
    with project(tmp_path) as store:
        store.apply([SERVICE])
        store.ingest("departures", departures())
        (table,) = store.offline.tables()
        victim = Path(store.offline.files(table)[0].removeprefix("file://"))
        victim.write_bytes(victim.read_bytes()[:100])
        rows = {"origin": ["JFK", "EWR"], "event_timestamp": [NOON, NOON]}
        with pytest.raises(CorruptDataError, match=victim.name):
            store.get_historical_features(rows, "delay_model")


def test_a_damaged_online_row_is_reported(tmp_path: Path) -> None:
    with project(tmp_path) as store:
        store.apply([SERVICE])
        store.ingest("departures", departures())
        store.materialize()
        view = store.reader("delay_model").plan.views[0]
        (key, row), *_ = [(k, r) for k, r in store.online.scan(view.prefix) if k != view.prefix]
        store.online.write([key], [b"\xff" * 16 + row[16:20]])
        with pytest.raises(CorruptDataError):
            store.get_online_features("delay_model", {"origin": ["JFK", "EWR"]})


def test_a_store_that_is_down_says_so(tmp_path: Path, unused_port: int) -> None:
    with project(tmp_path, f"redis://127.0.0.1:{unused_port}/0") as store:
        store.apply([SERVICE])
        store.ingest("departures", departures())
        with pytest.raises(StoreUnavailableError):
            store.materialize()
        with pytest.raises(StoreUnavailableError):
            store.get_online_features("delay_model", {"origin": ["JFK"]})


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("project = 7", "project"),
        ('project = "x"\nonlin = 3', "onlin"),
        ('project = "x"\n[offline]\nbuckets = "many"', "buckets"),
        ('project = "x"\n[offline]\nbuckets = 0', "buckets"),
        ('project = "../x"', "not a name"),
        ("project = ", "TOML"),
    ],
)
def test_configuration_errors_name_the_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "noskew.toml").write_text(text)
    with pytest.raises((ConfigError, InvalidNameError), match=says):
        ns.FeatureStore(tmp_path)


def test_a_project_that_is_given_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidNameError, match=r"project: .* is not a name"):
        ns.FeatureStore(tmp_path, project="../x")
    with pytest.raises(InvalidNameError, match=r"project: .* is not a name"):
        ns.FeatureStore(tmp_path, config=Config(project="../x"))


def test_a_directory_without_a_project_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="noskew init"):
        ns.FeatureStore(tmp_path)


def test_a_saved_training_set_that_was_changed_is_found_out(tmp_path: Path) -> None:
    with project(tmp_path) as store:
        store.apply([SERVICE])
        store.ingest("departures", departures())
        rows = {"origin": ["JFK"], "event_timestamp": [NOON], "label": np.array([1.0])}
        store.get_historical_features(rows, "delay_model").save("first")
        assert store.rebuild_training_set("first").to_arrow().num_rows == 1
        (path,) = (tmp_path / ".noskew" / "training_sets").rglob("*.parquet")
        table = pq.read_table(path)
        at = table.column_names.index("label")
        pq.write_table(table.set_column(at, "label", pa.array([2.0])), path)
        with pytest.raises(CorruptDataError, match="digest"):
            store.training_set("first")
