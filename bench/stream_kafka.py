"""A stream of JSON events from Kafka to Redis, with its state in LMDB.

A generator, in a process of its own, encodes events and appends them to a topic of a real broker;
meanwhile this process folds and publishes them. All share the same cores, and a run ends when the
last event is online. The limit does the least that the same job needs: the same generator and
broker, the messages consumed and not looked at, as many rows as change written to Redis.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import numpy as np
import orjson
from confluent_kafka.admin import AdminClient, NewTopic

import noskew as ns
from bench import data
from bench.data import KEY, TIME
from bench.result import Result
from bench.servers import redis_server
from bench.timing import ROOT, environment, median, spread
from noskew.addresses import is_entity_key
from noskew.config import Config, OnlineConfig
from noskew.stores.log.kafka import KafkaLog
from noskew.stores.online.redis import RedisStore
from noskew.streaming.workers.processor import Processor
from tests.kafka_server import kafka_server

ENTITIES = 1_000_000
_APPEND = 20_000
_WINDOWS = ["1h", "24h", "30d"]


def run(events: int, runs: int) -> Iterator[Result]:
    """Measure ``events`` in each run."""
    with ExitStack() as stack:
        broker = stack.enter_context(kafka_server())
        redis = f"redis://127.0.0.1:{stack.enter_context(redis_server())}/0"
        os.environ["KAFKA_BOOTSTRAP"] = broker.bootstrap
        generator = stack.enter_context(_generator(broker.bootstrap))
        took: dict[str, list[float]] = {"noskew": [], "limit": []}
        with _store(broker.bootstrap, redis) as (store, processor):
            rows = 0
            for turn in range(runs + 1):
                seconds = _ours(processor, generator, events)
                rows = rows or _changed(store, events)
                bare = _limit(broker.bootstrap, redis, generator, events, rows)
                if turn:
                    took["noskew"].append(events / seconds)
                    took["limit"].append(events / bare)
    yield Result(
        "stream.kafka.redis",
        median(took["noskew"]),
        "events/s",
        median(took["limit"]),
        f"{events:,} JSON events, {ENTITIES:,} entities, Zipf 1.1, 3 aggregates × 3 windows; "
        f"generator, broker, Redis and processor on the same cores; {runs} runs",
        {},
        {side: spread(rates) for side, rates in took.items()},
    )


@contextmanager
def _store(bootstrap: str, redis: str) -> Iterator[tuple[ns.FeatureStore, Processor]]:
    _topic(bootstrap, "ours")
    root = data.fresh("stream-kafka")
    root.mkdir(parents=True)
    source = ns.Source(
        "events",
        {KEY: int, TIME: "timestamp", "amount": float},
        event_time=TIME,
        stream=ns.Kafka("ours"),
    )
    view = ns.FeatureView(
        "busy",
        entity=ns.Entity("user", {KEY: int}),
        source=source,
        features=[
            ns.count(window=_WINDOWS),
            ns.sum("amount", window=_WINDOWS),
            ns.max("amount", window=_WINDOWS),
        ],
    )
    config = Config(project="bench", online=OnlineConfig(url=redis))
    with ns.FeatureStore(root, config=config) as store:
        store.apply([ns.FeatureService("busy_model", [view])])
        with store.streams.processor(source, [view]) as processor:
            yield store, processor


def _ours(processor: Processor, generator: _Generator, events: int) -> float:
    start = time.perf_counter()
    generator.start("ours", events)
    done = Event()
    goal = processor.positions()[0].next_offset + events

    def look(progress: list) -> None:
        if progress[0].next_offset >= goal and not progress[0].waiting:
            done.set()

    processor.run(done, watcher=look)
    return time.perf_counter() - start


def _changed(store: ns.FeatureStore, events: int) -> int:
    """About how many rows a run writes: those that are online after the first one, and more."""
    return sum(is_entity_key(key) for key, _ in store.online.scan())


def _limit(bootstrap: str, redis: str, generator: _Generator, events: int, rows: int) -> float:
    topic = f"bare-{time.monotonic_ns()}"
    _topic(bootstrap, topic)
    values = [os.urandom(16) + bytes(280) for _ in range(rows)]
    keys = [i.to_bytes(8, "big") for i in range(rows)]
    with KafkaLog(topic, {"bootstrap.servers": bootstrap}) as log, RedisStore(redis) as store:
        start = time.perf_counter()
        generator.start(topic, events)
        read = 0
        with log.reader({0: 0}) as reader:
            while read < events:
                read += sum(len(messages) for messages in reader.poll(1.0))
        for at in range(0, rows, 10_000):
            store.write(keys[at : at + 10_000], values[at : at + 10_000])
        spent = time.perf_counter() - start
        store.delete(keys)
        return spent


def _topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic = NewTopic(name, 1, 1, config={"message.timestamp.type": "LogAppendTime"})
    admin.create_topics([topic])[name].result(30)


class _Generator:
    def __init__(self, started: subprocess.Popen[str]) -> None:
        self._started = started

    def start(self, topic: str, events: int) -> None:
        """Append so many events to a topic, from now on, in the background."""
        assert self._started.stdin is not None
        self._started.stdin.write(f"{topic} {events}\n")
        self._started.stdin.flush()


@contextmanager
def _generator(bootstrap: str) -> Iterator[_Generator]:
    command = [sys.executable, "-m", "bench.stream_kafka", bootstrap]
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    )
    try:
        yield _Generator(started)
    finally:
        assert started.stdin is not None
        started.stdin.close()
        started.wait(60)


def generate(bootstrap: str) -> None:
    """Append what the lines on standard input ask for: a topic and how many events."""
    rng = np.random.default_rng(7)
    weights = 1 / np.arange(1, ENTITIES + 1) ** 1.1
    steps, names = np.cumsum(weights) / weights.sum(), rng.permutation(ENTITIES)
    for line in sys.stdin:
        topic, events = line.split()
        with KafkaLog(topic, {"bootstrap.servers": bootstrap}) as log:
            for _ in range(int(events) // _APPEND):
                users = names[np.searchsorted(steps, rng.random(_APPEND))].tolist()
                amounts = rng.normal(50, 20, _APPEND).round(2).tolist()
                now = ns.SystemClock().now()
                log.append(
                    0,
                    [
                        orjson.dumps({KEY: user, TIME: now, "amount": amount})
                        for user, amount in zip(users, amounts, strict=True)
                    ],
                )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    generate(sys.argv[1])
