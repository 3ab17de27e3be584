"""What keeping answers for the audit costs: the HTTP server with and without it, under wrk.

Both are the same server on the same rows; one keeps the answers for one entity in a hundred. They
take turns of a second, many of them. Counted are the requests that a server answers in a second of
processor time, its own and its workers': by the clock a rate differs by a third from one second to
the next on a shared machine, and a part of a hundred cannot be seen. The rate is over all turns
together: it writes every ten seconds, and that belongs to the cost.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.http import CONNECTIONS, Served, bodies_file, serving, wrk
from bench.online import FEATURES, SHAPE
from bench.result import Result
from bench.timing import spread

SHARE = 0.01
SIZES = (1, 100)


def run(*, runs: int, seconds: float) -> Iterator[Result]:
    """The rates of both servers, for one entity and for a hundred."""
    if shutil.which("wrk") is None:
        yield Result("audit.1x50", None, "req/s", skipped="wrk is not installed")
        return
    with ExitStack() as stack:
        stack.callback(_forget)
        servers = {
            "noskew": serving(stack, ["[serve]", f"audit = {SHARE}"]),
            "limit": serving(stack),
        }
        for size in SIZES:
            bodies = bodies_file(size)
            for server in servers.values():
                wrk(server.url, bodies, CONNECTIONS, 2.0)
            took: dict[str, list[_Turn]] = {side: [] for side in servers}
            turns = max(4, round(runs * seconds))
            for turn in range(turns):
                order = list(servers)[:: -1 if turn % 2 else 1]
                for side in order:
                    took[side].append(_turn(servers[side], bodies))
            rate = {side: _rate(side_turns) for side, side_turns in took.items()}
            clock = {side: f"{_by_the_clock(side_turns):,.0f}" for side, side_turns in took.items()}
            yield Result(
                f"audit.{size}x{FEATURES}",
                rate["noskew"],
                "req/s",
                rate["limit"],
                f"requests in a second of the server's processor time; {size} entities × "
                f"{FEATURES} float64, one worker, JSON, LMDB; answers for {SHARE:.0%} of the "
                f"entities are kept; limit: the same server without; {turns} turns of a second "
                f"each, by the clock {clock['noskew']} and {clock['limit']} req/s",
                noise={
                    s: spread([_rate([f]) for f in side_turns]) for s, side_turns in took.items()
                },
            )


class _Turn(NamedTuple):
    requests: int
    seconds: float
    processor: float


def _turn(server: Served, bodies: Path) -> _Turn:
    before = _processor(server.pid)
    load = wrk(server.url, bodies, CONNECTIONS, 1.0)
    return _Turn(load["requests"], load["seconds"], _processor(server.pid) - before)


def _processor(pid: int) -> float:
    """Seconds of processor time that a process and its children have used."""
    first = psutil.Process(pid)
    times = [p.cpu_times() for p in (first, *first.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def _rate(turns: list[_Turn]) -> float:
    return sum(t.requests for t in turns) / sum(t.processor for t in turns)


def _by_the_clock(turns: list[_Turn]) -> float:
    return sum(t.requests for t in turns) / sum(t.seconds for t in turns)


def _forget() -> None:
    """Remove what was kept, so that the project is for the other benchmarks what it was."""
    with SHAPE.open() as store:
        for table in store.offline.tables():
            if table.startswith("served_"):
                store.offline.drop(table)
