"""What expressions are judged by: DuckDB itself, on rows of every value that is hard."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Context, Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from noskew.definitions.expression_functions import check
from noskew.definitions.expression_tree import Node, bind, statement
from noskew.errors import TransformError
from noskew.kernel.expressions.program import Program
from noskew.kernel.on_demand import Column
from noskew.types import Schema

COLUMNS = Schema(
    {
        "a": "int8",
        "b": "int16",
        "i": "int32",
        "k": "int64",
        "k2": "int64",
        "f": "float32",
        "g": "float32",
        "x": "float64",
        "y": "float64",
        "s": "string",
        "r": "string",
        "t": "timestamp",
        "u": "timestamp",
        "d": "date",
        "e": "date",
        "p": "bool",
        "q": "bool",
        "n": "decimal(18, 2)",
        "m": "decimal(9, 4)",
    }
)
#: Rows of the table, and how many of them are tried one by one where some fail.
ROWS, ALONE = 160, 24

_SMALL = [None, 0, 1, -1, 2, 3, -7, 10, 100, 127, -128]
_FLOATS = [
    None,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    0.1,
    2.675,
    3.7,
    -7.25,
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    -1e-300,
    5e-324,
    0.49999999999999994,
    123456789.987,
    2147483647.5,
    9.2e18,
    30.0,
    45.0,
    1e16,
]
_NARROW = [None if v is None else float(np.float32(v)) for v in _FLOATS if v not in (1e300,)]
_TEXTS = [
    None,
    "",
    "a",
    "A",
    "abc",
    "ABC",
    "a%c",
    "a_c",
    "  x  ",
    "\t y\n",
    "é",
    "ÄÖü",
    "ẞßΣς",
    "İ",
    "👩‍👩x",
    "a\x00b",
    "ab",
    "aaa",
    "true",
    "hello world",
    "z",
    "\u00a0n\u00a0",
    "1.5",
]
_TIMES = [None] + [
    dt.datetime(*parts, tzinfo=dt.UTC)
    for parts in (
        (1970, 1, 1),
        (1969, 12, 31, 23, 59, 59, 999_999),
        (2020, 2, 29, 12, 30, 15, 123_456),
        (2021, 1, 1),
        (2020, 12, 31, 23, 59, 59),
        (1900, 3, 1, 0, 0, 0, 1),
        (1600, 2, 29),
        (1500, 3, 1, 5),
        (2013, 1, 31, 7, 45),
        (1, 1, 1),
        (9999, 12, 31, 23, 59, 59, 999_999),
        (2024, 3, 10, 2, 30),
        (1582, 10, 10),
        (2020, 1, 5),
        (2020, 1, 30, 23, 59, 59, 999_500),
    )
]
_DATES = [None if v is None else v.date() for v in _TIMES]
_LARGE = [9223372036854775807, -9223372036854775808]
_VALUES: dict[str, list[Any]] = {
    "a": _SMALL,
    "b": [*_SMALL, 32767, -32768, 300],
    "i": [*_SMALL, 2147483647, -2147483648, 70000],
    "k": [*_SMALL, *_LARGE, 2**53 + 1, 4611686018427387904, 3037000500],
    "k2": [*_SMALL, *_LARGE, 3, -3037000500],
    "f": _NARROW,
    "g": [*_NARROW, 2.0, 0.25],
    "x": _FLOATS,
    "y": [*_FLOATS, 2.0, 0.5, -3.0],
    "s": _TEXTS,
    "r": [*_TEXTS, "%", "a%", "%c", "_", "%b%"],
    "t": _TIMES,
    "u": _TIMES,
    "d": _DATES,
    "e": _DATES,
    "p": [None, True, False],
    "q": [None, True, False],
    "n": [None, *map(Decimal, "0 1.25 -1.25 9999999999999999.99 -0.05 12345678901234.56".split())],
    "m": [None, *map(Decimal, "0 1.2345 -99999.9999 0.5 2.5".split())],
}


@cache
def table(seed: int = 0) -> pa.Table:
    """Rows of hard values, in chance combinations."""
    chance = np.random.default_rng(seed)
    columns = {}
    for name, kind in COLUMNS.items():
        values = _VALUES[name]
        drawn = [values[j] for j in chance.integers(0, len(values), ROWS)]
        columns[name] = pa.array(drawn, kind.to_arrow())
    return pa.table(columns)


def bound(expression: str) -> Node:
    """The tree of an expression. Raises TransformError if it is refused."""
    tree, _ = bind(statement(expression), COLUMNS, "test")
    check(tree, "test")
    return tree


def compiled(tree: Node) -> Program:
    return Program([("o", tree)])


def ours(program: Program, rows: pa.Table) -> list[Any] | str:
    """The values of rows, or why they fail."""
    columns = [
        Column(COLUMNS[name], arrow=rows.column(name).combine_chunks()).pair()
        for name in program.columns
    ]
    try:
        ((values, valid),) = program(columns, len(rows))
    except TransformError as error:
        return str(error)
    known = [True] * len(rows) if valid is None else valid.tolist()
    return [v if ok else None for v, ok in zip(values.tolist(), known, strict=True)]


class Judge:
    """DuckDB. Its optimizer moves what can fail; without it, each row says for itself."""

    def __init__(self, *, optimizer: bool = False) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        if not optimizer:
            self._connection.execute("PRAGMA disable_optimizer")

    def values(self, expression: str, rows: pa.Table) -> list[Any] | str:
        """What DuckDB makes of rows, times as numbers, decimals unscaled; or why it fails."""
        self._connection.register("inputs", rows)
        try:
            found = self._connection.sql(f"SELECT ({expression}) AS o FROM inputs").to_arrow_table()
        except duckdb.Error as error:
            return f"fails: {error}"
        column = found.column(0).combine_chunks()
        if pa.types.is_timestamp(column.type):
            return column.cast(pa.timestamp("us")).view(pa.int64()).to_pylist()
        if pa.types.is_date(column.type):
            return column.view(pa.int32()).to_pylist()
        if pa.types.is_decimal(column.type):
            scale, exact = column.type.scale, Context(prec=60)
            return [None if v is None else int(v.scaleb(scale, exact)) for v in column.to_pylist()]
        return column.to_pylist()


def differences(expression: str, judge: Judge, *, ulp: int = 0, seed: int = 0) -> list[Any]:
    """Rows on which we and DuckDB differ: their inputs, our answer, DuckDB's.

    ``ulp``: how many units in the last place floats may be apart.
    """
    program, rows = compiled(bound(expression)), table(seed)
    mine, theirs = ours(program, rows), judge.values(expression, rows)
    if not isinstance(mine, str) and not isinstance(theirs, str):
        return [
            (_inputs(program, rows, j), mine[j], theirs[j])
            for j in range(ROWS)
            if not same(mine[j], theirs[j], ulp)
        ]
    found = []
    for j in range(ALONE):
        row = rows.slice(j, 1)
        a, b = ours(program, row), judge.values(expression, row)
        fails = isinstance(a, str), isinstance(b, str)
        # Where one argument is null in a whole batch, DuckDB may not compute the others at all:
        # whether it fails then depends on the batch. Ours fails always.
        if fails == (True, True) or (fails[0] and b == [None]):
            continue
        if any(fails) or not same(a[0], b[0], ulp):
            found.append((_inputs(program, row, 0), a, b))
    return found


def _inputs(program: Program, rows: pa.Table, j: int) -> dict[str, Any]:
    names: Sequence[str] = program.columns
    return {name: rows.column(name)[j].as_py() for name in names}


def same(a: Any, b: Any, ulp: int = 0) -> bool:
    """Whether two values have the same bits, every NaN being one; floats may be ``ulp`` apart."""
    if type(a) is not type(b):
        return False
    if not isinstance(a, float) or a == b:
        return a == b and math.copysign(1, a) == math.copysign(1, b) if a == 0 else a == b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return abs(a - b) <= ulp * math.ulp(max(abs(a), abs(b)))
