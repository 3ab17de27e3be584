"""Connectors of streams: what is checked when one is made, and what a definition keeps of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import noskew as ns
from noskew.definitions.connectors import from_dict
from noskew.errors import DefinitionError

ORDER = {"type": "record", "name": "Order", "fields": [{"name": "user", "type": "long"}]}


@pytest.mark.parametrize(
    "connector",
    [
        ns.Kafka("t"),
        ns.Kafka("t", "arrow", key="user"),
        ns.Kafka("t", "avro", key=["a", "b"]),
        ns.Kafka("t", "avro", schema=json.dumps(ORDER)),
        ns.LocalLog(partitions=3, key="user"),
        ns.Kafka("t", "protobuf", schema=b"\0\xff", message="shop.Order"),
        ns.Kafka("t", "protobuf", registry_env="A", registry_auth_env="B", servers_env="C"),
    ],
)
def test_a_stream_survives_being_stored(connector: Any) -> None:
    data = json.loads(json.dumps(connector.to_dict()))
    assert from_dict(data) == connector
    assert hash(from_dict(data)) == hash(connector)


def test_a_local_log_with_partitions_needs_a_key() -> None:
    with pytest.raises(DefinitionError, match=r"which rows belong where; declare key=\[…\]"):
        ns.LocalLog(partitions=2)


def test_what_was_stored_before_formats_had_schemas_is_read() -> None:
    data = {"kind": "kafka", "format": "json", "key": ["user"], "topic": "t", "servers_env": "K"}
    assert from_dict(data) == ns.Kafka("t", key="user", servers_env="K")


def test_a_definition_holds_what_was_in_the_file(tmp_path: Path) -> None:
    avro, descriptor = tmp_path / "order.avsc", tmp_path / "order.desc"
    avro.write_text(json.dumps(ORDER, indent=2))
    descriptor.write_bytes(b"\0\xff")
    made = ns.Kafka("t", "avro", schema=avro)
    assert json.loads(made.schema) == ORDER
    avro.write_text(json.dumps(ORDER))
    assert ns.Kafka("t", "avro", schema=avro) == made, "spaces do not matter"
    avro.unlink()
    assert from_dict(made.to_dict()) == made
    proto = ns.Kafka("t", "protobuf", schema=descriptor, message="Order")
    assert base64.b64decode(proto.schema) == b"\0\xff"
    assert ns.Kafka("t", "protobuf", schema=proto.schema, message="Order") == proto


@pytest.mark.parametrize(
    ("format", "options", "why"),
    [
        ("avrp", {}, "valid names: arrow, avro, json, protobuf. Did you mean 'avro'"),
        ("json", {"schema": "{}"}, "for the formats avro and protobuf, not json"),
        ("json", {"message": "Order"}, "message="),
        ("avro", {"message": "Order"}, "message="),
        ("protobuf", {"schema": b"\0"}, "message="),
        ("protobuf", {"message": "Order"}, "message="),
        ("avro", {"schema": "order.avsc"}, "not the JSON text of an Avro schema"),
        ("avro", {"schema": b"\xff"}, "not the JSON text of an Avro schema"),
        ("avro", {"schema": '"long"'}, "must be an Avro record"),
        ("avro", {"schema": Path("schemas/order.avsc")}, r"Path\(__file__\)"),
        ("avro", {"schema": Path("/nowhere/order.avsc")}, "No such file"),
        ("protobuf", {"schema": "order.desc", "message": "Order"}, "not the base64 text"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    format: str, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(DefinitionError, match=why):
        ns.Kafka("t", format, **options)


@pytest.mark.parametrize("format", ["avro", "protobuf", "csv"])
def test_a_local_log_holds_what_is_pushed(format: str) -> None:
    with pytest.raises(DefinitionError, match="valid names: arrow, json"):
        ns.LocalLog(format)


def test_people_see_what_has_an_effect() -> None:
    assert repr(ns.Kafka("t")) == "Kafka('t')"
    assert ns.Kafka("t").shown() == {
        "format": "json",
        "topic": "t",
        "servers_env": "KAFKA_BOOTSTRAP",
    }
    asking = ns.Kafka("t", "avro", key="user", registry_env="R")
    assert repr(asking) == "Kafka('t', format='avro', key=('user',), registry_env='R')"
    fixed = ns.Kafka("t", "avro", schema=json.dumps(ORDER)).shown()
    assert fixed["schema"].startswith("of digest ")
    assert "registry_env" not in fixed
