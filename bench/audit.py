"""What keeping answers for the audit costs: the HTTP server with and without it, under wrk.

Both are the same server on the same rows; one keeps the answers for one entity in a hundred. They
take turns of a second, many of them, so that whatever else the machine does meets both alike. The
rate is over all turns together: it writes every ten seconds, and that belongs to the cost.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from bench.http import CONNECTIONS, bodies_file, serving, wrk
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
        urls = {
            "noskew": serving(stack, ["[serve]", f"audit = {SHARE}"]),
            "limit": serving(stack),
        }
        for size in SIZES:
            bodies = bodies_file(size)
            took: dict[str, list[dict[str, Any]]] = {side: [] for side in urls}
            for url in urls.values():
                wrk(url, bodies, CONNECTIONS, 2.0)
            turns = max(4, round(runs * seconds))
            for turn in range(turns):
                order = list(urls)[:: -1 if turn % 2 else 1]
                for side in order:
                    took[side].append(wrk(urls[side], bodies, CONNECTIONS, 1.0))
            rate = {side: _rate(found) for side, found in took.items()}
            yield Result(
                f"audit.{size}x{FEATURES}", rate["noskew"], "req/s", rate["limit"],
                f"{size} entities × {FEATURES} float64, one worker, JSON, LMDB; answers for "
                f"{SHARE:.0%} of the entities are kept; limit: the same server without; "
                f"{turns} turns of a second each",
                noise={s: spread([_rate([f]) for f in found]) for s, found in took.items()},
            )  # fmt: skip


def _rate(found: list[dict[str, Any]]) -> float:
    return sum(f["requests"] for f in found) / sum(f["seconds"] for f in found)


def _forget() -> None:
    """Remove what was kept, so that the project is for the other benchmarks what it was."""
    with SHAPE.open() as store:
        for table in store.offline.tables():
            if table.startswith("served_"):
                store.offline.drop(table)
