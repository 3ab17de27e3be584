"""A stream from the local log to LMDB: 1 M entities, Zipf 1.1, three aggregates of three windows.

The state is that of a stream that has run for a month, so windows are full where entities are
busy. A run makes the events, pushes them and folds them until all are online. The limit puts
ready rows, as many as the same events change and as long, into LMDB: no log is read, nothing
is folded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import lmdb
import numpy as np
import pyarrow as pa

import noskew as ns
from bench import data
from bench.data import KEY, TIME, UTC
from bench.result import Result
from bench.timing import median, spread
from noskew.addresses import is_entity_key
from noskew.clock import FixedClock
from noskew.streaming.workers.processor import Processor

ENTITIES = 1_000_000
_PUSH = 20_000
_RATE = 100_000  # events a second, by their own clock
_DAY = 86_400_000_000


class _Events:
    """Pushes of events whose times go on and on; the clock goes with them."""

    def __init__(self, clock: FixedClock) -> None:
        self._rng = np.random.default_rng(11)
        weights = 1 / np.arange(1, ENTITIES + 1) ** 1.1
        self._steps = np.cumsum(weights) / weights.sum()
        self._names = self._rng.permutation(ENTITIES)
        self._clock = clock

    def push(self, span: int) -> pa.Table:
        """One push, over ``span`` µs of event time."""
        start = self._clock.now()
        self._clock.advance(span)
        users = self._names[np.searchsorted(self._steps, self._rng.random(_PUSH))]
        times = np.sort(self._rng.integers(start, start + span, _PUSH))
        return pa.table(
            {
                KEY: users,
                TIME: pa.array(times).view(UTC),
                "amount": self._rng.normal(50, 20, _PUSH).round(2),
            }
        )


def run(events: int, runs: int) -> Iterator[Result]:
    """Measure ``events`` in each run."""
    clock = FixedClock(data.START)
    root = data.fresh("stream")
    root.mkdir(parents=True)
    source = ns.Source(
        "events",
        {KEY: int, TIME: "timestamp", "amount": float},
        event_time=TIME,
        stream=ns.LocalLog(),
    )
    windows = list(data.WINDOWS)
    view = ns.FeatureView(
        "busy",
        entity=ns.Entity("user", {KEY: int}),
        source=source,
        features=[
            ns.count(window=windows),
            ns.sum("amount", window=windows),
            ns.max("amount", window=windows),
        ],
    )
    with ns.FeatureStore(root, project="bench", clock=clock) as store:
        store.apply([ns.FeatureService("busy_model", [view])])
        generator = _Events(clock)
        with store.streams.processor(source, [view]) as processor:
            # A month, a day and an hour behind: every window has tiles.
            for span, count in ((_DAY, 30), (_DAY // 24, 24), (60_000_000, 60)):
                for _ in range(count):
                    store.push("events", generator.push(span))
            processor.run(Event(), until_caught_up=True)
            took = {"noskew": [], "limit": []}  # type: dict[str, list[float]]
            for _ in range(runs):
                took["noskew"].append(events / _ours(store, processor, generator, events))
                took["limit"].append(events / _limit(store, root, events))
    yield Result(
        "stream.local.lmdb",
        median(took["noskew"]),
        "events/s",
        median(took["limit"]),
        f"{events:,} events in pushes of {_PUSH:,}, {ENTITIES:,} entities, Zipf 1.1, 3 aggregates "
        f"× 3 windows, a month of state; with generator and log, without archive; {runs} runs",
        {},
        {side: spread(rates) for side, rates in took.items()},
    )


def _ours(store: ns.FeatureStore, processor: Processor, generator: _Events, events: int) -> float:
    start = time.perf_counter()
    for _ in range(events // _PUSH):
        store.push("events", generator.push(_PUSH * 1_000_000 // _RATE))
    processor.run(Event(), until_caught_up=True)
    return time.perf_counter() - start


def _limit(store: ns.FeatureStore, root: Path, events: int) -> float:
    """Rows as long and as many as change with each portion that a processor folds at once."""
    rows = [row for _, row in zip(range(2_000), store.online.scan(), strict=False)]
    size = sum(len(row) for key, row in rows if is_entity_key(key)) // len(rows)
    rng = np.random.default_rng(3)
    generator = _Events(FixedClock(data.START))
    portions = []
    for _ in range(max(1, events // (5 * _PUSH))):
        users = pa.concat_tables([generator.push(1_000_000) for _ in range(5)]).column(KEY)
        keys = sorted(u.to_bytes(8, "big") for u in set(users.to_pylist()))
        portions.append([(k, rng.bytes(size)) for k in keys])
    folder = root / "bare"
    with lmdb.open(str(folder), map_size=8 << 30, sync=False) as bare:
        start = time.perf_counter()
        for portion in portions:
            with bare.begin(write=True) as transaction:
                transaction.cursor().putmulti(portion)
        return time.perf_counter() - start
