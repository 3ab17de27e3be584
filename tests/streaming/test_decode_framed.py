"""Messages that name their schema, and the registry that has it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import noskew as ns
from noskew.errors import ConfigError, NoskewError, StoreUnavailableError
from noskew.streaming.decoding.base import Decoder
from noskew.streaming.decoding.factory import decoder
from noskew.streaming.decoding.framed import SchemaHeader, avro_header, protobuf_header
from noskew.streaming.decoding.schemas import SchemaRegistry
from tests.streaming.decoders import check_by_itself, damaged, payloads
from tests.streaming.registry_server import RegistryServer, registry_server
from tests.streaming.test_decode_avro import encoded, record
from tests.streaming.test_decode_protobuf import file, message

URL, AUTH = "SCHEMA_REGISTRY_URL", "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"
V1 = record(("user", "int"), ("gone", "string"))
V2 = record(("user", "long"), ("x", ["null", "double"]))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    with registry_server() as server:
        monkeypatch.setenv(URL, server.url)
        monkeypatch.delenv(AUTH, raising=False)
        yield server


def source(format: str = "avro", **options: Any) -> ns.Source:
    columns = {"user": int, "x": float, "at": "timestamp"}
    return ns.Source("clicks", columns, event_time="at", stream=ns.Kafka("t", format, **options))


def framed(number: int, body: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + body


def orders(*fields: str) -> bytes:
    nested = message("Outer")
    nested.nested_type.append(message("Order", *fields))
    return file(message("Other"), nested, message("Order", *fields)).SerializeToString()


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (b"\0\0\0\0\1\0", SchemaHeader(1, (0,), 6)),
        (b"\0\x7f\xff\xff\xff\2\6abc", SchemaHeader((1 << 31) - 1, (3,), 7)),
        (b"\0\0\0\1\0\4\2\0", SchemaHeader(256, (1, 0), 8)),
        (b"\0\0\0\0\1\2\x80\2", SchemaHeader(1, (128,), 8)),
    ],
)
def test_a_header_is_read(text: bytes, header: SchemaHeader) -> None:
    assert protobuf_header(text) == header
    assert avro_header(text) == SchemaHeader(header.id, (), 5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "does not begin"),
        (b"\0\0\0\1", "does not begin"),
        (b"\1\0\0\0\1\0", "does not begin"),
        (b"\0\0\0\0\0\0", "0, which is no id"),
        (b"\0\x80\0\0\0\0", "2147483648, which is no id"),
        (b"\0\0\0\0\1", "truncated"),
        (b"\0\0\0\0\1\4\2", "truncated"),
        (b"\0\0\0\0\1\1", "no message"),
        (b"\0\0\0\0\1\2\1", "no message"),
        (b"\0\0\0\0\1\xff\xff\xff\xff\xff\1", "truncated"),
        (b"\0\0\0\0\1\xff\xff\xff\xff\1", "no message"),
    ],
)
def test_what_is_no_header_is_told(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        protobuf_header(text)


# ------------------------------------------------------------------ Avro


def test_each_message_is_read_by_the_schema_it_names(registry: RegistryServer) -> None:
    one, two = registry.register("t-value", V1), registry.register("t-value", V2)
    (old,), (new,) = encoded(V1, {"user": 1, "gone": "a"}), encoded(V2, {"user": 2, "x": 0.5})
    decode = decoder(source())
    made = decode(payloads(framed(two, new), framed(one, old), framed(two, new)))
    assert made.bad == {}
    assert made.message.tolist() == [0, 1, 2]
    first = {"user": 2, "x": 0.5, "at": None}
    assert made.rows.to_pylist() == [first, {"user": 1, "x": None, "at": None}, first]
    assert decode(payloads(framed(one, old))).rows.to_pylist() == made.rows.to_pylist()[1:2]
    assert decode(payloads()).rows.num_rows == 0
    assert sorted(registry.asked) == ["/schemas/ids/1", "/schemas/ids/2"], "each once"


def test_an_id_that_is_unknown_is_asked_for_again(registry: RegistryServer) -> None:
    (text,) = encoded(V2, {"user": 2, "x": 0.5})
    decode = decoder(source())
    made = decode(payloads(framed(1, text), framed(1, text)))
    assert made.rows.num_rows == 0
    assert "no schema of the id 1" in made.bad[0]
    assert registry.asked == ["/schemas/ids/1"]
    registry.register("t-value", V2)
    assert decode(payloads(framed(1, text))).rows.column("user").to_pylist() == [2]


def test_only_messages_of_a_schema_that_does_not_fit_are_bad(registry: RegistryServer) -> None:
    odd = record(("user", "string"))
    good = registry.register("t-value", V2)
    bad = [
        registry.register("t-value", odd),
        registry.register("t-value", "nonsense"),
        registry.register("t-value", orders(), kind="PROTOBUF"),
        registry.register("t-value", '"long"'),
        registry.register("t-value", record(("x", "Absent"))),
    ]
    (text,) = encoded(V2, {"user": 2, "x": 0.5})
    texts = [framed(good, text), *(framed(number, b"\2a") for number in bad), framed(good, text)]
    made = check_by_itself(decoder(source()), texts)
    assert made.rows.column("user").to_pylist() == [2, 2]
    whys = [
        "schema 2, column 'user': expected int64, got string",
        "no Avro schema",
        "is PROTOBUF, not AVRO",
        "no Avro schema|Avro record",
        "no Avro schema",
    ]
    assert sorted(made.bad) == list(range(1, len(whys) + 1))
    for number, why in enumerate(whys, 1):
        assert any(part in made.bad[number] for part in why.split("|")), made.bad[number]


def test_schemas_that_others_speak_of_are_fetched_too(registry: RegistryServer) -> None:
    side = {"type": "enum", "name": "Side", "namespace": "shop", "symbols": ["BUY", "SELL"]}
    registry.register("side/1", side)
    reference = {"name": "shop.Side", "subject": "side/1", "version": 1}
    number = registry.register("t", record(("user", "long"), ("s", "Side")), references=[reference])
    lost = registry.register("t", V1, references=[{**reference, "version": 2}])
    made = decoder(source())(payloads(framed(number, b"\2\2"), framed(lost, b"\2\0")))
    assert made.rows.column("user").to_pylist() == [1]
    assert "no schema of the id 3" in made.bad[1]


# ------------------------------------------------------------------ Protobuf


def test_protobuf_is_read_by_the_message_it_names(registry: RegistryServer) -> None:
    number = registry.register("t", orders("int64 user", "optional double x"), kind="PROTOBUF")
    body = b"\x08\x05"
    paths = {b"\2\4": 5, b"\4\2\0": 5, b"\0": None}  # Order; Outer.Order; Other
    texts = [framed(number, path + body) for path in paths]
    made = check_by_itself(decoder(source("protobuf")), texts)
    assert made.bad == {}
    assert made.rows.column("user").to_pylist() == list(paths.values())
    lost = [framed(number, path + body) for path in (b"\2\6", b"\4\2\2", b"\6\2\0\0")]
    made = check_by_itself(decoder(source("protobuf")), [*lost, texts[0]])
    assert sorted(made.bad) == [0, 1, 2]
    assert "which its schema does not have" in made.bad[0]


def test_protobuf_may_import_what_the_registry_has(registry: RegistryServer) -> None:
    kinds = file(message("Kind", "int64 i"), name="kinds.proto").SerializeToString()
    registry.register("kinds", kinds, kind="PROTOBUF")
    main = file(
        message("Order", "int64 user", "google.protobuf.Timestamp at", "shop.Kind kind"),
        imports=["google/protobuf/timestamp.proto", "a/kinds.proto"],
    )
    reference = {"name": "a/kinds.proto", "subject": "kinds", "version": 1}
    number = registry.register(
        "t", main.SerializeToString(), kind="PROTOBUF", references=[reference]
    )
    made = decoder(source("protobuf"))(payloads(framed(number, b"\0\x08\x05\x12\x02\x08\x01")))
    assert made.rows.column("user").to_pylist() == [5]
    assert made.rows.column("at").cast("int64").to_pylist() == [1_000_000]


def test_a_registry_that_makes_no_descriptors_is_told(registry: RegistryServer) -> None:
    registry.knows_serialized = False
    number = registry.register("t", orders("int64 user"), kind="PROTOBUF")
    made = decoder(source("protobuf"))(payloads(framed(number, b"\0")))
    assert "give ns.Kafka(…, schema=…, message=…)" in made.bad[0]


# ------------------------------------------------------------------ laws


@pytest.fixture
def two_schemas(registry: RegistryServer) -> Decoder:
    registry.register("t-value", V1)
    registry.register("t-value", V2)
    return decoder(source())


longs = st.integers(-(1 << 31), (1 << 31) - 1)
bodies = st.one_of(
    st.builds(lambda u: framed(1, encoded(V1, {"user": u, "gone": "é"})[0]), longs),
    st.builds(lambda u: framed(2, encoded(V2, {"user": u, "x": None})[0]), longs),
    st.sampled_from([framed(9, b""), b"", b"{}"]),
)


@given(st.lists(damaged(bodies), max_size=6))
@example([framed(1, b"\0\4\xc3\xa9")] * 2)  # Arrow's binary_slice without an end fails here
def test_a_damaged_message_disturbs_no_other(
    two_schemas: Decoder, texts: list[bytes | None]
) -> None:
    check_by_itself(two_schemas, texts)


# ------------------------------------------------------------------ the registry's faults


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (503, StoreUnavailableError, "answered 503"),
        (429, StoreUnavailableError, "answered 429"),
        # Of another server, which knows no such page, or has one.
        (404, ConfigError, "check the address"),
        (200, ConfigError, "check the address"),
        (302, ConfigError, "check the address"),
        (403, ConfigError, "refuses the credentials"),
    ],
)
def test_no_message_is_bad_because_the_registry_cannot_be_asked(
    registry: RegistryServer, status: int, kind: type[NoskewError], why: str
) -> None:
    number = registry.register("t-value", V2)
    text = framed(number, encoded(V2, {"user": 2, "x": 0.5})[0])
    decode = decoder(source())
    registry.status = status
    for texts in ([text], [b"{}", text, None]):
        with pytest.raises(kind, match=why):
            decode(payloads(*texts))
    registry.status = None
    assert decode(payloads(text)).rows.column("user").to_pylist() == [2]
    registry.status = 503
    assert decode(payloads(text)).rows.num_rows == 1, "what was learned is kept"


def test_a_registry_that_is_down_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with registry_server() as server:
        url = server.url.replace("://", "://me:secret@")
    monkeypatch.setenv(URL, url)
    with pytest.raises(StoreUnavailableError, match="cannot be asked") as caught:
        decoder(source())(payloads(framed(1, b"")))
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_a_registry_that_does_not_answer_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = SchemaRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        with pytest.raises(StoreUnavailableError, match="ReadTimeout"):
            registry.find([1])


def test_of_several_addresses_one_suffices(
    registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry_server() as other:
        gone = other.url
    monkeypatch.setenv(URL, f"{gone}, {registry.url}/")
    number = registry.register("t-value", V2)
    made = decoder(source())(payloads(framed(number, b"\2\0")))
    assert made.rows.column("user").to_pylist() == [1]


def test_credentials_come_from_the_environment(
    registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.password = "me:a:secret"
    text = framed(registry.register("t-value", V2), b"\2\0")
    with pytest.raises(ConfigError, match="registry_auth_env"):
        decoder(source())(payloads(text))
    monkeypatch.setenv("OUR_REGISTRY_USER", "me:a:secret")
    decode = decoder(source(registry_auth_env="OUR_REGISTRY_USER"))
    assert decode(payloads(text)).rows.num_rows == 1
    monkeypatch.setenv("OUR_REGISTRY_USER", "me")
    with pytest.raises(ConfigError, match="must be 'user:password'"):
        decoder(source(registry_auth_env="OUR_REGISTRY_USER"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (None, "set the environment variable SCHEMA_REGISTRY_URL"),
        ("", "set the environment"),
        ("localhost:8081", "no http URL"),
    ],
)
def test_an_address_that_is_none_is_told_when_the_source_is_opened(
    address: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URL, raising=False)
    if address is not None:
        monkeypatch.setenv(URL, address)
    with pytest.raises(ConfigError, match=why):
        decoder(source())


# ------------------------------------------------------------------ a real one


@pytest.mark.skipif(not os.environ.get(URL), reason=f"no registry is named by {URL}")
def test_a_real_registry_answers_as_ours() -> None:
    """Run it with the address of any registry: noskew's topics are left as they are."""
    registry = SchemaRegistry(os.environ[URL])
    side = {"type": "enum", "name": "Side", "namespace": "shop", "symbols": ["BUY", "SELL"]}

    def register(subject: str, schema: Any, references: Sequence[Mapping[str, Any]] = ()) -> int:
        body = {"schema": json.dumps(schema), "references": references}
        answer = httpx.post(f"{os.environ[URL]}/subjects/{subject}/versions", json=body)
        number: int = answer.raise_for_status().json()["id"]
        return number

    register("noskew-test-side", side)
    reference = {"name": "shop.Side", "subject": "noskew-test-side", "version": 1}
    number = register("noskew-test", record(("user", "long"), ("s", "Side")), [reference])
    old = register("noskew-test-old", V1)
    unknown = (1 << 31) - 1
    found = registry.find([number, old, unknown])
    assert found[unknown] is None
    assert found[old] is not None
    assert json.loads(found[old].text) == V1
    texts = [framed(number, b"\2\2"), framed(old, b"\6\0"), framed(unknown, b"\2")]
    made = decoder(source())(payloads(*texts))
    assert made.rows.column("user").to_pylist() == [1, 3]
    assert list(made.bad) == [2]
    with pytest.raises(NoskewError, match="check the address"):
        SchemaRegistry(os.environ[URL] + "/elsewhere").find([1])
