"""Measuring: sides that take turns, child processes, medians."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Call = Callable[[Any], object]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """The range over the median: 0.1 is ± 5 %."""
    return (max(values) - min(values)) / statistics.median(values)


def take_turns(
    sides: Mapping[str, Call], inputs: Sequence[Any], *, runs: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds per call of each side, one number a run: A B A B …, after one run to warm up.

    Each run goes through the inputs from where its side stopped, for about ``seconds``.
    """
    gc.collect()
    gc.freeze()
    at = dict.fromkeys(sides, 0)
    calls = {name: _calls_within(call, inputs, seconds) for name, call in sides.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, call in sides.items():
            start = at[name]
            at[name] = (start + calls[name]) % len(inputs)
            chosen = [inputs[(start + i) % len(inputs)] for i in range(calls[name])]
            found[name].append(_timed(call, chosen))
    gc.unfreeze()
    return found


def _calls_within(call: Call, inputs: Sequence[Any], seconds: float) -> int:
    end = time.perf_counter() + seconds
    done = 0
    while time.perf_counter() < end or done < 3:
        call(inputs[done % len(inputs)])
        done += 1
    return done


def _timed(call: Call, inputs: Sequence[Any]) -> float:
    start = time.perf_counter()
    for given in inputs:
        call(given)
    return (time.perf_counter() - start) / len(inputs)


def child(module: str, task: Mapping[str, Any], *, python: str = sys.executable) -> dict[str, Any]:
    """Run ``python -m module <task as JSON>``; the JSON object on its last line."""
    done = subprocess.run(
        [python, "-m", module, json.dumps(task)],
        cwd=ROOT, capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module} {task}:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def environment() -> dict[str, str]:
    """The environment of child processes: byte code is kept, as it is by default."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def peak_bytes() -> int:
    """The greatest resident memory this process has had.

    Not getrusage's, which starts from what the parent had when it forked.
    """
    return _status("VmHWM")


def resident_bytes() -> int:
    """The resident memory of this process now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} in /proc/self/status")
