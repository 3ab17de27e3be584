"""On-demand functions: each row gets its own answer, whatever batch it comes in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.errors import TransformError
from noskew.kernel.bits import differences
from noskew.kernel.conform import conform_column
from noskew.kernel.on_demand import Column, call_function
from noskew.types import DType, dtype
from tests.kernel import on_demand_for_tests as functions

FIELDS = {
    "x": "float64",
    "n": "int64",
    "s": "string",
    "t": "timestamp",
    "p": "bool",
    "l": "list<int64>",
    "v": "vector<float32, 2>",
    "d": "decimal(9, 2)",
    "f": "float32",
    "e": "date",
}
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "x": st.sampled_from([0.0, -0.0, 1.5, -1.0, float("nan"), float("inf"), 1e300]) | st.floats(),
    "n": st.sampled_from([0, 1, -1, 2**62, -(2**63)]) | st.integers(-3, 3),
    "s": st.text(st.characters(codec="utf-8"), max_size=3),
    "t": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),
    "p": st.booleans(),
    "l": st.lists(st.integers(0, 9), max_size=3),
    "v": st.lists(st.floats(width=32), min_size=2, max_size=2),
    "d": st.decimals(-99, 99, places=2),
    "f": st.floats(width=32),
    "e": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
}


def made(function: Any, names: str, **outputs: Any) -> ns.OnDemand:
    request = {name: FIELDS[name] for name in names.split()}
    return ns.OnDemand("o", function, request=request, outputs=outputs or None)


def rows_of(names: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(names.split(), zip(*rows, strict=True), strict=True)
    return pa.table({n: pa.array(v, dtype(FIELDS[n]).to_arrow()) for n, v in columns})


def outputs(function: ns.OnDemand, rows: pa.Table) -> pa.Table:
    given = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    return pa.table(call_function(function, given, len(rows)))


FUNCTIONS: Mapping[str, tuple[str, ns.OnDemand]] = {
    "traps of masks": (
        "x n",
        made(functions.trapped, "x n", ratio=float, log=float, large=bool, sum="int64"),
    ),
    "what it is called with": ("x n", made(functions.told_apart, "x n", kind=str)),
    "vectors": ("v x", made(functions.embedded, "v x", total="float32")),
    "objects": ("s l n", made(functions.joined, "s l n", word=str, size="int64", twice="int64")),
    "a row": (
        "x n s t p v",
        made(ns.per_row(functions.of_one), "x n s t p v", y=float, word=str, when="timestamp"),
    ),
    "expressions": (
        "x n s t",
        made(
            ns.expressions(
                {
                    "a": "CASE WHEN n > 0 THEN x / n ELSE x END",
                    "b": "s || 'x'",
                    "c": "sin(x) + ln(x)",
                    "d": "t + INTERVAL 1 MONTH",
                    "e": "CAST(x AS FLOAT) IS NULL",
                }
            ),
            "x n s t",
        ),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_a_row_gives_the_same_alone_shuffled_and_among_others(name: str, data: Any) -> None:
    names, function = FUNCTIONS[name]
    row = st.tuples(*[st.none() | _VALUES[n] for n in names.split()])
    full = st.tuples(*[_VALUES[n] for n in names.split()])
    if name == "expressions":  # whose cast refuses what is beyond a FLOAT
        keep = lambda r: r[0] is None or not 1e38 < abs(r[0]) < float("inf")  # noqa: E731
        row, full = row.filter(keep), full.filter(keep)
    rows = rows_of(names, data.draw(st.lists(row | full, min_size=1, max_size=8)))
    together = outputs(function, rows)
    alone = pa.concat_tables([outputs(function, rows.slice(j, 1)) for j in range(len(rows))])
    assert not differences(together, alone)
    order = pa.array(data.draw(st.permutations(range(len(rows)))))
    assert not differences(together.take(order), outputs(function, rows.take(order)))


def test_a_row_with_a_null_is_masked_and_one_without_is_not() -> None:
    _, function = FUNCTIONS["what it is called with"]
    rows = rows_of("x n", [(1.0, 1), (None, 1), (2.0, None), (3.0, 3)])
    found = outputs(function, rows).column("kind").to_pylist()
    assert found == ["plain", "masked", "masked", "plain"]


def test_division_by_zero_is_what_the_row_says() -> None:
    _, function = FUNCTIONS["traps of masks"]
    found = outputs(function, rows_of("x n", [(-1.0, 0), (None, 0), (-1.0, None)]))
    assert found.column("ratio").to_pylist() == [float("inf"), None, None]
    assert np.isnan(found.column("log")[0].as_py())
    assert found.column("log").to_pylist()[1:] == [None, None]


def test_vectors_have_two_dimensions_with_nulls_and_without() -> None:
    _, function = FUNCTIONS["vectors"]
    rows = rows_of("v x", [([1.0, 2.0], 1.0), (None, 1.0), ([3.0, 4.0], None)])
    assert outputs(function, rows).column("total").to_pylist() == [3.0, None, 7.0]


def test_a_function_is_not_called_without_rows() -> None:
    for names, function in [*FUNCTIONS.values(), ("x", made(functions.failing, "x", y=float))]:
        found = outputs(
            function,
            pa.table({n: pa.array([], dtype(FIELDS[n]).to_arrow()) for n in names.split()}),
        )
        assert found.schema == function.outputs.arrow
        assert not len(found)


def test_a_function_of_a_row_gets_python_values_and_may_give_a_bare_one() -> None:
    noon = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
    rows = rows_of("x n s t p v", [(1.5, 2, "a", noon, True, [1.0, 2.0]), (None,) * 6])
    assert outputs(FUNCTIONS["a row"][1], rows).to_pylist() == [
        {"y": 3.0, "word": "aTrue", "when": noon + dt.timedelta(days=1)},
        {"y": None, "word": None, "when": None},
    ]
    rows = rows_of("x", [(1.5,), (None,)])
    lone = made(ns.per_row(functions.lone), "x", y=float)
    assert outputs(lone, rows).column("y").to_pylist() == [3.0, None]
    mapped = made(ns.per_row(functions.mapped), "x", y=float)
    assert outputs(mapped, rows).column("y").to_pylist() == [1.0, 1.0]


WRONG: Mapping[str, tuple[Any, str]] = {
    "other names": (functions.wrong_names, r"expected the outputs \['y'\], got \['z'\]"),
    "no mapping": (functions.no_mapping, "got ndarray"),
    "too short": (functions.too_short, r"expected [12] values, one a row"),
    "a scalar": (functions.scalar, r"expected [12] values, one a row"),
    "another type": (functions.of_text, "output 'y': expected float64"),
    "failing": (functions.failing, "ZeroDivisionError: by zero"),
    "writing into its columns": (functions.writing, "read-only"),
    "a row of other names": (ns.per_row(functions.row_of_two), r"got \['y', 'z'\]"),
    "failing on a row": (ns.per_row(functions.row_failing), "KeyError"),
    "a row of another type": (ns.per_row(functions.row_of_text), "output 'y': expected float64"),
    "an integer that overflows": (
        ns.expressions({"y": "x + CAST(9223372036854775807 + n AS DOUBLE)"}),
        "overflow",
    ),
    "a cast that does not fit": (
        ns.expressions({"y": "CAST(CAST(x AS TINYINT) AS DOUBLE)"}),
        "out of the range of TINYINT",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("second", [(3.0, 1), (None, 1)])
def test_what_a_function_may_not_do_is_refused(name: str, second: Any) -> None:
    function, why = WRONG[name]
    names = "x n" if isinstance(function, type(ns.expressions({"y": "1"}))) else "x"
    rows = rows_of("x n", [(1000.0, 1), second]).select(names.split())
    with pytest.raises(TransformError, match=f"on-demand 'o'.*{why}"):
        outputs(made(function, names, y=float), rows)


def test_times_beyond_those_of_datetime_are_refused() -> None:
    rows = rows_of("t", [(dt.datetime(9999, 12, 31, tzinfo=dt.UTC),)])
    with pytest.raises(TransformError, match="output 'u': a time is outside the years 1 to 9999"):
        outputs(made(ns.expressions({"u": "t + INTERVAL 1 DAY"}), "t"), rows)


# -------------------------------------------------------------------------------- columns


@given(name=st.sampled_from(sorted(_VALUES)), data=st.data())
def test_columns_are_the_same_in_every_form(name: str, data: Any) -> None:
    kind = dtype(FIELDS[name])
    values = data.draw(st.lists(st.none() | _VALUES[name], max_size=6))
    arrow = pa.array(values, kind.to_arrow())
    for column in (Column(kind, arrow=arrow), Column.of_items(values, kind)):
        if column is None:
            continue
        assert len(column) == len(values)
        assert not differences(pa.table({"c": column.arrow()}), pa.table({"c": arrow}))
        assert repr(column.items()) == repr(arrow.to_pylist())
        if name not in ("l", "v"):
            again = Column(kind, *column.pair())
            assert not differences(pa.table({"c": again.arrow()}), pa.table({"c": arrow}))


_ODD = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        127,
        128,
        2**53,
        2**53 + 1,
        2**63 - 1,
        2**63,
        -(2**63),
        1.0,
        0.5,
        -0.0,
        float("nan"),
        float("inf"),
        1e300,
        1e-46,
        "a",
        "é",
        "",
        "\ud800",
        b"a",
        Decimal("1.5"),
        np.int8(3),
        np.float64(2.0),
        dt.date(2020, 1, 1),
        [1],
        {},
    ]
)
_KINDS = ["bool", "int8", "int64", "float32", "float64", "string", "timestamp", "decimal(5, 2)"]


@given(kind=st.sampled_from(_KINDS), values=st.lists(_ODD, min_size=1, max_size=4))
def test_the_short_way_from_python_takes_only_what_arrow_takes(kind: str, values: Any) -> None:
    wanted = dtype(kind)
    column = Column.of_items(values, wanted)
    if column is None:
        return
    slow = conform_column(pa.chunked_array([pa.array(values)]), wanted, "test").combine_chunks()
    assert not differences(pa.table({"c": column.arrow()}), pa.table({"c": slow}))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float64", [1.0, None, float("nan")]),
        ("float64", [1, 2.5]),
        ("int8", [-128, 127, None]),
        ("int64", [2**63 - 1]),
        ("bool", [True, None]),
        ("string", ["a", None]),
    ],
)
def test_the_short_way_takes_what_is_common(kind: str, values: Any) -> None:
    assert Column.of_items(values, DType(kind)) is not None
