"""How long a program waits for noskew before it does anything; whole processes are timed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.result import Result
from bench.timing import ROOT, environment, median, spread


def run(runs: int) -> Iterator[Result]:
    """``import noskew``, the same with a FeatureStore, and ``noskew --help``."""
    python = [sys.executable, "-c"]
    bare = [*python, "pass"]
    command = str(Path(sys.executable).parent / "noskew")
    for name, argv in (
        ("import", [*python, "import noskew"]),
        ("import.store", [*python, "import noskew; noskew.FeatureStore"]),
        ("import.help", [command, "--help"]),
    ):
        took: dict[str, list[float]] = {"noskew": [], "limit": []}
        for turn in range(runs + 1):
            ours, theirs = _wall(argv), _wall(bare)
            if turn:  # the first brings files into memory
                took["noskew"].append(ours)
                took["limit"].append(theirs)
        yield Result(
            name, median(took["noskew"]), "s", median(took["limit"]),
            f"{' '.join(Path(a).name if '/' in a else a for a in argv)}; limit: python -c pass; "
            f"{runs} runs",
            noise={side: spread(found) for side, found in took.items()},
        )  # fmt: skip


def _wall(argv: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(argv, cwd=ROOT, env=environment(), check=True, capture_output=True)
    return time.perf_counter() - start
