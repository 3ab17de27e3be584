"""JSON messages become rows; a bad one is named, and nothing else suffers from it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isinf
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.streaming.decoding.base import DecodedMessages
from noskew.streaming.decoding.json import MOST_LEVELS, JsonDecoder
from noskew.types import Schema
from tests.streaming.decoders import check_by_itself, damaged, payloads

SCHEMA = Schema(
    {
        "b": bool,
        "i8": "int8",
        "i": int,
        "f": float,
        "s": str,
        "raw": bytes,
        "t": "timestamp",
        "d": "date",
        "x": "decimal(10, 2)",
        "l": "list<int64>",
        "v": "vector<float32, 2>",
        "times": "list<timestamp>",
    }
)
SMALL = Schema({"user": int, "at": "timestamp"})
GOOD = b'{"user": 1, "at": "2013-01-01T00:00:00Z"}'
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)


def json_rows(schema: Schema, *texts: bytes | None) -> DecodedMessages:
    return JsonDecoder(schema, "source 's'")(payloads(*texts))


def test_each_type_is_read_from_json() -> None:
    text = json.dumps(
        {
            "b": True,
            "i8": -128,
            "i": -(1 << 63),
            "f": 1,
            "s": "é\n",
            "t": "2013-01-01T01:00:00+01:00",
            "raw": base64.b64encode(b"\x00\xff").decode(),
            "d": "2013-01-02",
            "x": "1.50",
            "l": [1, None],
            "v": [1.5, -2],
            "times": ["2013-01-01T00:00:00Z", None, 0],
            "other": {},
        }
    ).encode()
    made = json_rows(SCHEMA, text)
    assert made.bad == {}
    assert made.rows.schema == SCHEMA.arrow
    assert made.rows.to_pylist() == [
        {
            "b": True,
            "i8": -128,
            "i": -(1 << 63),
            "f": 1.0,
            "s": "é\n",
            "raw": b"\x00\xff",
            "t": NEW_YEAR,
            "d": date(2013, 1, 2),
            "x": Decimal("1.50"),
            "l": [1, None],
            "v": [1.5, -2.0],
            "times": [NEW_YEAR, None, datetime(1970, 1, 1, tzinfo=UTC)],
        }
    ]


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
        1_356_998_400_000_000,
        7,
        None,
        1_356_998_400_000_000,
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "without content"),
        (b"", "truncated"),
        (b"[]", "array"),
        (b'{"user": 1', "truncated"),
        (b'{"user": "1"}', "user"),
        (b'{"user": 1.5}', "user"),
        (b'{"user": true}', "user"),
        (b'{"user": 9223372036854775808}', "user"),
        (b'{"at": "2013-01-01T00:00:00"}', "no offset"),
        (b'{"at": "soon"}', "'at'"),
        (b'{"at": 9223372036854775807}', "'at'"),
        (b"\xff\xfe", ""),
        (b'{"user": 1}{"user": 2}', "trailing"),
        (b'{"user": NaN}', ""),
        (b'{"at": 9223372036854775808}', "'at'"),
        (b'{"at": "\xff"}', "utf-8"),
        (b'{"user": ' + b"9" * 5_000 + b"}", "user"),
        (b'{"other": ' + b"[" * 100_000, "levels"),
    ],
)
def test_a_bad_message_is_named_and_the_others_are_read(text: bytes | None, why: str) -> None:
    made = json_rows(SMALL, GOOD, text, GOOD)
    assert made.rows.column("user").to_pylist() == [1, 1]
    assert made.message.tolist() == [0, 2]
    assert list(made.bad) == [1]
    assert why in made.bad[1]
    assert "c0" not in made.bad[1], "columns by their own names"


texts = st.sampled_from(
    [
        GOOD,
        None,
        b"",
        b"{}",
        b'{"user": 5}',
        b'{"user": "x"}',
        b'{"at": 5}',
        b'{"at": 1.5}',
        b'{"at": "2013-01-01"}',
        b'{"at": "2013-01-01T00:00:00.123456789Z"}',
        b"[",
        b'{"a": 1}, {}',
        b'{"at": "2013-01-01 00:00:00-05:00"}',
        b'{"at": "0000-01-01T00:00:00Z"}',
        b"null",
    ]
)


@given(st.lists(texts, max_size=12))
def test_what_a_message_gives_does_not_depend_on_those_around_it(given_texts: list[Any]) -> None:
    check_by_itself(JsonDecoder(SMALL, "source 's'"), given_texts)


@pytest.mark.parametrize("number", ["1e-999999999", "0e-999999999", "1e999999999"])
@pytest.mark.parametrize("kind", ["decimal(10, 2)", "list<decimal(10, 2)>"])
def test_a_decimal_far_from_the_point_is_bad(number: str, kind: str) -> None:
    """Arrow's conversion of the first two kills the process."""
    item = f"[{number}]" if kind.startswith("list") else number
    made = json_rows(Schema({"x": kind}), b'{"x": null}', f'{{"x": {item}}}'.encode())
    assert list(made.bad) == [1]
    assert "decimal" in made.bad[1]


def test_how_deep_a_message_may_be_does_not_depend_on_the_stack() -> None:
    def nested(levels: int) -> bytes:
        return b'{"user": 1, "o": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    def below(frames: int) -> DecodedMessages:
        return (
            below(frames - 1)
            if frames
            else json_rows(SMALL, nested(MOST_LEVELS), nested(MOST_LEVELS + 1), GOOD, None)
        )

    for frames in (0, 500):
        made = below(frames)
        assert made.message.tolist() == [0, 2]
        assert list(made.bad) == [1, 3]
        assert "200 levels" in made.bad[1]
    text = b'{"user": 1, "s": "' + b"[{" * MOST_LEVELS + b'\\"", "t": [' + b"[]," * 250 + b"1]}"
    assert json_rows(SMALL, text).bad == {}, "brackets within texts, and side by side"


# ------------------------------------------------------------------ beside a plain reader

MIXED = Schema(
    {
        "i": int,
        "n": "int8",
        "f": float,
        "s": str,
        "b": bool,
        "at": "timestamp",
        "x": "decimal(6, 2)",
        "l": "list<int64>",
    }
)
LITERALS = (
    "null true false 0 1 -0 7 1.0 -1.5 1e3 1e999 127 128 -129 9223372036854775807 NaN Infinity "
    "9223372036854775808 123.45 1234.567 99999 01 .5 1. [] [1] [1,null] [1.5] {} "
    '"x" "1.5" "" "\\u00e9" "\\u0000" "2020-01-01T00:00:00Z" "2020-01-01T00:00:00+01:00" '
    '"2020-01-01T00:00:00" "2020-01-01" "soon" "é"'
).split(" ")
literals = st.sampled_from(LITERALS)
keys = st.sampled_from([*MIXED, "other"])
objects = st.lists(st.tuples(keys, literals), max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: ("{" + ", ".join(f'"{k}": {v}' for k, v in pairs) + "}").encode()
)


@given(st.lists(damaged(objects), max_size=6))
def test_a_damaged_message_disturbs_no_other(given_texts: list[Any]) -> None:
    check_by_itself(JsonDecoder(MIXED, "s"), given_texts)


@given(st.lists(objects | objects.map(lambda text: text[: len(text) // 2]), max_size=5))
def test_values_are_those_of_a_plain_reader(given_texts: list[bytes]) -> None:
    made = json_rows(MIXED, *given_texts)
    read = dict(zip(made.message.tolist(), made.rows.to_pylist(), strict=True))
    for number, text in enumerate(given_texts):
        assert read.get(number) == plainly_read(text), text


def test_of_a_name_that_is_there_twice_the_last_counts() -> None:
    made = json_rows(SMALL, b'{"user": 1, "user": 2}', b'{"user": "x", "user": 2}')
    assert made.rows.column("user").to_pylist() == [2]
    assert list(made.bad) == [1], "each must be of the type"


def plainly_read(text: bytes) -> dict[str, Any] | None:
    """The row of a message; None if it is bad. By the standard library, value by value."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        found = json.loads(text, parse_constant=refuse, parse_float=Decimal)
        return (
            {name: PLAIN[name](found.get(name)) for name in MIXED} if type(found) is dict else None
        )
    except (ValueError, ArithmeticError):
        return None


def number(value: Any, top: int) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -top <= value < top:
        raise ValueError(value)
    return value


def real(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, Decimal) or isinf(float(value)):
        raise ValueError(value)
    return float(value)


def exactly(kind: type) -> Any:
    def read(value: Any) -> Any:
        if value is not None and type(value) is not kind:
            raise ValueError(value)
        return value

    return read


def moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if type(value) is int:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value)
    made = datetime.fromisoformat(exactly(str)(value))
    if made.tzinfo is None:
        raise ValueError(value)
    return made


def decimal(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(value)
    made = Decimal(value)
    if made != made.quantize(Decimal("0.01")) or abs(made) >= 10_000:
        raise ValueError(value)
    return made


def numbers(value: Any) -> list[int | None] | None:
    return None if value is None else [number(v, 1 << 63) for v in exactly(list)(value)]


PLAIN: dict[str, Any] = {
    "i": lambda v: number(v, 1 << 63),
    "n": lambda v: number(v, 1 << 7),
    "f": real,
    "s": exactly(str),
    "b": exactly(bool),
    "at": moment,
    "x": decimal,
    "l": numbers,
}
