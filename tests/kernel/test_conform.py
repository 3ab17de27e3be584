"""A caller's columns become the declared ones, or the error says which does not and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import SchemaMismatchError
from noskew.kernel.conform import conform, conform_column
from noskew.types import Schema, dtype

NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000


def _fits(value: Decimal) -> bool:
    return abs(value) < 10**17


def converted(array: pa.Array, kind: str) -> list[Any]:
    found = conform_column(pa.chunked_array([array.slice(0, 0), array]), dtype(kind), "w")
    assert found.type == dtype(kind).to_arrow()
    return found.to_pylist()


FINE = {
    "int8 to int64": (pa.array([1, None], pa.int8()), "int64", [1, None]),
    "int64 to int8": (pa.array([127]), "int8", [127]),
    "uint64 to int64": (pa.array([2**63 - 1], pa.uint64()), "int64", [2**63 - 1]),
    "whole floats": (pa.array([2.0, None]), "int64", [2, None]),
    "int to float": (pa.array([2**53]), "float64", [2.0**53]),
    "half to float32": (pa.array([0.5], pa.float16()), "float32", [0.5]),
    "float64 is rounded to float32": (pa.array([0.1]), "float32", [0.10000000149011612]),
    "infinity stays": (pa.array([float("-inf")]), "float32", [float("-inf")]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), "string", ["a", None, "a"]),
    "large string": (pa.array(["é"], pa.large_string()), "string", ["é"]),
    "string view": (pa.array(["é"], pa.string_view()), "string", ["é"]),
    "large binary": (pa.array([b"\xff"], pa.large_binary()), "bytes", [b"\xff"]),
    "seconds": (pa.array([1_577_836_800], pa.timestamp("s")), "timestamp", [NEW_YEAR]),
    "milliseconds": (
        pa.array([-1], pa.timestamp("ms", "UTC")),
        "timestamp",
        [datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)],
    ),
    "nanoseconds": (
        pa.array([1_999], pa.timestamp("ns")),
        "timestamp",
        [datetime(1970, 1, 1, 0, 0, 0, 1, UTC)],
    ),
    "another zone": (
        pa.array([0], pa.timestamp("us", "+02:00")),
        "timestamp",
        [datetime(1970, 1, 1, tzinfo=UTC)],
    ),
    "date as timestamp": (pa.array([date(2020, 1, 1)]), "timestamp", [NEW_YEAR]),
    "date64": (pa.array([86_400_000], pa.date64()), "date", [date(1970, 1, 2)]),
    "text with offset": (
        pa.array(["2020-01-01T02:00:00+02:00", None, "2020-01-01T00:00:00Z"]),
        "timestamp",
        [NEW_YEAR, None, NEW_YEAR],
    ),
    "text in a view": (
        pa.array(["2020-01-01T00:00:00Z"], pa.string_view()),
        "timestamp",
        [NEW_YEAR],
    ),
    "nulls": (pa.nulls(2), "vector<float32, 2>", [None, None]),
    "list to vector": (pa.array([[1.0, 2.0], None]), "vector<float32, 2>", [[1.0, 2.0], None]),
    "texts of times in a list": (
        pa.array([["x"], None, [], ["2020-01-01T00:00:00Z", None]]).slice(1),
        "list<timestamp>",
        [None, [], [NEW_YEAR, None]],
    ),
    "vector to list": (pa.array([[1, 2]], pa.list_(pa.int32(), 2)), "list<int64>", [[1, 2]]),
    "ints to floats in a list": (pa.array([[1, None]]), "list<float64>", [[1.0, None]]),
    "narrower decimal": (pa.array([Decimal("1.5")]), "decimal(18, 2)", [Decimal("1.50")]),
    "decimal to the nearest float": (
        pa.array([Decimal("0.1"), Decimal("12345678901234567890.123456789")]),
        "float64",
        [0.1, float(Decimal("12345678901234567890.123456789"))],
    ),
    "no text all day": (pa.array([None, None], pa.float64()), "string", [None, None]),
    "no time all day": (pa.array([None], pa.int64()), "timestamp", [None]),
    "a dictionary of views": (
        pa.DictionaryArray.from_arrays([1, None, 0], pa.array(["a", "b"], pa.string_view())),
        "string",
        ["b", None, "a"],
    ),
    "run ends": (pc.run_end_encode(pa.array([5, 5, None])), "int64", [5, 5, None]),
    "small int to decimal": (pa.array([7], pa.int8()), "decimal(18, 2)", [Decimal("7.00")]),
}


@pytest.mark.parametrize("name", FINE)
def test_conversions_that_keep_the_value(name: str) -> None:
    array, kind, expected = FINE[name]
    assert converted(array, kind) == expected


REFUSED = {
    "int out of range": (pa.array([128]), "int8", "128"),
    "uint64 out of range": (pa.array([2**63], pa.uint64()), "int64", "9223372036854775808"),
    "int beyond 2^53": (pa.array([2**53 + 1]), "float64", "9007199254740993"),
    "fraction": (pa.array([2.0, 1.5]), "int64", r"value 1\.5; int64 cannot hold it"),
    "NaN": (pa.array([float("nan")]), "int64", "nan"),
    "float beyond float32": (pa.array([1e300]), "float32", r"1e\+300; it is beyond the range"),
    "text": (pa.array(["1"]), "int64", "got string; convert it first"),
    "number as text": (pa.array([1]), "string", "got int64; convert it first"),
    "bool as int": (pa.array([True]), "int64", "got bool"),
    "int as bool": (pa.array([1]), "bool", "got int64"),
    "bytes as text": (pa.array([b"a"]), "string", "got binary"),
    "float as decimal": (pa.array([1.5]), "decimal(18, 2)", "got double"),
    "decimal with more digits": (pa.array([Decimal("1.005")]), "decimal(18, 2)", r"1\.005"),
    "int as time": (pa.array([0]), "timestamp", "unit is unknown"),
    "text without offset": (pa.array(["2020-01-01T00:00:00"]), "timestamp", "any of 24 hours"),
    "a day as text": (pa.array(["2020-01-01"]), "timestamp", "any of 24 hours"),
    "no time at all": (pa.array(["soonZ"]), "timestamp", "soonZ"),
    "time as day": (pa.array([0], pa.timestamp("us")), "date", "got timestamp"),
    "vector of another length": (pa.array([[1.0]]), "vector<float64, 2>", r"\[1\.0\]"),
    "null in a vector": (pa.array([[1.0, None]]), "vector<float64, 2>", "must not be null"),
    "fraction in a list": (pa.array([[1.5]]), "list<int64>", r"\[1\.5\]"),
    "text in a list": (pa.array([["1"]]), "list<int64>", "convert it first"),
    "year 10000": (pa.array([253_402_300_800], pa.timestamp("s")), "timestamp", "years 1 to 9999"),
    "year 0": (pa.array([-62_135_596_801], pa.timestamp("s")), "timestamp", "years 1 to 9999"),
    "day of year 10000": (
        pa.array([2_932_897], pa.int32()).view(pa.date32()),
        "date",
        "years 1 to 9999",
    ),
    # These wrapped round to times in 1969 and 2020 and passed.
    "seconds that wrap": (
        pa.array([36_893_488_147_419], pa.timestamp("s")),
        "timestamp",
        "36893488147419 s",
    ),
    "zoned ones": (
        pa.array([18_446_744_073_709 + 1_577_836_800], pa.timestamp("s", "UTC")),
        "timestamp",
        "18448321910509 s",
    ),
    "days that wrap": (
        pa.array([213_503_982], pa.int32()).view(pa.date32()),
        "timestamp",
        "213503982 days",
    ),
    # These passed and made to_pylist fail.
    "texts of no times in a list": (
        pa.array([["soon"]]),
        "list<timestamp>",
        "'soon' has no offset",
    ),
    "times in a list": (
        pa.array([[2**62]], pa.list_(pa.timestamp("us", "UTC"))),
        "list<timestamp>",
        "years 1 to 9999",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_conversions_that_would_not(name: str) -> None:
    array, kind, message = REFUSED[name]
    with pytest.raises(SchemaMismatchError, match=message) as caught:
        converted(array, kind)
    assert str(caught.value).startswith("w")


TIMES_2026 = [1_796_083_032, None, -1]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("form", [pa.int64(), pa.float64(), pa.string(), pa.decimal128(38, 0)])
def test_numbers_of_a_declared_unit(unit: str, form: pa.DataType) -> None:
    schema = Schema({"at": f"timestamp[{unit}]"}, has_units=True)
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = pa.array([None if n is None else n * scale for n in TIMES_2026]).cast(
        form, safe=False
    )
    found = conform(pa.table({"at": numbers}), schema, "rows")
    seconds = [None if at is None else at.timestamp() for at in found["at"].to_pylist()]
    assert seconds == TIMES_2026
    assert found.schema == schema.arrow
    assert found == conform(found, schema, "times stay as they are")


@pytest.mark.parametrize(
    ("numbers", "unit", "value"),
    [
        ([0, 253_402_300_800], "s", "253402300800"),
        ([253_402_300_800_000], "ms", "253402300800000"),
        ([2**62], "s", str(2**62)),
        ([1.5], "s", r"1\.5"),
        ([float("nan")], "ms", "nan"),
        (["5", "2020-01-01T00:00:00"], "ms", "2020-01-01T00:00:00"),
        (["99999999999999999999"], "ms", "99999999999999999999"),
        ([True], "s", "bool"),
    ],
)
def test_numbers_that_are_no_times(numbers: list[Any], unit: str, value: str) -> None:
    schema = Schema({"at": f"timestamp[{unit}]"}, has_units=True)
    with pytest.raises(SchemaMismatchError, match=f"rows, column 'at'.*{value}"):
        conform(pa.table({"at": numbers}), schema, "rows")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20).filter(_fits))
def test_a_decimal_is_rounded_once(value: Decimal) -> None:
    array = pa.array([value], pa.decimal128(38, 20))
    assert converted(array, "float64") == [float(value)]


def test_tables_get_the_declared_columns_in_order_and_no_others() -> None:
    schema = Schema({"b": float, "a": int})
    found = conform(pa.table({"a": [1], "x": ["?"], "b": [2]}), schema, "rows")
    assert found.schema == schema.arrow
    assert found.to_pylist() == [{"b": 2.0, "a": 1}]


def test_absent_and_doubled_columns_are_named() -> None:
    schema = Schema({"price": float})
    with pytest.raises(
        SchemaMismatchError, match=r"rows: the column 'price' is not there.*'prize'"
    ):
        conform(pa.table({"prize": [1.0]}), schema, "rows")
    twice = pa.Table.from_arrays([pa.array([1.0])] * 2, ["price", "price"])
    with pytest.raises(SchemaMismatchError, match="appears twice"):
        conform(twice, schema, "rows")


def test_empty_tables_conform() -> None:
    schema = Schema({"a": int, "v": "vector<float32, 2>", "at": "timestamp"})
    for table in (schema.arrow.empty_table(), pa.table({"a": [], "v": [], "at": []})):
        assert conform(table, schema, "rows").schema == schema.arrow


def test_the_callers_columns_are_not_written_to() -> None:
    times = pa.array([1, 2], pa.timestamp("s"))
    before = times.to_pylist()
    converted(times, "timestamp")
    assert times.to_pylist() == before
