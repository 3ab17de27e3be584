"""noskew stream, as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.streaming import shop
from tests.streaming.test_streams import contents, expected

CODE = """
import noskew as ns
orders = ns.Source("orders", {"user": int, "at": "timestamp", "amount": float}, event_time="at",
                   stream=ns.LocalLog())
spent = ns.FeatureView("spent", entity=ns.Entity("user", {"user": int}), source=orders,
                       features=[ns.sum("amount")])
svc = ns.FeatureService("svc", [spent])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "noskew.toml").write_text('project = "shop"\n')
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "shop.py").write_text(CODE)
    with shop.ns.FeatureStore(tmp_path) as store:
        store.apply()
        store.push("orders", shop.orders(100, 1).drop_columns(["id"]))
    return tmp_path


def command(project: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "noskew.cli", "-C", str(project), "stream", *arguments]


def test_once_brings_everything_online_and_says_what_it_did(project: Path) -> None:
    done = subprocess.run(
        command(project, "orders", "--once"), capture_output=True, text=True, check=True
    )
    assert "stream orders" in done.stderr
    assert "100" in done.stderr
    with shop.ns.FeatureStore(project) as store:
        assert contents(store) == expected(store) != {}


def test_a_signal_stops_it_in_good_order(project: Path) -> None:
    process = subprocess.Popen(command(project, "orders"), stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip
    with shop.ns.FeatureStore(project) as store:
        while not list(store.online.scan()):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "stream orders" in told
        assert contents(store) == expected(store) != {}


def test_an_unknown_source_is_named(project: Path) -> None:
    done = subprocess.run(command(project, "order"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "orders" in done.stderr
