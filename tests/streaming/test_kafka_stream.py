"""A stream from a real Kafka topic, JSON messages in and rows out."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import ConfigError
from noskew.stores.log.base import EventLog
from noskew.streaming.workers.processor import PartitionPosition
from tests import chaos
from tests.kafka_admin import Broker
from tests.kafka_server import kafka_server as own_broker
from tests.servers import wait_until
from tests.streaming.running import Running
from tests.streaming.test_streams import contents
from tests.streaming.test_view_fold import Stream


def views(topic: str) -> list[ns.FeatureView]:
    clicks = ns.Source(
        "clicks",
        {"user": int, "at": "timestamp", "x": float},
        event_time="at",
        stream=ns.Kafka(topic, key="user"),
    )
    features = [ns.count(window="1h"), ns.sum("x", window="1d"), "x"]
    user = ns.Entity("user", {"user": int})
    return [ns.FeatureView("recent", entity=user, source=clicks, features=features)]


def test_rows_are_the_fold_of_the_topic(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.make(partitions=2)
    clock = FixedClock("2100-01-01T00:00:00Z")  # the broker says when; reads come later
    with ns.FeatureStore(tmp_path, project="p", clock=clock) as store:
        store.apply(views(topic))
        with pytest.raises(ConfigError, match="KAFKA_BOOTSTRAP"):
            store.stream("clicks")
        monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
        source = store.applied.project.source("clicks")
        log = store.logs.of(source)
        for turn in range(3):
            append(log, turn)
            store.stream("clicks")
        view = store.applied.project.view("recent")
        folded = [fold(log, view, partition) for partition in range(2)]
        assert [(s.progress.folded, s.progress.quarantined) for s in folded] == [(60, 3)] * 2
        rows = folded[0].rows | folded[1].rows
        assert contents(store) == rows
        assert len(rows) == 40
        answer = store.get_online_features(ns.FeatureService("now", [view["x"]]), {"user": [3]})
        assert answer.to_dict()["x"] == [2.1]


def append(log: EventLog, turn: int) -> None:
    """Twenty clicks for each partition, and what is none."""
    for partition in range(2):
        texts = [
            json.dumps(
                {"user": 2 * i + partition, "at": "2020-01-01T00:00:00Z", "x": turn + i / 10}
            ).encode()
            for i in range(20)
        ]
        log.append(partition, [*texts, b"not json"])


def fold(log: EventLog, view: ns.FeatureView, partition: int) -> Stream:
    """A partition, message by message in memory."""
    stream = Stream(view)
    with log.reader({partition: 0}) as reader:
        while stream.progress.next_offset < log.bounds(partition)[1]:
            for messages in reader.poll(1):
                stream.step(messages)
    return stream


@pytest.mark.chaos
def test_a_stream_goes_on_when_its_broker_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills, strikes = 0, chaos.times(1, 5)
    with own_broker() as server, ns.FeatureStore(tmp_path, project="p") as store:
        monkeypatch.setenv("KAFKA_BOOTSTRAP", server.bootstrap)
        store.apply(views(Broker(server.bootstrap).make(partitions=2)))
        source, view = store.applied.project.source("clicks"), store.applied.project.view("recent")
        log = store.logs.of(source)
        append(log, 0)
        told: list[list[PartitionPosition]] = []
        with Running(store.streams.processor(source, [view]), told.append) as processor:
            for turn in range(1, 1 + strikes):
                wait_until(lambda: not any(p.lag for p in processor.positions()), "it caught up")
                pid = server.pid
                server.stop(signal.SIGKILL)
                del told[:-1]
                wait_until(lambda: told[-1][0].fault is not None, "people are told")
                server.start()
                kills += server.pid != pid
                append(log, turn)
            rows = fold(log, view, 0).rows | fold(log, view, 1).rows
            wait_until(lambda: contents(store) == rows, "everything is online")
        assert len(rows) == 40
    assert kills == strikes
    chaos.note(
        "kill -9 of the Kafka broker under a stream",
        faults=strikes,
        traces=kills,
        compared=len(rows),
    )
