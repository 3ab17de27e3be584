"""The decoder of a source: by its format, with no library that another format needs."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

import noskew as ns
from noskew.errors import ConfigError, SchemaMismatchError
from noskew.intake.messages import encode_arrow
from noskew.streaming.decoding.factory import decoder
from tests.streaming.decoders import payloads
from tests.streaming.test_decode_avro import encoded, logical, record
from tests.streaming.test_decode_protobuf import file, message

ORDER = record(("user", "long"), ("at", logical("long", "timestamp-micros")))
FILES = FileDescriptorSet(
    file=[
        file(
            message("Order", "int64 user", "google.protobuf.Timestamp at"),
            imports=["google/protobuf/timestamp.proto"],
        )
    ]
).SerializeToString()


def source(stream: Any) -> ns.Source:
    return ns.Source("clicks", {"user": int, "at": "timestamp"}, event_time="at", stream=stream)


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (ns.Kafka("t"), b'{"user": 5, "at": 0}'),
        (ns.LocalLog("json"), b'{"user": 5, "at": 0}'),
        (ns.Kafka("t", "avro", schema=json.dumps(ORDER)), encoded(ORDER, {"user": 5, "at": 0})[0]),
        (ns.Kafka("t", "protobuf", schema=FILES, message="shop.Order"), b"\x08\x05\x12\x00"),
    ],
)
def test_every_format_gives_the_same_rows(stream: Any, text: bytes) -> None:
    made = decoder(source(stream))(payloads(text, b"\xff"))
    assert list(made.bad) == [1]
    again = decoder(source(ns.LocalLog()))(payloads(encode_arrow(made.rows), b"\xff"))
    assert list(again.bad) == [1]
    assert again.rows.equals(made.rows)
    assert made.rows.cast(again.rows.schema).column("at").cast("int64").to_pylist() == [0]
    assert made.rows.column("user").to_pylist() == [5]


def test_a_source_without_a_stream_has_none() -> None:
    with pytest.raises(ConfigError, match="source 'clicks' has no stream"):
        decoder(source(None))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (ns.Kafka("t", "avro", schema=json.dumps(record(("user", "string")))), "expected int64"),
        (ns.Kafka("t", "avro", schema='{"type": "record"}'), "no Avro schema"),
        (
            ns.Kafka("t", "protobuf", schema=base64.b64encode(FILES).decode(), message="Order"),
            r"there are: shop\.Order",
        ),
        (ns.Kafka("t", "protobuf", schema=b"\xff", message="Order"), "no descriptor set"),
    ],
)
def test_a_schema_that_never_fits_is_told_when_the_source_is_opened(stream: Any, why: str) -> None:
    with pytest.raises(SchemaMismatchError, match=f"source 'clicks'.*{why}"):
        decoder(source(stream))


@pytest.mark.parametrize(
    ("library", "stream", "extra"),
    [
        ("fastavro", 'ns.Kafka("t", "avro")', "avro"),
        ("httpx", 'ns.Kafka("t", "avro")', "avro"),
        ("google", 'ns.Kafka("t", "protobuf")', "protobuf"),
        ("httpx", 'ns.Kafka("t", "protobuf")', "protobuf"),
    ],
)
def test_a_missing_library_names_its_extra(library: str, stream: str, extra: str) -> None:
    told = run(
        f"import os, sys\nsys.modules[{library!r}] = None\nimport noskew as ns\n"
        "from noskew.errors import MissingExtraError\n"
        "from noskew.streaming.decoding.factory import decoder\n"
        "os.environ['SCHEMA_REGISTRY_URL'] = 'http://127.0.0.1:1'\n"
        f"source = ns.Source('s', {{'at': 'timestamp'}}, event_time='at', stream={stream})\n"
        "try:\n    decoder(source)\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    assert f"pip install 'noskew[{extra}]'" in told


def test_json_needs_none_of_them() -> None:
    told = run(
        "import sys\nimport noskew as ns\nfrom noskew.streaming.decoding.factory import decoder\n"
        "source = ns.Source('s', {'at': 'timestamp'}, event_time='at', stream=ns.Kafka('t'))\n"
        "decoder(source)\nprint({'fastavro', 'google.protobuf', 'httpx'} & sys.modules.keys())\n"
    )
    assert told == "set()\n"


def run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
