"""A statement means the same wherever it runs: every session of DuckDB has the same settings."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from noskew.definitions.sql_engine import one_row
from noskew.duckdb_session import SETTINGS, connect, isolated_session
from noskew.kernel.transforms.sql import SqlEngine
from noskew.stores.sources.duckdb import DuckDbQuery
from noskew.training.frames import to_arrow

SOURCES = Path(__file__).parents[1] / "src"
#: What a statement sees of the settings, and of a time without a zone.
SETTING = (
    "SELECT current_setting('TimeZone') AS zone, "
    "current_setting('python_enable_replacements') AS replacements, "
    "epoch_us(CAST('2020-07-01 00:00:00' AS TIMESTAMPTZ)) AS us"
)
EXPECTED = {"zone": "UTC", "replacements": False, "us": 1_593_561_600_000_000}


def _in_a_source() -> Any:
    batches = list(DuckDbQuery(SETTING).sample(1))
    return pa.Table.from_batches(batches).to_pylist()[0]


def _in_a_transform() -> Any:
    engine = SqlEngine(f"{SETTING} FROM events", "events", "transform")
    row = engine(pa.table({"x": [1]})).to_pylist()[0]
    return {name: row[name] for name in EXPECTED}


PLACES: dict[str, Callable[[], Any]] = {
    "definitions": lambda: dict(zip(EXPECTED, one_row(SETTING), strict=True)),
    "transform": _in_a_transform,
    "source": _in_a_source,
    "rows of a caller": lambda: to_arrow(SETTING).to_pylist()[0],
}


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process far from UTC."""
    monkeypatch.setenv("TZ", "America/New_York")


@pytest.mark.parametrize("place", PLACES)
def test_every_place_that_runs_sql_has_the_same_settings(place: str) -> None:
    assert PLACES[place]() == EXPECTED


def test_only_one_module_opens_sessions() -> None:
    opening = re.compile(r"duckdb\.connect\(|SET (LOCAL )?TimeZone|python_enable_replacements")
    texts = {path: path.read_text() for path in SOURCES.rglob("*.py")}
    of_duckdb = {p.name for p, text in texts.items() if opening.search(text)}
    assert of_duckdb == {"duckdb_session.py", "postgres.py"}  # the latter sets PostgreSQL's zone
    assert set(SETTINGS) == {"TimeZone", "python_enable_replacements"}


def test_isolated_sessions_read_no_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n1\n")
    with connect() as session:
        assert session.read_csv(str(file)).fetchall() == [(1,)]
    with connect(isolated=True) as session, pytest.raises(duckdb.Error):
        session.read_csv(str(file)).fetchall()


def test_a_thread_keeps_its_session() -> None:
    first = isolated_session(threads=1)
    assert isolated_session(threads=1) is first
    assert isolated_session(threads=2) is not first
    others: list[object] = []
    thread = threading.Thread(target=lambda: others.append(isolated_session(threads=1)))
    thread.start()
    thread.join()
    assert others[0] is not first
