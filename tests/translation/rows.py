"""Rows that transforms stumble over, one column a type."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

import noskew as ns

INF, NAN = float("inf"), float("nan")


def at(text: str) -> datetime:
    """A time from ``2020-01-31T12:00:00.5``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


TIMES = [
    None,
    at("1970-01-01T00:00:00"),
    at("1969-12-31T23:59:59.999999"),
    at("2020-02-29T12:34:56.789012"),
    at("2021-03-14T06:59:59"),
    at("2021-03-14T07:00:00"),
    at("2021-03-14T02:30:00"),  # DST begins
    at("2021-11-07T05:30:00"),
    at("2021-11-07T06:30:00"),
    at("2021-11-07T01:30:00"),  # and ends
    at("1582-10-04T23:00:00"),
    at("1582-10-10T00:00:00"),
    at("1500-02-28T00:00:00"),
    at("0013-01-02T03:04:05"),
    at("9983-12-30T23:59:59.999999"),
    at("1900-03-01T00:00:00.5"),
    at("2024-12-31T00:00:00"),
    at("2021-01-03T23:59:59"),
    at("2000-01-31T10:00:00"),
    at("1883-11-18T17:00:00"),
    at("2100-02-28T00:00:00.000001"),
]
DATES = [
    None,
    date(1970, 1, 1),
    date(1969, 12, 31),
    date(2020, 2, 29),
    date(2021, 1, 3),
    date(2020, 12, 31),
    date(1582, 10, 4),
    date(1582, 10, 10),
    date(13, 1, 2),
    date(9983, 12, 30),
    date(1900, 2, 28),
    date(2024, 1, 31),
    date(2023, 11, 30),
    date(2000, 2, 29),
    date(1500, 2, 28),
]
LONGS = [
    None,
    0,
    1,
    -1,
    2,
    3,
    -7,
    7,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63),
    2**31,
    -(2**31) - 1,
    255,
    256,
    300,
    -129,
    10**15,
    45,
    55,
    -45,
    1_600_000_000,
]
INTS = [None, 0, 1, -1, 2, 3, 5, -3, 10, 31, 32, 63, 64, 2**31 - 1, -(2**31), 100, -100, 12]
FLOATS = [
    None,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    -0.5,
    NAN,
    INF,
    -INF,
    2.675,
    1.005,
    0.1 + 0.2,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    123456789.987654321,
    -7.3,
    3.0,
    1e15,
    2.0**53 + 2,
    1e22,
    -1234.5678,
    9.5,
    0.045,
    9.2233720368547758e18,
    3.5e38,
    4.35,
    1e16 + 2,
    99999.995,
]
FLOATS32 = [None, 0.0, -0.0, 0.5, 2.5, 0.1, NAN, INF, -INF, 16777217.0, 3.4e38, -1.25, 2.675, 1e-40]
TEXTS = [
    None,
    "",
    " ",
    "a",
    "abc",
    "Hello World",
    "  pad  ",
    "\ttab\n",
    "é",
    "é",
    "naïve",
    "Straße",
    "İstanbul",
    "ıI",
    "👍🏽 ok",
    "日本語",
    "a,b,,c,",
    ",",
    "a.b.c",
    "foo123bar45",
    "A-1 B-22",
    "100%",
    "under_score",
    "back\\slash",
    "line\nbreak",
    "line\n",
    "O'Brien",
    "key=value&k2=v2",
    "user@example.com",
    "+1 (555) 010-9999",
    "null",
    "ﬁne",
    "x" * 40,
    "aXbXc",
    "..",
    "(a)",
    "[1]",
    "a\r\nb",
    "ｆｕｌｌ",
    "Zebra",
    "apple",
    "Äpfel",
    "\u2028",
    "end\r\n",
    "tab\tin",
    "\x0bvt",
]
#: Texts that are read as numbers, times and truths, and some that nearly are.
WRITTEN = [
    None,
    "",
    " ",
    "0",
    "12",
    " 12 ",
    "+5",
    "-7",
    "1.5",
    "-2.5",
    ".5",
    "5.",
    "1e3",
    "1E-2",
    "abc",
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "+inf",
    "1d",
    "2F",
    "12abc",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "2147483648",
    "128",
    "true",
    " TRUE ",
    "t",
    "no",
    "N",
    "y",
    "1",
    "maybe",
    "2020-01-31",
    "2020-02-30",
    "2020-1-5",
    "2020",
    "2020-03",
    " 2020-01-31 ",
    "2020-01-31 12:34:56",
    "2020-01-31T12:34:56Z",
    "20200131",
    "2020-01-31 12:34:56.789",
    "0999-12-31",
    "1500-02-29",
    "12:34:56",
    "2020-01-31 24:00:00",
    "2020-13-01",
    "31/01/2020",
    "1,234.5",
    "0x1F",
    "1_000",
    "--1",
    "+",
    ".",
    "1e400",
    "00012",
    "\t7\n",
    "2020-01-31 trailing",
    "0.1234567890123456789",
    "1e-400",
    "0.005",
    "2.675",
    "-0.0",
]
BOOLS = [None, True, False]
PRICES = [
    None,
    "0.00",
    "0.01",
    "-0.01",
    "1.25",
    "2.50",
    "-2.50",
    "99999.99",
    "1234567890123456.78",
    "-9999999999999999.99",
    "0.05",
    "10.00",
    "0.15",
]
ITEMS: list[Any] = [
    None,
    [],
    [1],
    [None],
    [3, 1, 2],
    [1, None, 1],
    [2**63 - 1],
    [-1, 0, 1],
    [2, 2, None, 2],
    [5, 4, 3, 2, 1],
    [0, None, None],
]
WORDS: list[Any] = [
    None,
    [],
    ["a"],
    [None],
    ["b", "a", None, "b"],
    ["", "x"],
    ["é", "z", "Z"],
    ["a", "b", "c"],
]
WEIGHTS: list[Any] = [
    None,
    [],
    [NAN, 1.0],
    [0.0, -0.0],
    [INF, None],
    [1.5, -2.5, 1.5],
    [-INF, NAN, NAN],
]
BYTES = [None, b"", b"abc", b"\x00\xff", "é".encode()]

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "until": "timestamp",
    "d": "date",
    "d2": "date",
    "n": int,
    "k": int,
    "i": "int32",
    "h": "int32",
    "tiny": "int8",
    "small": "int16",
    "x": float,
    "y": float,
    "f": "float32",
    "s": str,
    "u": str,
    "t": str,
    "ok": bool,
    "no": bool,
    "price": "decimal(18, 2)",
    "cost": "decimal(10, 3)",
    "items": "list<int64>",
    "others": "list<int64>",
    "words": "list<string>",
    "weights": "list<float64>",
    "raw": bytes,
}
SOURCE = ns.Source("events", SCHEMA, event_time="at", max_future="300000d")
USER = ns.Entity("user", {"user_id": int})

_VALUES: dict[str, Sequence[Any]] = {
    "until": TIMES,
    "d": DATES,
    "d2": DATES,
    "n": LONGS,
    "k": LONGS,
    "i": INTS,
    "h": INTS,
    "tiny": [None, 0, 1, -1, 127, -128, 5],
    "small": [None, 0, 7, -7, 32767, -32768],
    "x": FLOATS,
    "y": FLOATS,
    "f": FLOATS32,
    "s": TEXTS,
    "u": TEXTS,
    "t": WRITTEN,
    "ok": BOOLS,
    "no": BOOLS,
    "price": [None if p is None else Decimal(p) for p in PRICES],
    "cost": [None, Decimal("0.000"), Decimal("1.005"), Decimal("-2.500"), Decimal("1234567.891")],
    "items": ITEMS,
    "others": ITEMS,
    "words": WORDS,
    "weights": WEIGHTS,
    "raw": BYTES,
}


def table(count: int = 200) -> pa.Table:
    """Rows with every value of every column, and pairs of values by chance (a fixed one).

    ``at`` is never null: it is the event time.
    """
    chance = random.Random(7)
    times = [t for t in TIMES if t is not None]
    columns = {"user_id": list(range(count)), "at": [times[r % len(times)] for r in range(count)]}
    for name, values in _VALUES.items():
        once = list(values)[:count]
        columns[name] = once + [chance.choice(values) for _ in range(count - len(once))]
        chance.shuffle(columns[name])
    schema = SOURCE.schema.arrow
    return pa.table({f.name: pa.array(columns[f.name], f.type) for f in schema}, schema=schema)
