"""``noskew demo --fast``, whole: it must prove what it says, and clean up after itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo writes, and where it put the project."""
    root = tmp_path_factory.mktemp("demo") / "flights"
    done = subprocess.run(
        [sys.executable, "-m", "noskew.cli", "demo", "--fast", "--dir", str(root)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout[-2_000:]
    return done.stdout, root


def test_every_chapter_is_there_and_the_reader_knows_what_next(told: tuple[str, Path]) -> None:
    out, _ = told
    assert re.findall(r"^(\d)\. ", out, re.M) == list("1234567")
    assert "Try next" in out
    assert "noskew show delay_model" in out


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


def test_the_project_stays_and_works(told: tuple[str, Path]) -> None:
    out, root = told
    command = re.search(r"noskew get (delay_model .*?--at \S+Z)", re.sub(r"\s*│\n│\s*", " ", out))
    assert command is not None
    done = subprocess.run(
        [sys.executable, "-m", "noskew.cli", "get", *command[1].split()],
        cwd=root, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "airport_delay_6h" in done.stdout


def _row(out: str, name: str) -> tuple[float, float]:
    found = re.search(rf"{name}\s+(\d\.\d+)\s+(\d\.\d+)", out)
    assert found is not None
    return float(found[1]), float(found[2])
