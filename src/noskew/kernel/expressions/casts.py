"""Casts as DuckDB does them: what does not fit is refused, or null in a TRY_CAST."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from noskew.definitions.expression_tree import Node, SqlType
from noskew.kernel.arrays import Mask
from noskew.kernel.expressions.arithmetic import beyond, to_unit
from noskew.kernel.expressions.times import DAY
from noskew.kernel.expressions.values import (
    FLOATS,
    INTEGERS,
    TIMES,
    Array,
    Checked,
    ExpressionFunction,
    Strict,
    bad_or_none,
    dtype_of,
)

#: Decimals up to this are exact as floats.
_EXACT = 2**53


def compile_cast(node: Node) -> ExpressionFunction:
    """The function from the child's type to the node's."""
    have, want = node.children[0].type, node.type
    return _CASTS[_group(have), _group(want)](have, want)


def _group(kind: SqlType) -> str:
    if kind.name in INTEGERS:
        return "integer"
    if kind.name in FLOATS:
        return "float"
    return "time" if kind.name in TIMES else kind.name.lower()


Made = Callable[[SqlType, SqlType], ExpressionFunction]


def _as_type(have: SqlType, want: SqlType) -> ExpressionFunction:
    made_of = dtype_of(want)
    return Strict(lambda v: v.astype(made_of))


def _not_zero(have: SqlType, want: SqlType) -> ExpressionFunction:
    return Strict(lambda v: np.asarray(v != 0, bool))


def _words(have: SqlType, want: SqlType) -> ExpressionFunction:
    each = np.frompyfunc(lambda v: "true" if v else "false", 1, 1)
    return Strict(lambda v: np.asarray(each(v), object))


def _digits(have: SqlType, want: SqlType) -> ExpressionFunction:
    each = np.frompyfunc(lambda v: str(int(v)), 1, 1)
    return Strict(lambda v: np.asarray(each(v), object))


def _integers(have: SqlType, want: SqlType) -> ExpressionFunction:
    made_of, source = np.iinfo(dtype_of(want)), np.iinfo(dtype_of(have))
    if made_of.min <= source.min:
        return _as_type(have, want)
    why = f"a value is out of the range of {want}"

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        bad = bad_or_none((v < made_of.min) | (v > made_of.max))
        return v.astype(made_of.dtype), bad, why

    return Checked(run)


def _whole(have: SqlType, want: SqlType) -> ExpressionFunction:
    """A float as the nearest integer, halves to the even one."""
    kind = np.iinfo(dtype_of(want))
    low, end = float(kind.min), -float(kind.min)  # the end itself is out of range, and exact
    why = f"a value is out of the range of {want}"

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        near = np.rint(v)
        bad = bad_or_none(~((near >= low) & (near < end)))
        if bad is not None:
            near = np.where(bad, 0.0, near)
        return near.astype(kind.dtype), bad, why

    return Checked(run)


def _floats(have: SqlType, want: SqlType) -> ExpressionFunction:
    if want.name == "DOUBLE":
        return _as_type(have, want)
    why = "a value is out of the range of FLOAT"

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        floats = v.astype(np.float32)
        return floats, bad_or_none(np.isinf(floats) & ~np.isinf(v)), why

    return Checked(run)


def _to_decimal(have: SqlType, want: SqlType) -> ExpressionFunction:
    """An integer, or a decimal, with the scale of ``want``."""
    more = want.scale - have.scale
    limit, why = 10**want.width, f"a value has more digits than {want}"
    up, down = 10 ** max(0, more), 10 ** max(0, -more)
    each = np.frompyfunc(lambda v: to_unit(v, down), 1, 1) if more < 0 else None

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        v = v.astype(object)
        unscaled = np.asarray(v * up if each is None else each(v), object)
        return unscaled, beyond(unscaled, limit), why

    return Checked(run)


def _float_to_decimal(have: SqlType, want: SqlType) -> ExpressionFunction:
    unit, limit = float(10**want.scale), float(10**want.width)
    why = f"a value has more digits than {want}"

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        near = v.astype(np.float64) * unit
        near = np.trunc(near + np.copysign(0.5, near))
        bad = bad_or_none(~((near > -limit) & (near < limit)))
        if bad is not None:
            near = np.where(bad, 0.0, near)
        return np.asarray(_INT(near), object), bad, why

    return Checked(run)


_INT = np.frompyfunc(int, 1, 1)


def _from_decimal(have: SqlType, want: SqlType) -> ExpressionFunction:
    unit = 10**have.scale
    if want.name in INTEGERS:
        kind, why = np.iinfo(dtype_of(want)), f"a value is out of the range of {want}"
        near = np.frompyfunc(lambda v: to_unit(v, unit), 1, 1)

        def run(v: Array) -> tuple[Array, Mask | None, str]:
            numbers = np.asarray(near(v), object)
            bad = bad_or_none(np.asarray((numbers < kind.min) | (numbers > kind.max), bool))
            if bad is not None:
                numbers = np.where(bad, 0, numbers)
            return numbers.astype(kind.dtype), bad, why

        return Checked(run)
    made_of = dtype_of(want)

    def as_float(value: int) -> float:
        if abs(value) <= _EXACT or unit == 1:
            return float(value) / float(unit)
        # As DuckDB does it, in two parts: dividing at once would round twice.
        whole = abs(value) // unit * (1 if value >= 0 else -1)
        return float(whole) + float(value - whole * unit) / float(unit)

    each = np.frompyfunc(as_float, 1, 1)
    return Strict(lambda v: np.asarray(each(v)).astype(made_of))


def _date(have: SqlType, want: SqlType) -> ExpressionFunction:
    return Strict(lambda v: (v // DAY).astype(np.int32))


def _midnight(have: SqlType, want: SqlType) -> ExpressionFunction:
    return Strict(lambda v: v.astype(np.int64) * DAY)


def _same(have: SqlType, want: SqlType) -> ExpressionFunction:
    return Strict(np.asarray)


_CASTS: Mapping[tuple[str, str], Made] = {
    ("boolean", "integer"): _as_type,
    ("boolean", "float"): _as_type,
    ("boolean", "varchar"): _words,
    ("integer", "boolean"): _not_zero,
    ("integer", "integer"): _integers,
    ("integer", "float"): _as_type,
    ("integer", "decimal"): _to_decimal,
    ("integer", "varchar"): _digits,
    ("float", "boolean"): _not_zero,
    ("float", "integer"): _whole,
    ("float", "float"): _floats,
    ("float", "decimal"): _float_to_decimal,
    ("decimal", "boolean"): _not_zero,
    ("decimal", "integer"): _from_decimal,
    ("decimal", "float"): _from_decimal,
    ("decimal", "decimal"): _to_decimal,
    ("date", "time"): _midnight,
    ("time", "date"): _date,
    ("time", "time"): _same,
}
