"""On what a benchmark ran: what one has to know to compare two runs."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from bench.timing import ROOT


def describe() -> dict[str, str | int]:
    """Processor model, cores, Python and commit of this checkout; what is not known is ""."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def _commit() -> str:
    """The short commit, with "+" if a file under version control differs from it.

    Results do not count: the run before this one wrote them.
    """
    commit = _git("rev-parse", "--short", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results")
    return f"{commit}+" if changes else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()
