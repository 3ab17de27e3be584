"""Avro and Protobuf from a real Kafka topic, with a registry that is not always there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import StoreUnavailableError
from tests.kafka_admin import Broker
from tests.servers import wait_until
from tests.streaming.registry_server import registry_server
from tests.streaming.running import Running
from tests.streaming.test_decode_avro import encoded, logical, record
from tests.streaming.test_decode_framed import framed
from tests.streaming.test_decode_protobuf import file, message

AT = 1_577_836_800_000  # 2020-01-01, in milliseconds
V1 = record(("user", "int"), ("at", logical("long", "timestamp-millis")))
V2 = record(("user", "long"), ("at", logical("long", "timestamp-millis")), ("x", "double"))
ORDER = file(
    message("Order", "int64 user", "google.protobuf.Timestamp at", "optional double x"),
    imports=["google/protobuf/timestamp.proto"],
).SerializeToString()
PROTO = b"\x08\x03\x12\x06\x08\x80\xc0\xaf\xf0\x05\x19" + b"\0" * 8


def project(topic: str, format: str) -> list[Any]:
    clicks = ns.Source(
        "clicks",
        {"user": int, "at": "timestamp", "x": float},
        event_time="at",
        stream=ns.Kafka(topic, format, key="user"),
    )
    view = ns.FeatureView(
        "recent",
        entity=ns.Entity("user", {"user": int}),
        source=clicks,
        features=[ns.count(), ns.sum("x")],
    )
    return [ns.FeatureService("svc", [view])]


def test_a_stream_waits_for_its_registry_and_takes_no_message_for_a_bad_one(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.make(partitions=1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
    with (
        registry_server() as registry,
        ns.FeatureStore(tmp_path, project="p", clock=FixedClock("2100-01-01T00:00:00Z")) as store,
    ):
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        store.apply(project(topic, "avro"))
        log = store.logs.of(store.applied.project.source("clicks"))
        one, two = registry.register("clicks", V1), registry.register("clicks", V2)
        texts = [
            framed(one, encoded(V1, {"user": 3, "at": AT})[0]),
            *(framed(two, encoded(V2, {"user": 3, "at": AT, "x": x})[0]) for x in (1, 2)),
            framed(99, b""),
            b"{}",
        ]
        log.append(0, texts)
        registry.status = 503
        with pytest.raises(StoreUnavailableError, match="answered 503"):
            store.stream("clicks")
        source, views = store.applied.project.source("clicks"), store.applied.project.views
        with Running(store.streams.processor(source, views.values())) as running:
            wait_until(lambda: "503" in str(running.fault), "it says what it waits for")
            assert running.positions()[0].next_offset == 0
            registry.status = None
            wait_until(
                lambda: not running.positions()[0].lag and running.fault is None, "it goes on"
            )
        store.stream("clicks")
        assert counts(store, [3, 4]) == ([3, 0], [3.0, None])


def test_protobuf_is_streamed(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.make(partitions=1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
    with (
        registry_server() as registry,
        ns.FeatureStore(tmp_path, project="p", clock=FixedClock("2100-01-01T00:00:00Z")) as store,
    ):
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        store.apply(project(topic, "protobuf"))
        number = registry.register("clicks", ORDER, kind="PROTOBUF")
        log = store.logs.of(store.applied.project.source("clicks"))
        log.append(0, [framed(number, b"\0" + PROTO)] * 2)
        store.stream("clicks")
        assert counts(store, [3]) == ([2], [0.0])


def counts(store: ns.FeatureStore, users: Sequence[int]) -> tuple[list[Any], list[Any]]:
    answer = store.get_online_features("svc", {"user": users}).to_dict()
    return answer["count"], answer["x_sum"]
