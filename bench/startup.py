"""How long a program waits for noskew before it does anything; whole processes are timed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.result import Result
from bench.timing import NOSKEW, in_turns, median, noise_of, wall


def run(runs: int) -> Iterator[Result]:
    """``import noskew``, the same with a FeatureStore, and ``noskew --help``."""
    python = [sys.executable, "-c"]
    bare = [*python, "pass"]
    with tempfile.TemporaryDirectory(prefix="noskew-bench-") as folder:
        for name, argv in (
            ("import", [*python, "import noskew"]),
            ("import.store", [*python, "import noskew; noskew.FeatureStore(project='bench')"]),
            ("import.help", [NOSKEW, "--help"]),
        ):
            yield _result(name, argv, bare, runs, Path(folder))


def _result(name: str, argv: Sequence[str], bare: Sequence[str], runs: int, folder: Path) -> Result:
    sides = {"noskew": partial(wall, argv, folder), "limit": partial(wall, bare, folder)}
    took = in_turns(sides, runs=runs, patience=60.0)
    command = " ".join(Path(part).name if "/" in part else part for part in argv)
    return Result(
        name,
        median(took["noskew"]),
        "s",
        median(took["limit"]),
        f"{command}; limit: python -c pass; {runs} runs",
        noise=noise_of(took),
    )
