"""The digest of rows: no order and no cuts, but every bit of every value."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.testing import strategies
from noskew.training.spark.row_digest import RowDigest
from noskew.types import Schema, dtype

SCHEMA = Schema({**strategies.COLUMNS, "items": "list<decimal(9, 2)>"})


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 8))
    columns = {}
    for name, kind in SCHEMA.items():
        cells = st.one_of(st.none(), strategies.values(kind))
        drawn = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns[name] = pa.array(drawn, kind.to_arrow())
    return pa.table(columns, schema=SCHEMA.arrow)


@given(table=tables(), data=st.data())
def test_neither_order_nor_cuts_matter(table: pa.Table, data: st.DataObject) -> None:
    whole = RowDigest.of(table)
    order = data.draw(st.permutations(range(len(table))))
    mixed = table.take(pa.array(order, pa.int64()))
    cuts = sorted({0, len(table), *data.draw(st.lists(st.integers(0, len(table)), max_size=3))})
    parts = [RowDigest.of(mixed.slice(a, b - a)) for a, b in pairwise(cuts)]
    assert reduce(add, parts, RowDigest()) == whole
    assert RowDigest.from_text(whole.to_text()) == whole
    assert whole.rows == len(table)


@given(table=tables())
def test_equal_rows_count_each(table: pa.Table) -> None:
    twice = pa.concat_tables([table, table])
    if len(table):
        assert RowDigest.of(twice) != RowDigest.of(table)
    assert RowDigest.of(twice) == RowDigest.of(table) + RowDigest.of(table)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float64", [0.0, -0.0, 1.0, float("inf"), float("nan"), None]),
        ("float32", [0.0, -0.0, None]),
        ("int8", [0, 1, -1, None]),
        ("bool", [True, False, None]),
        ("string", ["", "a", "\x00", None]),
        ("bytes", [b"", b"\x00", None]),
        ("decimal(9, 2)", [None, "0.00", "0.01"]),
        ("list<string>", [[], [""], ["", ""], [None], ["a", "b"], ["b", "a"], ["ab"], None]),
        ("vector<float32, 2>", [[0.0, 0.0], [-0.0, 0.0], [0.0, 1.0], [1.0, 0.0], None]),
        ("timestamp", [0, 1, None]),
    ],
)
def test_values_are_told_apart(kind: str, values: list[Any]) -> None:
    arrow = dtype(kind).to_arrow()
    made = [
        pa.array([v], pa.string()).cast(arrow)
        if kind.startswith("decimal")
        else pa.array([v], arrow)
        for v in values
    ]
    found = {RowDigest.of(pa.table({"v": column})) for column in made}
    assert len(found) == len(values)


def test_columns_count_by_place_and_tokens_by_name() -> None:
    table = pa.table({"a": ["x", "y"], "b": ["y", "x"]})
    swapped = table.select(["b", "a"])
    digest = RowDigest.of(table.slice(0, 1))
    assert digest != RowDigest.of(swapped.slice(0, 1))
    renamed = table.rename_columns(["a", "c"])
    assert digest.token(table.schema) != digest.token(renamed.schema)
    assert len(digest.token(table.schema)) == 32
