"""``noskew demo --fast``, whole: it must prove what it says, and clean up after itself."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import noskew as ns
from noskew.cli.demo import board, project, stream
from noskew.cli.demo.folding import Folding
from noskew.definitions.engines import installed_engine
from noskew.errors import CorruptDataError, StoreError

# Not imported: it takes seconds, and only the demo needs it.
pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="the demo needs scikit-learn")

UTC = pa.timestamp("us", "UTC")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo writes, and where it put the project."""
    root = tmp_path_factory.mktemp("demo") / "flights"
    done = subprocess.run(
        [sys.executable, "-m", "noskew.cli", "demo", "--fast", "--dir", str(root)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2_000:]
    return done.stdout, root


def test_every_chapter_is_there_and_the_reader_knows_what_next(told: tuple[str, Path]) -> None:
    out, _ = told
    assert re.findall(r"^(\d)\. ", out, re.M) == list("12345678")
    assert "Try next" in out
    assert "noskew show delay_model" in out


def test_it_tells_which_team_wrote_what_and_that_all_of_it_is_certified(
    told: tuple[str, Path],
) -> None:
    out, root = told
    row = r"^ (\w+) +(\w+) +(\S.*?) {2,}[\d,]+ +\d+ +\d+\.\d +certified, short form *$"
    assert re.findall(row, out, re.M) == [
        ("fleet", "plane_delays", f"{installed_engine('pandas')} features.fleet:by_aircraft"),
        ("fleet", "plane_facts", "columns as they are"),
        ("meteorology", "weather", f"{installed_engine('polars')} features.meteorology:cleaned"),
        ("network", "route_times", "PySpark features.network:arrivals"),
        ("operations", "airport_delays", "SQL"),
        ("operations", "carrier_delays", "SQL"),
    ]
    with ns.FeatureStore(root) as store:
        assert store.certifications.exempt() == {}
        held = store.certifications.all()
        assert {d.name for d in held.values()} == {*store.applied.project.views, "conditions"}


def test_nothing_differs_in_process_and_over_http(told: tuple[str, Path]) -> None:
    out, _ = told
    rows = re.findall(r"2013-\d\d-\d\dT\S+Z .* ([\d,]+)\s+(\d+)\s*$", out, re.M)
    assert len(rows) == 3
    assert all(differ == "0" for _, differ in rows)
    assert sum(int(values.replace(",", "")) for values, _ in rows) > 80_000
    assert re.search(r"0 of [\d,]{6,} values differ", out)


def test_the_leaky_model_loses_what_it_promised(told: tuple[str, Path]) -> None:
    out, _ = told
    promised, got = _row(out, "leaky features")
    honest, kept = _row(out, "honest features")
    assert promised > got
    assert honest == kept
    assert got < honest


def test_what_was_streamed_equals_both_other_ways_and_every_report_is_counted(
    told: tuple[str, Path],
) -> None:
    out, root = told
    row = r"^ (\w+_(?:departures|arrivals)) +" + r"([\d,]+) +" * 6 + r"0 differ +0 differ *$"
    rows = {name: [_int(n) for n in counts] for name, *counts in re.findall(row, out, re.M)}
    assert rows.keys() == {
        "airport_departures",
        "airport_arrivals",
        "route_arrivals",
        "plane_arrivals",
    }
    reports = project.script(root / "stream", "replay").reports(root / "data")
    for name, (consumed, counted, twice, late, entities, values) in rows.items():
        table = reports[name.split("_")[1]]
        assert consumed == len(table)
        assert counted == len(pc.unique(table.column("flight_id")))
        assert twice == consumed - counted > 100
        assert 20 < late < 100
        assert values >= 3 * entities * 2
    total = re.search(r"at 3 moments: 0 of ([\d,]+) values differ", out)
    assert total is not None
    assert _int(total[1]) == sum(values for *_, values in rows.values())


def test_what_the_board_shows_is_what_plain_arithmetic_finds(told: tuple[str, Path]) -> None:
    out, root = told
    line = r"^  (\S+ \S+) UTC  held after ([\d,]+) reports; late by, 6 h: (.*) min$"
    found = re.findall(line, out, re.M)
    assert len(found) == 3
    reports = project.script(root / "stream", "replay").reports(root / "data")
    for minute, pushed, shown in found:
        # Held 7 min 11 s after an hour; a window of 6 h begins on a quarter of an hour.
        now = pa.scalar(minute.replace(" ", "T") + ":11Z").cast(UTC)
        first = pa.scalar(now.value - 6 * 3_600_000_000 - (7 * 60 + 11) * 1_000_000).cast(UTC)
        known = {n: t.filter(pc.less_equal(t["logged_at"], now)) for n, t in reports.items()}
        assert sum(map(len, known.values())) == _int(pushed)
        delays: dict[str, dict[str, float]] = {}
        for row in known["departures"].to_pylist():
            if first.as_py() < row["departed_at"] <= now.as_py():
                delays.setdefault(row["origin"], {})[row["flight_id"]] = row["dep_delay"]
        means = {a: math.fsum(d.values()) / len(d) for a, d in sorted(delays.items())}
        assert shown == ", ".join(f"{a} {m:+.1f}" for a, m in means.items())


def test_the_streamed_project_stays_and_works(told: tuple[str, Path]) -> None:
    _, root = told
    verified = _noskew(root / "stream", "stream", "verify", "arrivals")
    assert verified.returncode == 0, verified.stderr
    assert "Every row is as its log says." in verified.stdout
    read = _noskew(root / "stream", *"get delay_board origin=JFK --at 2013-01-11T00:07:11Z".split())
    assert read.returncode == 0, read.stderr
    assert re.search(r"destinations +[1-9]\d", read.stdout)


def test_a_difference_of_one_bit_ends_the_demo(
    flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stream.made_in_batch

    def off_by_one_bit(*given: Any) -> dict[str, pa.Table]:
        found = made(*given)
        table = found["airport_arrivals"]
        values = table.column("arrival_delay_1d").to_pylist()
        values[-1] = math.nextafter(values[-1], math.inf)
        at = table.column_names.index("arrival_delay_1d")
        found["airport_arrivals"] = table.set_column(at, "arrival_delay_1d", pa.array(values))
        return found

    monkeypatch.setattr(stream, "made_in_batch", off_by_one_bit)
    with pytest.raises(
        CorruptDataError, match=r"airport_arrivals, stream and batch\): 1 of arrival_delay_1d;"
    ):
        stream.replay(flights)


def test_on_a_terminal_features_are_drawn_as_they_change(
    flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(board, "out", console)
    stream.replay(flights)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue())
    frames = text.split("airport")[1:]
    assert len(frames) >= 2
    assert all("readable after" in f and re.search(r"arrivals +[\d,]+ +[\d,]+", f) for f in frames)
    assert len({re.search(r"JFK.*", f)[0] for f in frames}) > 1  # type: ignore[index]


def test_what_ends_a_thread_ends_the_replay(flights: Path) -> None:
    replay = project.script(flights / "stream", "replay")
    (end, parts), *_ = replay.steps(replay.reports(flights / "data"))
    with ns.FeatureStore(flights / "stream", clock=ns.FixedClock(end)) as store:
        store.apply()

        def run() -> None:
            with Folding(store, ["departures"]) as folding:
                folding.push(parts)
                folding.settle()
                store.logs.close()
                folding.push(parts)

        with pytest.raises(StoreError, match="is closed"):
            run()


@pytest.fixture
def flights(tmp_path: Path, told: tuple[str, Path]) -> Path:
    """A project like the demo's with the flights of two days, and nothing stored."""
    root = tmp_path / "flights"
    shutil.copytree(
        told[1], root, ignore=shutil.ignore_patterns(".noskew", "__pycache__", "*.parquet")
    )
    made = pq.read_table(told[1] / "data" / "flights.parquet")
    pq.write_table(made.slice(0, 1_700), root / "data" / "flights.parquet")
    return root


def test_the_project_stays_and_works(told: tuple[str, Path]) -> None:
    out, root = told
    command = re.search(r"noskew get (delay_model .*?--at \S+Z)", re.sub(r"\s*│\n│\s*", " ", out))
    assert command is not None
    done = _noskew(root, "get", *command[1].split())
    assert done.returncode == 0, done.stderr
    assert "airport_delay_6h" in done.stdout


def _row(out: str, name: str) -> tuple[float, float]:
    found = re.search(rf"{name}\s+(\d\.\d+)\s+(\d\.\d+)", out)
    assert found is not None
    return float(found[1]), float(found[2])


def _int(text: str) -> int:
    return int(text.replace(",", ""))


def _noskew(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "noskew.cli", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
