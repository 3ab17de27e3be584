"""Measuring: sides that take turns, child processes, medians."""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: The command line, of the environment that runs this.
NOSKEW = str(Path(sys.executable).parent / "noskew")
Call = Callable[[Any], object]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """The range over the median: 0.1 is ± 5 %."""
    return (max(values) - min(values)) / statistics.median(values)


def noise_of(took: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The spread of each side; nothing is known of one that was measured once."""
    return {side: spread(times) for side, times in took.items() if len(times) > 1}


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
    took: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, call in sides.items():
            start = at[name]
            at[name] = (start + calls[name]) % len(inputs)
            chosen = [inputs[(start + i) % len(inputs)] for i in range(calls[name])]
            took[name].append(_timed(call, chosen))
    gc.unfreeze()
    return took


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


def in_turns(
    sides: Mapping[str, Callable[[], float]], *, runs: int, patience: float
) -> dict[str, list[float]]:
    """Seconds of each side, as it says them, in turns A B A B …: for what takes long.

    Once the turns took ``patience`` seconds in all there are no more, so that what takes longer is
    measured once. The first of three turns or more only warms up.
    """
    took: dict[str, list[float]] = {name: [] for name in sides}
    start = time.perf_counter()
    for turn in range(runs + 1):
        if turn and time.perf_counter() - start > patience:
            break
        for name, call in sides.items():
            took[name].append(call())
    return {name: times[1:] if len(times) > 2 else times for name, times in took.items()}


def wall(argv: Sequence[str], cwd: Path = ROOT) -> float:
    """Seconds that a process takes. Raises RuntimeError with what it said if it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        argv, cwd=cwd, env=environment(), check=False, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return seconds


def processor_of_children() -> float:
    """Seconds of processor time of the child processes that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def child(module: str, task: Mapping[str, Any], *, python: str = sys.executable) -> dict[str, Any]:
    """Run ``python -m module <task as JSON>``; the JSON object on its last line."""
    done = subprocess.run(
        [python, "-m", module, json.dumps(task)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
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
