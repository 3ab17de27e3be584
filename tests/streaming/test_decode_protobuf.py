"""Protobuf messages of one type: what each field becomes, and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import SchemaMismatchError
from noskew.streaming.decoding.descriptors import named_message
from noskew.streaming.decoding.framed import MaybeFramed
from noskew.streaming.decoding.protobuf import ProtobufDecoder
from noskew.types import Schema
from tests.streaming.decoders import check_by_itself, damaged, payloads

NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)
KINDS = {
    name.removeprefix("TYPE_").lower(): number for name, number in FieldDescriptorProto.Type.items()
}


def message(name: str, *fields: str) -> DescriptorProto:
    """A message of fields such as ``"optional int64 user"``; labels may be left out."""
    made = DescriptorProto(name=name)
    for number, text in enumerate(fields, 1):
        *labels, kind, field = text.split()
        added = made.field.add(name=field, number=number, label=3 if "repeated" in labels else 1)
        if kind in KINDS:
            added.type = KINDS[kind]  # type: ignore[assignment]
        else:
            added.type_name = f".{kind}"
        if "optional" in labels:
            added.proto3_optional = True
            added.oneof_index = len(made.oneof_decl)
            made.oneof_decl.add(name=f"_{field}")
    return made


def file(
    *messages: DescriptorProto,
    name: str = "shop.proto",
    imports: Sequence[str] = (),
    syntax: str = "proto3",
) -> FileDescriptorProto:
    made = FileDescriptorProto(name=name, package="shop", syntax=syntax, dependency=imports)
    made.message_type.extend(messages)
    side = made.enum_type.add(name=f"Side{name.removesuffix('.proto').title()}")
    for number, value in enumerate(("UNKNOWN", "BUY", "SELL")):
        side.value.add(name=f"{value}_{name[0].upper()}", number=number)
    return made


def found(*files: FileDescriptorProto, name: str = "shop.Order") -> Descriptor:
    text = base64.b64encode(FileDescriptorSet(file=files).SerializeToString()).decode()
    return named_message(text, name, "source 's'")


IMPORTS = ["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"]
ORDER = found(
    file(
        message(
            "Order",
            "int64 i",
            "optional int32 n",
            "double f",
            "string s",
            "bytes raw",
            "bool b",
            "google.protobuf.Timestamp at",
            "shop.SideShop side",
            "repeated int64 l",
            "repeated float v",
            "google.protobuf.Int64Value w",
            "uint64 u",
            "fixed32 u32",
            "repeated google.protobuf.Timestamp times",
            "shop.Other other",
            "repeated shop.SideShop sides",
            "sint32 z",
        ),
        message("Other", "int64 i"),
        imports=IMPORTS,
    )
)
COLUMNS = {
    "i": int,
    "n": "int8",
    "f": float,
    "s": str,
    "raw": bytes,
    "b": bool,
    "at": "timestamp",
    "side": str,
    "l": "list<int64>",
    "v": "vector<float32, 2>",
    "w": int,
    "u": int,
    "u32": int,
    "times": "list<timestamp>",
    "sides": "list<string>",
    "z": int,
    "absent": str,
}
Order: Any = GetMessageClass(ORDER)


def decoder(columns: dict[str, Any], written: Descriptor = ORDER) -> ProtobufDecoder:
    return ProtobufDecoder(Schema(columns), "source 's'", written)


DECODE = decoder(COLUMNS)


def order(**fields: Any) -> bytes:
    times = {k: fields.pop(k) for k in ("at", "times", "w") if k in fields}
    made = Order(**fields)
    if "at" in times:
        made.at.FromDatetime(times["at"])
    if "w" in times:
        made.w.value = times["w"]
    for moment in times.get("times", ()):
        made.times.add().FromDatetime(moment)
    text: bytes = made.SerializeToString()
    return text


def test_each_type_is_read() -> None:
    fields = {
        "i": -(1 << 63),
        "n": -5,
        "f": 0.1,
        "s": "é",
        "raw": b"\0\xff",
        "b": True,
        "at": NEW_YEAR,
        "l": [1, -1],
        "v": [1.5, 2.0],
        "w": 0,
        "u": (1 << 63) - 1,
        "u32": (1 << 32) - 1,
        "times": [NEW_YEAR],
        "z": -7,
    }
    made = DECODE(payloads(order(**fields, side=2, sides=[1, 0])))
    assert made.bad == {}
    assert made.rows.to_pylist() == [
        {**fields, "side": "SELL_S", "sides": ["BUY_S", "UNKNOWN_S"], "absent": None}
    ]


def test_what_is_unset_is_null_where_the_message_tells_it() -> None:
    made = DECODE(payloads(b"", order(n=0, w=0)))
    unset = {
        "i": 0,
        "n": None,
        "f": 0.0,
        "s": "",
        "raw": b"",
        "b": False,
        "at": None,
        "side": "UNKNOWN_S",
        "l": [],
        "v": None,
        "w": None,
        "u": 0,
        "u32": 0,
        "times": [],
        "sides": [],
        "z": 0,
        "absent": None,
    }
    assert made.rows.to_pylist() == [unset, {**unset, "n": 0, "w": 0}]


def test_an_enum_may_be_its_number() -> None:
    made = decoder({"side": int, "sides": "list<int64>"})(payloads(order(side=2, sides=[1, 7])))
    assert made.rows.to_pylist() == [{"side": 2, "sides": [1, 7]}]


@pytest.mark.parametrize(
    ("seconds", "nanos", "micros"),
    [
        (0, 1_999, 1),
        (-1, 999_998_001, -1),
        (-1, 999_999_001, 0),
        (-1, 999_999_000, -1),
        (-62_135_596_800, 0, -62_135_596_800_000_000),
        (253_402_300_799, 999_999_999, 253_402_300_799_999_999),
    ],
)
def test_nanoseconds_are_cut_off_towards_1970(seconds: int, nanos: int, micros: int) -> None:
    made = Order()
    made.at.seconds, made.at.nanos = seconds, nanos
    read = decoder({"at": "timestamp"})(payloads(made.SerializeToString()))
    assert read.rows.column("at").cast("int64").to_pylist() == [micros]


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (253_402_300_800, 0),
        (-62_135_596_801, 0),
        (0, -1),
        (0, 1_000_000_000),
        (1 << 62, 0),
    ],
)
def test_a_timestamp_that_is_none_is_bad(seconds: int, nanos: int) -> None:
    made = Order()
    made.at.seconds, made.at.nanos = seconds, nanos
    read = decoder({"at": "timestamp"})(payloads(b"", made.SerializeToString()))
    assert "no Timestamp" in read.bad[1]
    assert read.message.tolist() == [0]


def test_a_bad_message_is_named_and_the_others_are_read() -> None:
    good = order(i=1)
    made = DECODE(
        payloads(
            good,
            good[:-1],
            None,
            b"\x00",
            order(n=200),
            order(u=1 << 63),
            order(side=9),
            b"\x22\x01\xff",
            order(v=[1.0]),
            good,
        )
    )
    assert made.message.tolist() == [0, 9]
    whys = [
        "not a message",
        "without content",
        "not a message",
        "'n'",
        "'u'",
        "9 is no value",
        "not a message",
        "'v'",
    ]
    for number, why in enumerate(whys, 1):
        assert why in made.bad[number]


def test_proto2_texts_need_not_be_utf8() -> None:
    """Its parser lets them through; the message is bad all the same."""
    old = found(file(message("Order", "string s", "int64 i"), syntax="proto2"))
    made = decoder({"s": str, "i": int}, old)(payloads(b"\x0a\x01\xff", b"", b"\x0a\x01a"))
    assert made.rows.to_pylist() == [{"s": None, "i": None}, {"s": "a", "i": None}]
    assert "'s'" in made.bad[0]


@pytest.mark.parametrize(
    ("field", "column", "why"),
    [
        ("s", int, "expected int64, got string"),
        ("other", int, "shop.Other is no column"),
        ("i", "timestamp", "their unit is unknown"),
        ("at", int, "got timestamp"),
        ("b", str, "bool"),
    ],
)
def test_a_type_that_never_fits_is_refused_at_once(field: str, column: Any, why: str) -> None:
    with pytest.raises(SchemaMismatchError, match=why):
        decoder({field: column})


def test_a_map_is_no_column() -> None:
    entry = message("CountsEntry", "string key", "int64 value")
    entry.options.map_entry = True
    holder = message("Order", "repeated shop.Order.CountsEntry counts")
    holder.nested_type.append(entry)
    with pytest.raises(SchemaMismatchError, match="map is no column"):
        decoder({"counts": int}, found(file(holder)))


def test_a_descriptor_set_may_leave_out_what_comes_with_protobuf() -> None:
    kinds = file(message("Kinds", "int64 i"), name="kinds.proto")
    whole = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    main = file(
        message("Order", "google.protobuf.Timestamp at", "shop.Kinds k"),
        imports=["google/protobuf/timestamp.proto", "kinds.proto"],
    )
    for files in ([kinds, main], [main, kinds], [whole, kinds, main]):
        assert found(*files).full_name == "shop.Order"
    with pytest.raises(SchemaMismatchError, match=r"imports 'kinds\.proto'"):
        found(main)
    with pytest.raises(SchemaMismatchError, match=r"there are: .*shop\.Order"):
        found(kinds, main, name="Order")
    broken = file(message("Order", "shop.Absent x"))
    with pytest.raises(SchemaMismatchError, match="no valid Protobuf schema"):
        found(broken)
    with pytest.raises(SchemaMismatchError, match="no descriptor set"):
        named_message(base64.b64encode(b"\xff").decode(), "x", "s")


def test_messages_of_a_fixed_type_may_have_the_header_of_a_registry() -> None:
    decode = MaybeFramed(decoder({"i": int}))
    body = order(i=5)
    texts = [body, b"\0\0\0\0\x07\x00" + body, b"\0\0\0\0\x08\x04\x02\x00" + body, b"", b"\0", None]
    made = check_by_itself(decode, texts)
    assert made.rows.column("i").to_pylist() == [5, 5, 5, 0]
    assert sorted(made.bad) == [4, 5]


longs = st.integers(-(1 << 63), (1 << 63) - 1)
moments = st.datetimes(timezones=st.just(UTC))
rows = st.fixed_dictionaries(
    {
        "i": longs,
        "f": st.floats(allow_nan=False),
        "s": st.text(st.characters(codec="utf-8")),
        "b": st.booleans(),
        "l": st.lists(longs, max_size=3),
        "times": st.lists(moments, max_size=2),
    },
    optional={
        "n": st.integers(-128, 127),
        "at": moments,
        "w": longs,
        "v": st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2),
    },
)
SOME = ("i", "f", "s", "b", "l", "times", "n", "at", "w", "v")
READ = decoder({name: COLUMNS[name] for name in SOME})


@given(st.lists(rows, max_size=8))
def test_rows_come_out_as_they_went_in(given_rows: list[dict[str, Any]]) -> None:
    made = READ(payloads(*(order(**row) for row in given_rows)))
    assert made.bad == {}
    assert made.message.tolist() == list(range(len(given_rows)))
    expected = [{name: row.get(name) for name in SOME} for row in given_rows]
    assert made.rows.to_pylist() == expected


texts = rows.map(lambda row: order(**row))


@given(st.lists(damaged(texts), max_size=8))
def test_a_damaged_message_disturbs_no_other(given_texts: list[bytes | None]) -> None:
    check_by_itself(READ, given_texts)


headed = st.builds(lambda head, text: head + text, st.sampled_from([b"", b"\0\0\0\0\1\0"]), texts)


@given(st.lists(damaged(headed), max_size=5))
def test_nor_does_one_with_a_damaged_header(given_texts: list[bytes | None]) -> None:
    check_by_itself(MaybeFramed(READ), given_texts)
