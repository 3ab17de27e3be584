"""A server of many services: until it is ready, its memory, and an apply that it takes over.

What is under way is seen from outside. One client asks at a steady rate, and a request's latency
counts from when it was due, so that one that waits delays the next. A takeover lasts from when the
registry has the new version until two seconds after the server says that it serves it, since it
may go on in the background. Its work is the processor time of the server in that time less what as
many requests take without a takeover.
"""

from __future__ import annotations

import gc
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import psutil

import noskew as ns
from bench.http import is_ready
from bench.result import Result
from bench.servers import free_port, process, wait_until
from bench.size_commands import APPLY
from bench.size_project import KEY, ProjectSize, service_name, write_team
from bench.timing import NOSKEW, ROOT, environment, median, noise_of

_READS_PER_SECOND = 100
#: So many requests pass from one look at the server's version to the next.
_LOOKS = 5
_QUIET_S, _AFTER_S = 3.0, 2.0
#: Seconds for all takeovers together; there is one at least.
_PATIENCE = 30.0
_TIMEOUT_S = 600.0


def run(root: Path, size: ProjectSize, runs: int) -> Iterator[Result]:
    """Starts, until they took too long; the last of the servers stays for the rest."""
    starts: list[float] = []
    began = time.monotonic()
    while True:
        port = free_port()
        command = [NOSKEW, "-C", str(root), "serve", "--port", str(port)]
        start = time.perf_counter()
        with process(command, port, timeout_s=_TIMEOUT_S, cwd=ROOT, env=environment()) as started:
            ready = f"http://127.0.0.1:{port}/readyz"
            wait_until(lambda ready=ready: is_ready(ready), "the server is ready", _TIMEOUT_S)
            starts.append(time.perf_counter() - start)
            if len(starts) < runs and time.monotonic() - began < _PATIENCE / 3:
                continue
            server = _Server(started.pid, port)
            yield Result(
                "size.serve.ready",
                median(starts),
                "s",
                setup=f"from the start of noskew serve, one worker, until /readyz says so; "
                f"{size.text}; {server.processor():.1f} s of processor time; {len(starts)} runs",
                noise=noise_of({"noskew": starts}),
            )
            yield from _asked(server, size)
            yield from _takeovers(server, root, size, runs)
            return


class _Server:
    """A server as it is seen from outside."""

    def __init__(self, pid: int, port: int) -> None:
        self._process = psutil.Process(pid)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def connect(self) -> None:
        """Connect anew with the next request: an idle connection may have been closed."""
        self._connection.close()

    def ask(self, service: str) -> None:
        """Read one entity of a service."""
        body = json.dumps({"rows": {KEY: [1]}})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/features/{service}", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{service}: {answer.status} {text[:500]!r}")

    def version(self) -> int:
        """The version of the definitions that it serves."""
        self._connection.request("GET", "/readyz")
        answer = json.loads(self._connection.getresponse().read())
        return int(answer["registry_version"])

    def memory(self) -> int:
        """Resident memory of the worker: the largest of the processes."""
        return max(p.memory_info().rss for p in self._processes())

    def processor(self) -> float:
        """Seconds of processor time so far."""
        times = [p.cpu_times() for p in self._processes()]
        return sum(t.user + t.system for t in times)

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


def _asked(server: _Server, size: ProjectSize) -> Iterator[Result]:
    """Memory before and after every service was asked for once, and what the first answers took."""
    before = server.memory()
    took = []
    for team in range(size.teams):
        for number in range(size.services_of_a_team):
            start = time.perf_counter()
            server.ask(service_name(team, number))
            took.append(time.perf_counter() - start)
    yield Result(
        "size.serve.memory",
        before,
        "bytes",
        setup=f"resident memory of the worker once it is ready; {size.text}",
    )
    yield Result(
        "size.serve.memory.asked",
        server.memory(),
        "bytes",
        setup=f"the same after one request to each service; {size.text}",
    )
    yield Result(
        "size.serve.first.p99",
        float(np.percentile(took, 99)),
        "s",
        setup=f"the first request to each service, one after the other; {size.text}",
    )


@dataclass
class _Reads:
    """Latencies of requests that were due; how many were sent, and the server's work for these."""

    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    work: float = 0.0

    def p99(self) -> float:
        return float(np.percentile(self.latencies, 99))


def _takeovers(server: _Server, root: Path, size: ProjectSize, runs: int) -> Iterator[Result]:
    quiet, during, work = _Reads(), _Reads(), []
    began = time.monotonic()
    with ns.FeatureStore(root) as store:
        while not work or (len(work) < runs and time.monotonic() - began < _PATIENCE):
            write_team(root, size, size.teams - 1, 100 + len(work))
            version = server.version()
            gc.disable()  # the client's own pauses are not the server's
            _read(server, quiet, version, _QUIET_S)
            before = during.sent
            with _applying(store, root, version + 1, server) as at_commit:
                _read(server, during, version + 1, _AFTER_S)
                expected = quiet.work / quiet.sent * (during.sent - before)
                work.append(server.processor() - at_commit - expected)
            gc.enable()
    setup = (
        f"an apply of one changed view; {_READS_PER_SECOND} requests/s of one entity from one "
        f"client; {size.text}; {len(work)} runs"
    )
    yield Result(
        "size.serve.takeover",
        median(work),
        "s",
        setup=f"processor time of the server for {setup}",
        noise=noise_of({"noskew": work}),
    )
    yield Result(
        "size.serve.takeover.p99",
        during.p99() / quiet.p99(),
        "×",
        setup=f"99th percentile of latency during a takeover, {during.p99() * 1e3:.2f} ms, over "
        f"that before, {quiet.p99() * 1e3:.2f} ms; {setup}",
    )


@contextmanager
def _applying(store: ns.FeatureStore, root: Path, version: int, server: _Server) -> Iterator[float]:
    """An apply that has just reached the registry; the server's processor time at that moment."""
    at_commit = 0.0

    def committed() -> bool:
        nonlocal at_commit
        at_commit = server.processor()
        return store.registry.head(store.config.project) == version or applying.poll() is not None

    with subprocess.Popen(
        [NOSKEW, "-C", str(root), *APPLY],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as applying:
        wait_until(committed, "the apply", _TIMEOUT_S)
        if applying.poll():
            raise RuntimeError(f"noskew apply ended with {applying.returncode}")
        yield at_commit


def _read(server: _Server, reads: _Reads, version: int, seconds: float) -> None:
    """Ask at a steady rate until the server serves a version, and some seconds more.

    Requests that are due by then and were not sent count with the time that they waited.
    """
    server.connect()
    never, service = threading.Event(), service_name(0)
    start, worked = time.monotonic(), server.processor()
    end: float | None = None
    for turn in count():
        due = start + turn / _READS_PER_SECOND
        if end is None and turn % _LOOKS == 0 and server.version() == version:
            end = time.monotonic() + seconds
        now = time.monotonic()
        if now > (end or start + _TIMEOUT_S):
            break
        never.wait(max(0.0, due - now))
        server.ask(service)
        reads.latencies.append(time.monotonic() - due)
    if end is None:
        raise TimeoutError(f"the server does not serve version {version}")
    reads.sent += turn
    reads.work += server.processor() - worked
    while due < now:
        reads.latencies.append(now - due)
        due += 1 / _READS_PER_SECOND
