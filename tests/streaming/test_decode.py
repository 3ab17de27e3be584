"""Messages become rows; what cannot be read is named, and nothing else suffers from it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import ConfigError, SchemaMismatchError
from noskew.intake.messages import encode_arrow
from noskew.streaming.decode import ArrowDecoder, Decoded, JsonDecoder, decoder
from noskew.streaming.salvage import salvage
from noskew.types import Schema

SCHEMA = Schema({
    "b": bool, "i8": "int8", "i": int, "f": float, "s": str, "raw": bytes, "t": "timestamp",
    "d": "date", "x": "decimal(10, 2)", "l": "list<int64>", "v": "vector<float32, 2>",
    "times": "list<timestamp>",
})  # fmt: skip
SMALL = Schema({"user": int, "at": "timestamp"})
GOOD = b'{"user": 1, "at": "2013-01-01T00:00:00Z"}'
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)


def payloads(*texts: bytes | None) -> pa.LargeBinaryArray:
    return pa.array(texts, pa.large_binary())


def json_rows(schema: Schema, *texts: bytes | None) -> Decoded:
    return JsonDecoder(schema, "source 's'")(payloads(*texts))


def test_each_type_is_read_from_json() -> None:
    text = json.dumps({
        "b": True, "i8": -128, "i": -(1 << 63), "f": 1, "s": "é\n",
        "t": "2013-01-01T01:00:00+01:00",
        "raw": base64.b64encode(b"\x00\xff").decode(), "d": "2013-01-02", "x": "1.50",
        "l": [1, None], "v": [1.5, -2], "times": ["2013-01-01T00:00:00Z", None, 0], "other": {},
    }).encode()  # fmt: skip
    made = json_rows(SCHEMA, text)
    assert made.bad == {}
    assert made.rows.schema == SCHEMA.arrow
    assert made.rows.to_pylist() == [{
        "b": True, "i8": -128, "i": -(1 << 63), "f": 1.0, "s": "é\n", "raw": b"\x00\xff",
        "t": NEW_YEAR, "d": date(2013, 1, 2), "x": Decimal("1.50"), "l": [1, None],
        "v": [1.5, -2.0], "times": [NEW_YEAR, None, datetime(1970, 1, 1, tzinfo=UTC)],
    }]  # fmt: skip


def test_absent_fields_and_nulls_are_null() -> None:
    nothing = dict.fromkeys(SCHEMA)
    made = json_rows(SCHEMA, b"{}", json.dumps(nothing).encode())
    assert made.rows.to_pylist() == [nothing, nothing]
    assert made.message.tolist() == [0, 1]


def test_decimals_are_taken_exactly_as_numbers_and_as_texts() -> None:
    made = json_rows(
        Schema({"x": "decimal(20, 2)"}), b'{"x": 123456789012345678.25}', b'{"x": "0.1"}'
    )
    assert made.rows.column("x").to_pylist() == [Decimal("123456789012345678.25"), Decimal("0.10")]
    assert list(json_rows(Schema({"x": "decimal(4, 2)"}), b'{"x": "0.001"}').bad) == [0]


def test_timestamps_may_be_texts_and_numbers_side_by_side() -> None:
    made = json_rows(SMALL, GOOD, b'{"at": 7}', b'{"at": null}', GOOD)
    assert made.rows.column("at").cast(pa.int64()).to_pylist() == [
        1_356_998_400_000_000, 7, None, 1_356_998_400_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), [
    (None, "without content"), (b"", "truncated"), (b"[]", "array"), (b'{"user": 1', "truncated"),
    (b'{"user": "1"}', "user"), (b'{"user": 1.5}', "user"), (b'{"user": true}', "user"),
    (b'{"user": 9223372036854775808}', "user"), (b'{"at": "2013-01-01T00:00:00"}', "no offset"),
    (b'{"at": "soon"}', "'at'"), (b'{"at": 9223372036854775807}', "'at'"), (b"\xff\xfe", ""),
    (b'{"user": 1}{"user": 2}', "trailing"), (b'{"user": NaN}', ""),
])  # fmt: skip
def test_a_bad_message_is_named_and_the_others_are_read(text: bytes | None, why: str) -> None:
    made = json_rows(SMALL, GOOD, text, GOOD)
    assert made.rows.column("user").to_pylist() == [1, 1]
    assert made.message.tolist() == [0, 2]
    assert list(made.bad) == [1]
    assert why in made.bad[1]
    assert "c0" not in made.bad[1], "columns by their own names"


texts = st.sampled_from([
    GOOD, None, b"", b"{}", b'{"user": 5}', b'{"user": "x"}', b'{"at": 5}', b'{"at": 1.5}',
    b'{"at": "2013-01-01"}', b'{"at": "2013-01-01T00:00:00.123456789Z"}', b"[", b'{"a": 1}, {}',
    b'{"at": "2013-01-01 00:00:00-05:00"}', b'{"at": "0000-01-01T00:00:00Z"}', b"null",
])  # fmt: skip


@given(st.lists(texts, max_size=12))
def test_what_a_message_gives_does_not_depend_on_those_around_it(given_texts: list[Any]) -> None:
    whole = json_rows(SMALL, *given_texts)
    for number, text in enumerate(given_texts):
        alone = json_rows(SMALL, text)
        mine = whole.rows.filter(pa.array(whole.message == number))
        assert mine.equals(alone.rows)
        assert whole.bad.get(number) == alone.bad.get(0)


def test_arrow_messages_hold_many_rows_each() -> None:
    rows = JsonDecoder(SCHEMA, "s")(payloads(b"{}", b'{"i": 5}')).rows
    decode = ArrowDecoder(SCHEMA, "source 's'")
    made = decode(payloads(encode_arrow(rows), encode_arrow(rows.slice(0, 0)), encode_arrow(rows)))
    assert made.rows.equals(pa.concat_tables([rows, rows]))
    assert made.message.tolist() == [0, 0, 2, 2]
    assert made.place.tolist() == [0, 1, 0, 1]
    assert made.bad == {}


def test_an_arrow_message_is_read_whole_or_not_at_all() -> None:
    good = encode_arrow(pa.table({"user": [1], "at": pa.array([0], pa.timestamp("us", "UTC"))}))
    other = encode_arrow(pa.table({"user": ["x"], "at": pa.array([0], pa.timestamp("us", "UTC"))}))
    flipped = bytearray(good)
    decode = ArrowDecoder(SMALL, "source 's'")
    made = decode(payloads(b"", other, good[:-30], None, bytes(flipped), encode_arrow(
        pa.table({"user": [1]})), good[: len(good) // 2]))  # fmt: skip
    assert made.message.tolist() == [4]
    assert sorted(made.bad) == [0, 1, 2, 3, 5, 6]
    assert "expected int64" in made.bad[1]


def test_random_bytes_never_crash_the_arrow_decoder() -> None:
    good = encode_arrow(
        pa.table({"user": [1, 2], "at": pa.array([0, 1], pa.timestamp("us", "UTC"))})
    )
    random = np.random.default_rng(7)
    damaged = []
    for _ in range(300):
        copy = bytearray(good)
        for at in random.integers(0, len(copy), 3):
            copy[at] = random.integers(256)
        damaged.append(bytes(copy))
    made = ArrowDecoder(SMALL, "s")(payloads(*damaged))
    assert set(made.bad) | set(made.message.tolist()) == set(range(300))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ConfigError, match="arrow, json"):
        decoder("jsn", SMALL, "source 's'")


@given(st.integers(0, 40), st.sets(st.integers(0, 39)))
def test_salvage_finds_exactly_the_rows_at_fault(size: int, faulty: set[int]) -> None:
    def action(start: int, end: int) -> list[int]:
        if faulty & set(range(start, end)):
            raise SchemaMismatchError("no")
        return list(range(start, end))

    done = salvage(action, size)
    assert set(done.bad) == {n for n in faulty if n < size}
    assert [n for _, _, part in done.parts for n in part] == [
        n for n in range(size) if n not in faulty
    ]
