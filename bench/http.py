"""The HTTP server, one worker, LMDB, JSON, 50 features of 1 and of 100 entities, under wrk.

The limit is :mod:`bench.http_bare`, under the same granian. wrk and the server share the cores, so
rates are those of a machine that also makes the load. The 99th percentile is taken at about half
of the highest rate, from 32 connections that wait at random between their requests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from bench import data
from bench.data import KEY
from bench.online import FEATURES, SHAPE, batches, values
from bench.result import Result
from bench.servers import free_port, process, wait_until
from bench.timing import ROOT, environment, median, spread

SIZES = (1, 100)
CONNECTIONS = 8
_PACED = 32
_LUA = Path(__file__).with_name("post.lua")
_BIN = Path(sys.executable).parent


def run(*, runs: int, seconds: float) -> Iterator[Result]:
    """Rates of both servers in turn, then the tail of ours under half the load."""
    if shutil.which("wrk") is None:
        yield Result("http.1x50", None, "req/s", skipped="wrk is not installed")
        return
    with ExitStack() as stack:
        urls = {"noskew": serving(stack).url, "limit": _bare(stack)}
        check(urls)
        rates = {}
        for size in SIZES:
            name, bodies = f"http.{size}x{FEATURES}", bodies_file(size)
            took: dict[str, list[float]] = {side: [] for side in urls}
            for turn in range(runs + 1):
                for side, url in urls.items():
                    load = wrk(url, bodies, CONNECTIONS, seconds if turn else 1.0)
                    if turn:
                        took[side].append(load["requests"] / load["seconds"])
            mid = {side: median(side_rates) for side, side_rates in took.items()}
            rates[size] = mid["noskew"]
            yield Result(
                name,
                mid["noskew"],
                "req/s",
                mid["limit"],
                f"{size} entities × {FEATURES} float64, one worker, JSON, LMDB, wrk with "
                f"{CONNECTIONS} connections on the same cores; {runs} runs of {seconds} s",
                noise={side: spread(side_rates) for side, side_rates in took.items()},
            )
            yield _tail(name, urls, bodies, mid, seconds)
        ten = wrk(urls["noskew"], bodies_file(10), CONNECTIONS, 2 * seconds)
        yield Result(
            "growth.http.rows",
            ten["requests"] / ten["seconds"] / rates[100],
            "×",
            setup="time of a request for 100 entities over that of one for 10",
        )


def _tail(
    name: str, urls: dict[str, str], bodies: Path, rates: dict[str, float], seconds: float
) -> Result:
    """The 99th percentile of each server at about half of what ours can do."""
    wait_ms = 1_000 * _PACED / (rates["noskew"] / 2)
    loads = {s: wrk(url, bodies, _PACED, max(5.0, seconds), wait_ms) for s, url in urls.items()}
    reached = loads["noskew"]["requests"] / loads["noskew"]["seconds"]
    return Result(
        f"{name}.p99",
        loads["noskew"]["p99"],
        "s",
        loads["limit"]["p99"],
        f"latency at {reached:,.0f} req/s, {reached / rates['noskew']:.0%} of the highest rate, "
        f"{_PACED} connections; limit: the bare handler at the same rate",
    )


def wrk(
    url: str, bodies: Path, connections: int, seconds: float, wait_ms: float | None = None
) -> dict[str, Any]:
    """One run of wrk with one thread. Raises if a request failed."""
    command = [
        *(
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{round(seconds)}s",
            "--timeout",
            "30s",
            "--latency",
        ),
        *("--latency", "-s", str(_LUA), url, "--", str(bodies)),
        *([f"{wait_ms:.4f}"] if wait_ms else []),
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    load: dict[str, Any] = json.loads(next(x for x in out.splitlines() if x.startswith("{")))
    if load["errors"]:
        raise RuntimeError(f"{url}: {load['errors']} of {load['requests']} requests failed")
    return load


def bodies_file(size: int) -> Path:
    """Requests to send, one a line."""
    path = data.workdir() / f"bodies-{size}.txt"
    path.write_text(
        "".join(json.dumps({"rows": {KEY: ids}}) + "\n" for ids in batches(size)[:2_000])
    )
    return path


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def check(urls: dict[str, str]) -> None:
    """Raise unless both servers give the values that were made."""
    ids = batches(100)[0]
    wanted = dict(zip(data.names(FEATURES), values()[ids].T.tolist(), strict=True))
    for side, url in urls.items():
        assert post(url, {"rows": {KEY: ids}})["features"] == wanted, side


class Served(NamedTuple):
    """A server: the address of a service, and the id of its first process."""

    url: str
    pid: int


def serving(stack: ExitStack, settings: Sequence[str] = ()) -> Served:
    """A server of ours; ``settings``: more lines of ``noskew.toml``."""
    root = SHAPE.root()
    (root / "noskew.toml").write_text("\n".join(['project = "bench"', *settings, ""]))
    with SHAPE.open() as store:
        store.materialize(full=True)
    port = free_port()
    command = [str(_BIN / "noskew"), "-C", str(root), "serve", "--port", str(port)]
    started = stack.enter_context(process(command, port, cwd=ROOT, env=environment()))
    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: is_ready(f"{address}/readyz"), "the server is ready")
    return Served(f"{address}/features/latest", started.pid)


def _bare(stack: ExitStack) -> str:
    folder = data.fresh("http-bare")
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 30) as store, store.begin(write=True) as transaction:
        transaction.cursor().putmulti(
            [(i.to_bytes(8, "big"), row.tobytes()) for i, row in enumerate(values())]
        )
    port = free_port()
    command = [
        *(str(_BIN / "granian"), "--interface", "rsgi", "--workers", "1", "--http", "1"),
        *("--no-ws", "--no-access-log", "--log-level", "warning", "--port", str(port)),
        "bench.http_bare:app",
    ]
    given = environment() | {"BENCH_LMDB": str(folder), "PYTHONPATH": str(ROOT)}
    stack.enter_context(process(command, port, cwd=ROOT, env=given))
    return f"http://127.0.0.1:{port}/"


def is_ready(url: str) -> bool:
    """Whether a server says at ``/readyz`` that it can answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
