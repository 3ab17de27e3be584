"""A runner is opened by its name: noskew's own, or one that a distribution gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import noskew as ns
from noskew import config
from noskew.config import Config
from noskew.errors import ConfigError, InputError
from noskew.runners.in_process import InProcessRunner
from noskew.runners.opening import open_runner
from noskew.training.spark.runners import Runners

_MODULE = """
from noskew.runners.in_process import InProcessRunner

OPENED = []


class Foreign(InProcessRunner):
    pass


def open_foreign(config):
    OPENED.append(config.runner)
    return Foreign()
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with a runner of its own."""
    about = tmp_path / "packages" / "foreign_runner-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-runner\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[noskew.runners]\nforeign = foreign_runner:open_foreign\n"
    )
    (about.parent / "foreign_runner.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(about.parent))
    yield
    sys.modules.pop("foreign_runner", None)


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(InputError, match="no runner 'sparc'; valid names: in_process, spark"):
        open_runner(Config(project="p", runner="sparc"))


def test_a_runner_of_somebody_else_is_opened_by_its_name(foreign: None, tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_text('project = "p"\nrunner = "foreign://somewhere"\n')
    loaded = config.load(tmp_path)
    with Runners(loaded, tmp_path) as runners:
        project = runners.project(None)
        again = runners.project(None)
        assert project is not None
        assert again is not None
        assert project.runner is again.runner
        assert isinstance(project.runner, InProcessRunner)
        assert runners.project("in_process") is None
    assert sys.modules["foreign_runner"].OPENED == ["foreign://somewhere"]


def test_a_scheme_that_nobody_has(tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_text('project = "p"\nrunner = "foreign://somewhere"\n')
    with pytest.raises(
        ConfigError, match="runner = 'foreign://somewhere'; valid names: in_process"
    ):
        config.load(tmp_path)


def test_a_runner_of_somebody_else_does_all_that_needs_no_frame(
    foreign: None, tmp_path: Path
) -> None:
    """Training sets of rows of this process and materialize, as one process has them."""
    user = ns.Entity("user", {"user": str})
    spent = ns.Source("spent", {"user": str, "at": "timestamp", "amount": float}, event_time="at")
    view = ns.FeatureView(
        "wallet", entity=user, source=spent, features=[ns.sum("amount", name="sum")]
    )
    loaded = Config(project="p")
    rows = {"user": ["a", "b", "c"], "event_timestamp": ["2024-01-02T00:00:00Z"] * 3}
    with ns.FeatureStore(tmp_path, config=loaded) as store:
        store.apply([ns.FeatureService("wallet_model", [view])])
        import pyarrow as pa

        events = pa.table(
            {"user": ["a", "a", "b"], "at": ["2024-01-01T00:00:00Z"] * 3, "amount": [1.0, 2.0, 4.0]}
        )
        times = events.column("at").cast(pa.timestamp("us", "UTC"))
        store.ingest("spent", events.set_column(1, "at", times))
        asked = pa.table(rows)
        when = asked.column("event_timestamp").cast(pa.timestamp("us", "UTC"))
        asked = asked.set_column(1, "event_timestamp", when)
        here = store.get_historical_features(asked, "wallet_model").to_arrow()
        there = store.get_historical_features(asked, "wallet_model", runner="foreign").to_arrow()
        assert here.column("sum").to_pylist() == [3.0, 4.0, None]
        assert there.equals(here)
        (done,) = store.materialize(runner="foreign")
        assert done.entities == 2
        answer = store.get_online_features("wallet_model", {"user": ["a", "b", "c"]}).to_dict()
        assert answer["sum"] == [3.0, 4.0, None]
