"""Avro messages of one writer schema: what each type becomes, and what is refused."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import SchemaMismatchError
from noskew.streaming.decoding.avro import AvroDecoder
from noskew.streaming.decoding.schemas import WrittenSchema
from noskew.types import Schema
from tests.streaming.decoders import check_by_itself, damaged, payloads

NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)
OLD = datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
UUID_TEXT = "e227fd16-0c0d-4e85-8a8f-7b83c47ed5e6"


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }


def logical(kind: Any, meaning: str, **options: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": meaning, **options}


def maybe(kind: Any) -> list[Any]:
    return ["null", kind]


def encoded(written: Any, *rows: Any) -> list[bytes]:
    parsed = fastavro.parse_schema(json.loads(json.dumps(written)))
    made = []
    for row in rows:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed, row)
        made.append(stream.getvalue())
    return made


def decoder(columns: dict[str, Any], written: Any, **references: WrittenSchema) -> AvroDecoder:
    text = written if isinstance(written, str) else json.dumps(written)
    return AvroDecoder(Schema(columns), "source 's'", WrittenSchema("AVRO", text, references))


def values(kind: Any, column: Any, *given_values: Any) -> list[Any]:
    """What comes out of a column of one type, of a field of another."""
    written = record(("x", kind))
    made = decoder({"x": column}, written)(
        payloads(*encoded(written, *({"x": v} for v in given_values)))
    )
    assert made.bad == {}
    found: list[Any] = made.rows.column("x").to_pylist()
    return found


@pytest.mark.parametrize(
    ("kind", "column", "given_values", "expected"),
    [
        ("boolean", bool, [True, False], [True, False]),
        ("int", int, [-(1 << 31), 5], [-(1 << 31), 5]),
        ("long", int, [-(1 << 63), (1 << 63) - 1], [-(1 << 63), (1 << 63) - 1]),
        ("long", "int8", [127], [127]),
        ("int", float, [3], [3.0]),
        ("float", "float32", [1.5], [1.5]),
        ("double", float, [0.1, float("inf")], [0.1, float("inf")]),
        ("string", str, ["é\n", ""], ["é\n", ""]),
        ("bytes", bytes, [b"\0\xff"], [b"\0\xff"]),
        ({"type": "fixed", "name": "F", "size": 2}, bytes, [b"ab"], [b"ab"]),
        ({"type": "enum", "name": "E", "symbols": ["BUY", "SELL"]}, str, ["SELL"], ["SELL"]),
        (logical("string", "uuid"), str, [UUID(UUID_TEXT)], [UUID_TEXT]),
        (logical("fixed", "uuid", name="U", size=16), str, [UUID(UUID_TEXT).bytes], [UUID_TEXT]),
        (logical("int", "date"), "date", [date(2020, 2, 29)], [date(2020, 2, 29)]),
        (logical("long", "timestamp-millis"), "timestamp", [NEW_YEAR, OLD], [NEW_YEAR, OLD]),
        (logical("long", "timestamp-micros"), "timestamp", [NEW_YEAR], [NEW_YEAR]),
        (
            logical("long", "timestamp-nanos"),
            "timestamp",
            [-1_999, 1_999],
            [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n) for n in (-1, 1)],
        ),
        (
            logical("long", "local-timestamp-micros"),
            "timestamp",
            [NEW_YEAR.replace(tzinfo=None)],
            [NEW_YEAR],
        ),
        (logical("int", "time-millis"), int, [7], [7]),
        ("string", "timestamp", ["2013-01-01T01:00:00+01:00"], [NEW_YEAR]),
        (
            logical("bytes", "decimal", precision=6, scale=2),
            "decimal(10, 3)",
            [Decimal("-12.34"), Decimal("0.00")],
            [Decimal("-12.340"), Decimal("0.000")],
        ),
        (
            logical("fixed", "decimal", name="D", size=16, precision=38),
            "decimal(38, 0)",
            [Decimal(10**38 - 1)],
            [Decimal(10**38 - 1)],
        ),
        (maybe("long"), int, [None, 5], [None, 5]),
        (["int", "null", "long"], int, [None, 5, 1 << 40], [None, 5, 1 << 40]),
        ("null", int, [None], [None]),
        (
            {"type": "array", "items": maybe("long")},
            "list<int64>",
            [[1, None], []],
            [[1, None], []],
        ),
        (
            maybe({"type": "array", "items": "float"}),
            "vector<float32, 2>",
            [[1, 2], None],
            [[1.0, 2.0], None],
        ),
        (
            {"type": "array", "items": logical("long", "timestamp-millis")},
            "list<timestamp>",
            [[NEW_YEAR]],
            [[NEW_YEAR]],
        ),
        (
            {"type": "array", "items": logical("bytes", "decimal", precision=4, scale=1)},
            "list<decimal(5, 2)>",
            [[Decimal("1.5")]],
            [[Decimal("1.50")]],
        ),
    ],
)
def test_each_type_is_read(
    kind: Any, column: Any, given_values: list[Any], expected: list[Any]
) -> None:
    assert values(kind, column, *given_values) == expected


def test_columns_are_fields_of_their_names() -> None:
    """A field that is not there is null; others, of whatever type, are ignored."""
    inner = {"type": "record", "name": "Inner", "fields": [{"name": "b", "type": "string"}]}
    written = record(
        ("map", {"type": "map", "values": "int"}),
        ("a", "long"),
        ("inner", inner),
        ("again", maybe("shop.Inner")),
    )
    row = {"map": {"x": 1}, "a": 5, "inner": {"b": "x"}, "again": None}
    made = decoder({"b": str, "a": int}, written)(payloads(*encoded(written, row)))
    assert made.rows.to_pylist() == [{"b": None, "a": 5}]


def test_a_named_type_is_read_wherever_it_is_named() -> None:
    side = {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}
    written = record(("a", side), ("b", maybe("shop.Side")), ("c", "Side"))
    made = decoder({"a": str, "b": str, "c": str}, written)(
        payloads(*encoded(written, {"a": "BUY", "b": "SELL", "c": "BUY"}))
    )
    assert made.rows.to_pylist() == [{"a": "BUY", "b": "SELL", "c": "BUY"}]


def test_a_schema_may_speak_of_others() -> None:
    side = {"type": "enum", "name": "Side", "namespace": "shop", "symbols": ["BUY", "SELL"]}
    pair = {"type": "record", "name": "shop.Pair", "fields": [{"name": "x", "type": "Side"}]}
    held = WrittenSchema("AVRO", json.dumps(side))
    references = {"Side": held, "Pair": WrittenSchema("AVRO", json.dumps(pair), {"Side": held})}
    decode = decoder({"a": str}, record(("a", "Side"), ("pair", "shop.Pair")), **references)
    assert decode(payloads(b"\x02\x00")).rows.to_pylist() == [{"a": "SELL"}]


def test_defaults_do_not_matter() -> None:
    """Registries hold schemas whose defaults are of no use; a writer's are never used."""
    written = record(("a", "long"))
    written["fields"][0]["default"] = "none"
    assert decoder({"a": int}, written)(payloads(b"\x02")).rows.to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("string", "expected int64, got string"),
        ("boolean", "got bool"),
        ("bytes", "got binary"),
        (["long", "string"], "union of several types is no column: long, string"),
        ({"type": "map", "values": "long"}, "map is no column"),
        ({"type": "record", "name": "R", "fields": []}, "record is no column"),
        ({"type": "array", "items": {"type": "array", "items": "long"}}, "array of arrays"),
        ({"type": "array", "items": "null"}, "array of empty items"),
        (logical("bytes", "decimal", precision=40), "decimal of 40 digits"),
        (maybe("shop.Order"), "contains itself"),
        ("Nothing", "no Avro schema"),
    ],
)
def test_a_schema_that_never_fits_is_refused_at_once(kind: Any, why: str) -> None:
    with pytest.raises(SchemaMismatchError, match=why):
        decoder({"x": int}, record(("x", kind)))


@pytest.mark.parametrize(
    "text", ['"long"', "[]", "{}", "nonsense", '{"type": "record"}', "[" * 9_999]
)
def test_a_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(SchemaMismatchError, match="Avro"):
        decoder({"x": int}, text)


def test_whole_numbers_are_no_times() -> None:
    with pytest.raises(SchemaMismatchError, match="their unit is unknown"):
        decoder({"x": "timestamp"}, record(("x", "long")))


def test_a_bad_message_is_named_and_the_others_are_read() -> None:
    written = record(("x", maybe("string")), ("n", "long"))
    good, big = encoded(written, {"x": "a", "n": 1}, {"x": "a", "n": 200})
    decode = decoder({"x": str, "n": "int8"}, written)
    made = decode(
        payloads(good, good[:-1], good + b"\0", None, b"", b"\x09", b"\x02\x02\xff\x00", big)
    )
    assert made.rows.to_pylist() == [{"x": "a", "n": 1}]
    assert sorted(made.bad) == [1, 2, 3, 4, 5, 6, 7]
    whys = ["truncated", "1 bytes follow", "without content", "truncated", "index", "utf-8", "int8"]
    for number, why in enumerate(whys, 1):
        assert why in made.bad[number]


def test_an_empty_record_may_have_no_bytes() -> None:
    made = decoder({"x": int}, record())(payloads(b"", None, b"x"))
    assert made.rows.to_pylist() == [{"x": None}]
    assert sorted(made.bad) == [1, 2]


MIXED = {
    "i": int,
    "n": "int8",
    "f": float,
    "s": str,
    "at": "timestamp",
    "d": "date",
    "x": "decimal(6, 2)",
    "l": "list<int64>",
    "e": str,
}
WRITTEN = record(
    ("i", "long"),
    ("n", maybe("int")),
    ("f", maybe("double")),
    ("s", maybe("string")),
    ("at", maybe(logical("long", "timestamp-micros"))),
    ("d", maybe(logical("int", "date"))),
    ("x", maybe(logical("bytes", "decimal", precision=6, scale=2))),
    ("l", maybe({"type": "array", "items": maybe("long")})),
    ("e", {"type": "enum", "name": "E", "symbols": ["BUY", "SELL"]}),
    ("other", maybe("bytes")),
)
longs = st.integers(-(1 << 63), (1 << 63) - 1)
rows = st.fixed_dictionaries(
    {
        "i": longs,
        "n": st.none() | st.integers(-128, 127),
        "f": st.none() | st.floats(allow_nan=False),
        "s": st.none() | st.text(st.characters(codec="utf-8")),
        "at": st.none() | st.datetimes(timezones=st.just(UTC)),
        "d": st.none() | st.dates(),
        "x": st.none() | st.decimals("-9999.99", "9999.99", places=2),
        "l": st.none() | st.lists(st.none() | longs, max_size=3),
        "e": st.sampled_from(["BUY", "SELL"]),
        "other": st.none() | st.binary(max_size=3),
    }
)
DECODE = decoder(MIXED, WRITTEN)


@given(st.lists(rows, max_size=8))
def test_rows_come_out_as_they_went_in(given_rows: list[dict[str, Any]]) -> None:
    made = DECODE(payloads(*encoded(WRITTEN, *given_rows)))
    assert made.bad == {}
    assert made.message.tolist() == list(range(len(given_rows)))
    assert made.rows.to_pylist() == [{name: row[name] for name in MIXED} for row in given_rows]


messages = rows.map(lambda row: encoded(WRITTEN, row)[0])


@given(st.lists(damaged(messages), max_size=8))
def test_a_damaged_message_disturbs_no_other(texts: list[bytes | None]) -> None:
    made = check_by_itself(DECODE, texts)
    assert made.rows.schema == Schema(MIXED).arrow
    assert isinstance(made.rows, pa.Table)
