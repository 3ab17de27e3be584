"""A stream as it runs: how fresh it is, what reads cost meanwhile, memory, and life after a kill.

Three processes beside this one, all on the same cores: ``noskew stream``, ``noskew serve``, and
a generator that appends events at a steady rate. Each append has one event of a user that nothing
else happens to, with the number of the append; this process asks for that user over HTTP, 200 times
a second. An append is fresh at the first answer that has its number or a later one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow as pa

import noskew as ns
from bench import data
from bench.result import Result
from bench.servers import free_port, process, wait_until
from bench.timing import ROOT, environment

RATE = 100_000
ENTITIES = 1_000_000
_APPENDS_PER_SECOND = 20
_READS_PER_SECOND = 200
_BIN = Path(sys.executable).parent
_PROJECT = """
import noskew as ns

events = ns.Source("events", {"user_id": int, "happened_at": "timestamp", "amount": float},
                   event_time="happened_at", stream=ns.LocalLog())
windows = ["1h", "24h", "30d"]
busy = ns.FeatureView(
    "busy", entity=ns.Entity("user", {"user_id": int}), source=events,
    features=[ns.count(window=windows), ns.sum("amount", window=windows),
              ns.max("amount", window=windows)],
)
model = ns.FeatureService("model", [busy])
"""


@dataclass
class _Reads:
    """What a reader saw: when each answer came, how long it took, and the number it had."""

    at: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    number: list[int] = field(default_factory=list)


def run(seconds: float) -> Iterator[Result]:
    """Freshness and reads over ``seconds``, then a kill."""
    with _running() as (stream, generator, port):
        began = time.monotonic()
        reads = _read(port, seconds)
        times = generator.stamps(began + 1, began + seconds - 2)
        fresh = _freshness(reads, times)
        setup = (
            f"{RATE:,} events/s in {_APPENDS_PER_SECOND} appends/s, {ENTITIES:,} entities, 3 "
            f"aggregates × 3 windows, local log, LMDB, {_READS_PER_SECOND} reads/s over HTTP, "
            f"{seconds:.0f} s, all on the same cores"
        )
        yield Result("stream.freshness.p50", float(np.percentile(fresh, 50)), "s", setup=setup)
        yield Result("stream.freshness.p99", float(np.percentile(fresh, 99)), "s", setup=setup)
        took = float(np.percentile(reads.took, 99))
        yield Result("stream.freshness.reads.p99", took, "s", setup=setup)
        yield _after_kill(stream, generator, port)


def soak(seconds: float = 600.0) -> Iterator[Result]:
    """Resident memory of the processor over some minutes."""
    with _running() as (stream, _, port):
        yield _soak(stream, port, seconds)


@contextlib.contextmanager
def _running() -> Iterator[tuple[_Stream, _Generator, int]]:
    """The processes of a live stream, and the port of the server."""
    root = _project()
    port = free_port()
    serve = [str(_BIN / "noskew"), "-C", str(root), "serve", "--port", str(port)]
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_Stream(root))
        wait_until(lambda: _lag(root) == 0, "the first events are online", 300)
        stack.enter_context(process(serve, port, cwd=ROOT, env=environment()))
        generator = stack.enter_context(_generator(root))
        _read(port, 5.0)  # until everything is warm
        yield stream, generator, port


def _soak(stream: _Stream, port: int, seconds: float) -> Result:
    """Most resident memory of the processor in the last tenth over that in the second one.

    It goes up and down with each commit of the archive, every 20 seconds.
    """
    sizes = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _read(port, 5.0)
        sizes.append(stream.resident())
    tenth = len(sizes) // 10
    most = [max(sizes[i * tenth : (i + 1) * tenth]) for i in range(10)]
    shown = ", ".join(f"{size / 2**20:,.0f}" for size in most)
    return Result(
        "stream.soak.memory",
        most[-1] / most[1],
        "×",
        setup=f"most resident memory in the last tenth of {seconds:.0f} s at {RATE:,} events/s "
        f"over that in the second; MiB, tenth by tenth: {shown}",
    )


def _after_kill(stream: _Stream, generator: _Generator, port: int) -> Result:
    """From ``kill -9`` of the processor, started again at once, until it is fresh within 1 s."""
    killed = time.monotonic()
    stream.kill_and_start()
    while time.monotonic() < killed + 60:
        reads = _read(port, 1.0)
        newest = max(reads.number)
        behind = reads.at[-1] - generator.appended_after(newest)
        if newest > generator.number_at(killed) and behind < 1.0:
            break
    return Result(
        "stream.recovery",
        time.monotonic() - killed,
        "s",
        setup=f"kill -9 of the processor with {ENTITIES:,} rows of state, at {RATE:,} events/s, "
        f"until reads are less than 1 s behind again",
    )


def _freshness(reads: _Reads, times: dict[int, float]) -> np.ndarray:
    """Seconds from the append of each number to the first answer that has it."""
    numbers, at = np.array(reads.number), np.array(reads.at)
    highest = np.maximum.accumulate(numbers)
    wanted = np.array(sorted(times))
    first = np.searchsorted(highest, wanted)
    assert first.max() < len(at), "some appends were never seen"
    return at[first] - np.array([times[n] for n in wanted])


def _read(port: int, seconds: float) -> _Reads:
    """Ask for the user of the numbers again and again, at a steady rate."""
    body = json.dumps({"rows": {"user_id": [ENTITIES]}})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    reads, never = _Reads(), Event()
    start = time.monotonic()
    for turn in range(round(seconds * _READS_PER_SECOND)):
        never.wait(max(0.0, start + turn / _READS_PER_SECOND - time.monotonic()))
        asked = time.monotonic()
        connection.request("POST", "/features/model", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        reads.at.append(time.monotonic())
        reads.took.append(reads.at[-1] - asked)
        reads.number.append(int(answer["features"]["amount_max_1h"][0] or 0))
    connection.close()
    return reads


class _Stream:
    """``noskew stream`` as a process of its own."""

    def __init__(self, root: Path) -> None:
        self._command = [str(_BIN / "noskew"), "-C", str(root), "stream", "events"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Stream:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)

    def resident(self) -> int:
        """Its resident memory, without pages of mapped files."""
        assert self._process is not None
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon")

    def kill_and_start(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment()
        )


class _Generator:
    """Reads what the generator's process says: the number of each append, and when it began."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self._times: dict[int, float] = {}
        self._thread = Thread(target=self._listen, args=(started,), daemon=True)
        self._thread.start()

    def stamps(self, start: float, end: float) -> dict[int, float]:
        return {n: t for n, t in list(self._times.items()) if start <= t < end}

    def appended_after(self, number: int) -> float:
        """When the append after ``number`` began; infinitely late if it has not."""
        return self._times.get(number + 1, float("inf"))

    def number_at(self, moment: float) -> int:
        return max((n for n, t in list(self._times.items()) if t <= moment), default=0)

    def _listen(self, started: subprocess.Popen[str]) -> None:
        assert started.stdout is not None
        for line in started.stdout:
            number, moment = line.split()
            self._times[int(number)] = float(moment)


@contextlib.contextmanager
def _generator(root: Path) -> Iterator[_Generator]:
    started = subprocess.Popen(
        [sys.executable, "-m", "bench.live", str(root)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    try:
        yield _Generator(started)
    finally:
        started.terminate()
        started.wait(20)


def _project() -> Path:
    """A project whose log holds one event of every user."""
    root = data.fresh("live")
    (root / "features").mkdir(parents=True)
    (root / "noskew.toml").write_text('project = "live"\n')
    (root / "features" / "live.py").write_text(_PROJECT)
    with ns.FeatureStore(root) as store:
        store.apply()
        now = store.clock.now()
        for start in range(0, ENTITIES, 50_000):
            users = np.arange(start, start + 50_000)
            store.push("events", _events(users, np.full(len(users), now), np.ones(len(users))))
    return root


def _lag(root: Path) -> int:
    with ns.FeatureStore(root) as store:
        log = store.logs.of(store.applied.project.source("events"))
        view = store.applied.project.view("busy")
        from noskew.addresses import OnlineRows
        from noskew.streaming.fold.progress import PartitionProgress

        prefix = store.tenant.rows_of(view.definition_hash).prefix
        (row,) = store.online.read([OnlineRows(prefix).progress(0)])
        return log.bounds(0)[1] - (
            0 if row is None else PartitionProgress.from_row(row).next_offset
        )


def _events(users: np.ndarray, times: np.ndarray, amounts: np.ndarray) -> pa.Table:
    return pa.table(
        {
            "user_id": users,
            "happened_at": pa.array(times).view(pa.timestamp("us", "UTC")),
            "amount": amounts,
        }
    )


def generate(root: Path) -> None:
    """Append events at a steady rate until the process is ended; say when each append began."""
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, ENTITIES + 1) ** 1.1
    steps, names = np.cumsum(weights) / weights.sum(), rng.permutation(ENTITIES)
    each, never = RATE // _APPENDS_PER_SECOND, Event()
    with ns.FeatureStore(root) as store:
        source = store.applied.project.source("events")
        start, number = time.monotonic(), 1
        while True:
            users = np.append(names[np.searchsorted(steps, rng.random(each - 1))], ENTITIES)
            amounts = np.append(rng.normal(50, 20, each - 1).round(2), float(number))
            now = store.clock.now()
            table = _events(users, np.full(each, now), amounts)
            never.wait(max(0.0, start + number / _APPENDS_PER_SECOND - time.monotonic()))
            began = time.monotonic()
            store.logs.push(source, table)
            print(number, began, flush=True)
            number += 1


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
