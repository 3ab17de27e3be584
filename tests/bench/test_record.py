"""The record of the benchmark: the last five whole runs, and sections that were measured again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import record
from bench.record import Run
from bench.result import Result

MACHINE = {"processor": "a processor", "cores": 2, "python": "3.12.1", "commit": "abc1234"}


def run_at(hour: int, **values: float) -> Run:
    results = [Result(name, value, "s", limit=1.0) for name, value in values.items()]
    return Run(f"2026-12-01T{hour:02}-00", MACHINE, results)


def measured(folder: Path, name: str) -> list[float | None]:
    return [result.value for result in record.by_figure(record.runs(folder))[name]]


def latest(folder: Path) -> dict[str, float]:
    return {r["name"]: r["value"] for r in json.loads((folder / "latest.json").read_text())}


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_at(1, online=2.5)
    run.results.append(
        Result("http", 3.0, "req/s", 4.0, "set-up", {"feast": 1.0}, {"noskew": 0.1}, "no wrk")
    )
    run.again.append(run_at(2, online=2.25))
    record.keep(run, tmp_path)
    assert record.runs(tmp_path) == [run]


def test_the_oldest_goes_when_a_sixth_whole_run_comes(tmp_path: Path) -> None:
    for hour in range(6):
        record.keep(run_at(hour, online=float(hour)), tmp_path)
    assert [run.at[-5:-3] for run in record.runs(tmp_path)] == ["01", "02", "03", "04", "05"]
    assert measured(tmp_path, "online") == [1, 2, 3, 4, 5]
    assert latest(tmp_path) == {"online": 5}


def test_a_section_measured_again_is_one_more_measurement(tmp_path: Path) -> None:
    record.keep(run_at(1, online=9.0, http=7.0), tmp_path)
    record.keep_again(run_at(2, online=2.0), tmp_path)
    # The bad one still counts.
    assert measured(tmp_path, "online") == [9, 2]
    assert measured(tmp_path, "http") == [7]
    assert latest(tmp_path) == {"online": 2, "http": 7}
    assert len(record.runs(tmp_path)) == 1


def test_no_more_than_the_last_five_measurements_of_a_figure_count(tmp_path: Path) -> None:
    for hour in range(4):
        record.keep(run_at(hour, online=float(hour)), tmp_path)
    for hour in (4, 5, 6):
        record.keep_again(run_at(hour, online=float(hour)), tmp_path)
    assert measured(tmp_path, "online") == [2, 3, 4, 5, 6]


def test_a_section_alone_makes_no_record(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no whole run is on record"):
        record.keep_again(run_at(1, online=1.0), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_run_of_this_checkout_says_what_it_ran_on() -> None:
    for run in record.runs():
        assert set(run.machine) == set(MACHINE)
        assert not [result.name for result in run.results if result.skipped]


def test_latest_is_the_newest_of_the_runs_in_this_checkout() -> None:
    newest = record.runs()[-1].newest()
    assert latest(record.FOLDER) == {result.name: result.value for result in newest}
