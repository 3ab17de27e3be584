"""A stream from a real Kafka topic, JSON messages in and rows out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import ConfigError
from noskew.streaming.sorting_out import SortingOut
from tests.kafka_admin import Broker
from tests.streaming.test_streams import contents
from tests.streaming.test_view_fold import Stream


def views(topic: str) -> list[ns.FeatureView]:
    clicks = ns.Source("clicks", {"user": int, "at": "timestamp", "x": float}, event_time="at",
                       stream=ns.Kafka(topic, key="user"))  # fmt: skip
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
            for partition in range(2):
                texts = [json.dumps({"user": 2 * i + partition, "at": "2020-01-01T00:00:00Z",
                                     "x": turn + i / 10}).encode() for i in range(20)]  # fmt: skip
                log.append(partition, [*texts, b"not json"])
            store.stream("clicks")
        view = store.applied.project.view("recent")
        rows: dict[bytes, bytes] = {}
        for partition in range(2):
            stream = Stream(view)
            stream.sorting = SortingOut(view)
            with log.reader({partition: 0}) as reader:
                while stream.mark.next_offset < log.bounds(partition)[1]:
                    for messages in reader.poll(1):
                        stream.step(messages)
            assert (stream.mark.folded, stream.mark.quarantined) == (60, 3)
            rows |= stream.rows
        online = contents(store)
        assert online == rows
        assert len(rows) == 40
        answer = store.get_online_features(ns.FeatureService("now", [view["x"]]), {"user": [3]})
        assert answer.to_dict()["x"] == [2.1]
