"""A project on disk with streams, and ``noskew stream`` run on it as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from typer.testing import CliRunner

import noskew as ns
from noskew.clock import SystemClock
from tests.streaming import shop

#: Orders by two views in two partitions, and clicks as JSON; a source has the name of a command.
CODE = """
from typer.testing import CliRunner

import noskew as ns

user = ns.Entity("user", {"user": int})
orders = ns.Source(
    "orders", {"user": int, "at": "timestamp", "amount": float, "id": int},
    event_time="at", event_id="id", stream=ns.LocalLog(partitions=2, key="user"),
)
clicks = ns.Source(
    "clicks", {"user": int, "at": "timestamp", "page": str},
    event_time="at", stream=ns.LocalLog(format="json"),
)
status = ns.Source("status", {"user": int, "at": "timestamp"}, event_time="at",
                   stream=ns.LocalLog())
spent = ns.FeatureView("spent", entity=user, source=orders, lateness="30s",
                       features=[ns.sum("amount", window="1h"), ns.count()])
newest = ns.FeatureView("newest", entity=user, source=orders, lateness="30s", late="table",
                        features=["amount"])
seen = ns.FeatureView("seen", entity=user, source=clicks, features=[ns.last_value("page")])
state = ns.FeatureView("state", entity=user, source=status, features=[ns.count()])
svc = ns.FeatureService("svc", [spent, newest, seen, state], full_names=True)
"""


def make(root: Path, *, online: str | None = None, code: str = CODE) -> Path:
    """A project that is applied; ``online``: the address of its online store."""
    settings = f'[online]\nurl = "{online}"\n' if online else ""
    (root / "noskew.toml").write_text(f'project = "shop"\n{settings}')
    (root / "features").mkdir()
    (root / "features" / "shop.py").write_text(code)
    with ns.FeatureStore(root) as store:
        store.apply()
    return root


def orders(count: int, seed: int) -> pa.Table:
    """Those of :mod:`shop`, of the last minutes before now."""
    made = shop.orders(count, seed)
    at = np.asarray(made["at"].cast(pa.int64())) - shop.NOW + SystemClock().now() - 60 * shop.S
    return made.set_column(1, "at", pa.array(at).view(pa.timestamp("us", "UTC")))


def push(root: Path, count: int, seed: int) -> None:
    """Append orders to their log."""
    with ns.FeatureStore(root) as store:
        store.push("orders", orders(count, seed))


def append(root: Path, source: str, *payloads: bytes) -> None:
    """Append messages to the first partition of a log, whatever they are."""
    with ns.FeatureStore(root) as store:
        store.logs.of(store.applied.project.source(source)).append(0, payloads)


def stream(root: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``noskew stream`` with some words to its end, which must be of an exit code."""
    from noskew.cli.app import app

    given = ["-C", str(root), "stream", *words]
    done = CliRunner().invoke(app, given, env={"COLUMNS": "160"})
    assert done.exit_code == code, done.output
    return subprocess.CompletedProcess(given, done.exit_code, done.stdout, done.stderr)


def stream_json(root: Path, *words: str) -> Any:
    """What a command says with ``--json``."""
    return json.loads(stream(root, *words, "--json").stdout)


@contextmanager
def running(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``noskew stream`` with some words, as long as it is needed."""
    process = subprocess.Popen(
        _command(root, words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _command(root: Path, words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "noskew.cli", "-C", str(root), "stream", *words]
