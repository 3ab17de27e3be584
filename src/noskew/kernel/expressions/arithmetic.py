"""Arithmetic as DuckDB does it: integers that overflow are refused, floats follow IEEE 754."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.kernel.arrays import Mask
from noskew.kernel.expressions.times import add_days, days_between, difference, shift
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

Result = tuple[Array, Mask | None, str]
_ZERO = "division by zero; NULLIF(divisor, 0) gives null instead"
#: A product that floats say is below this is surely exact in 64 bits.
_SAFE = 2.0**62


def add(node: Node) -> ExpressionFunction:
    """``a + b``"""
    kinds = [c.type.name for c in node.children]
    if "INTERVAL" in kinds:
        return shift(node, 1)
    if "DATE" in kinds:
        return add_days(node, 1)
    return _plus_minus(node, np.add, _add_integers)


def subtract(node: Node) -> ExpressionFunction:
    """``a - b`` and ``-a``"""
    kinds = [c.type.name for c in node.children]
    if len(kinds) == 1:
        return _negate(node)
    if kinds[1] == "INTERVAL":
        return shift(node, -1)
    if kinds == ["DATE", "DATE"]:
        return Strict(days_between)
    if kinds[0] == "DATE":
        return add_days(node, -1)
    if kinds[0] in TIMES:
        return Strict(difference)
    return _plus_minus(node, np.subtract, _subtract_integers)


def _plus_minus(
    node: Node, plain: Callable[..., Array], integers: Callable[..., Result]
) -> ExpressionFunction:
    if node.type.name in INTEGERS:
        return Checked(integers)
    return Strict(plain) if node.type.name in FLOATS else in_decimal(node, plain)


def in_decimal(node: Node, plain: Callable[..., Array]) -> ExpressionFunction:
    """A function of unscaled integers, whose result must have no more digits than its type."""
    limit = 10**node.type.width
    why = f"the result has more digits than {node.type}"

    def run(*values: Array) -> Result:
        decimals = np.asarray(plain(*values), object)
        return decimals, beyond(decimals, limit), why

    return Checked(run)


def beyond(values: Array, limit: int) -> Mask | None:
    """Which integers (as objects) have an absolute value of at least ``limit``."""
    return bad_or_none(np.asarray(np.abs(values) >= limit, bool))


def _add_integers(a: Array, b: Array) -> Result:
    total = a + b
    return total, bad_or_none(((a ^ total) & (b ^ total)) < 0), _too_large("addition", total)


def _subtract_integers(a: Array, b: Array) -> Result:
    difference = a - b
    return (
        difference,
        bad_or_none(((a ^ b) & (a ^ difference)) < 0),
        _too_large("subtraction", difference),
    )


def multiply(node: Node) -> ExpressionFunction:
    """``a * b``"""
    if node.type.name in FLOATS:
        return Strict(np.multiply)
    return Checked(_multiply_integers) if node.type.name in INTEGERS else _times_decimal(node)


def _times_decimal(node: Node) -> ExpressionFunction:
    return in_decimal(node, np.multiply)


def _multiply_integers(a: Array, b: Array) -> Result:
    product = a * b
    about = np.abs(np.multiply(a, b, dtype=np.float64))
    least = min(_SAFE, float(np.iinfo(product.dtype).max))
    unsure = about > least
    why = _too_large("multiplication", product)
    if not np.count_nonzero(unsure):
        return product, None, why
    exact = np.multiply(a.astype(object), b.astype(object))
    return product, bad_or_none(np.asarray(exact != product.astype(object), bool)), why


def divide(node: Node) -> ExpressionFunction:
    """``a / b``, of floats."""
    del node
    return Strict(np.divide)


def divide_whole(node: Node) -> ExpressionFunction:
    """``a // b``: integers are cut towards zero; floats are divided as by ``/``, but not by 0."""
    if node.type.name in FLOATS:
        return Checked(lambda a, b: (a / b, bad_or_none(b == 0), _ZERO))
    return Checked(_divide_integers)


def remainder(node: Node) -> ExpressionFunction:
    """``a % b``: of the sign of ``a``."""
    if node.type.name in FLOATS:
        return Strict(np.fmod)
    return Checked(_remainder_of_integers)


def _divide_integers(a: Array, b: Array) -> Result:
    below = a // b
    cut = below + ((below * b != a) & ((a < 0) != (b < 0)))
    return cut.astype(below.dtype), *_bad_division(a, b)


def _remainder_of_integers(a: Array, b: Array) -> Result:
    return np.fmod(a, b), *_bad_division(a, b)


def _bad_division(a: Array, b: Array) -> tuple[Mask | None, str]:
    bad = bad_or_none(b == 0)
    if bad is not None:
        return bad, _ZERO
    least = np.iinfo(a.dtype).min
    return bad_or_none((a == least) & (b == -1)), _too_large("division", a)


def _negate(node: Node) -> ExpressionFunction:
    if node.type.name in INTEGERS:
        return Checked(lambda a: (-a, _least(a), _too_large("negation", a)))
    return Strict(np.negative)


def absolute(node: Node) -> ExpressionFunction:
    """``abs(a)``"""
    if node.type.name in INTEGERS:
        return Checked(lambda a: (np.abs(a), _least(a), _too_large("abs", a)))
    return Strict(np.abs)


def _least(a: Array) -> Mask | None:
    return bad_or_none(a == np.iinfo(a.dtype).min)


def sign(node: Node) -> ExpressionFunction:
    """-1, 0 or 1, of NaN 0."""
    del node
    return Strict(lambda a: (a > 0).astype(np.int8) - (a < 0).astype(np.int8))


def _too_large(name: str, of: Array) -> str:
    return f"overflow in {name} of {of.dtype}; cast to a wider type first"


def round_down(node: Node) -> ExpressionFunction:
    """``floor(a)``"""
    return _to_whole(node, np.floor, lambda v, unit: v // unit)


def round_up(node: Node) -> ExpressionFunction:
    """``ceil(a)``"""
    return _to_whole(node, np.ceil, lambda v, unit: -(-v // unit))


def cut(node: Node) -> ExpressionFunction:
    """``trunc(a)``"""
    if node.type.name in INTEGERS:
        return Strict(np.asarray)
    return _to_whole(node, np.trunc, lambda v, unit: np.sign(v) * (np.abs(v) // unit))


def _to_whole(
    node: Node, floats: Callable[..., Array], unscaled: Callable[[Array, int], Array]
) -> ExpressionFunction:
    if node.type.name in FLOATS:
        return Strict(floats)
    unit = 10 ** node.children[0].type.scale
    return Strict(lambda v: np.asarray(unscaled(v, unit), object))


def round_half_away(node: Node) -> ExpressionFunction:
    """``round(a)`` and ``round(a, digits)``: halves go away from zero."""
    kind = node.children[0].type
    if kind.name in INTEGERS:
        return Strict(np.asarray) if len(node.children) == 1 else Checked(_round_integers)
    if kind.name == "DECIMAL":
        return _round_decimal(node)
    if len(node.children) == 1:
        return Strict(_nearest)
    made_of = dtype_of(node.type)
    return Strict(lambda a, digits: _round_digits(a, digits).astype(made_of))


def _nearest(a: Array) -> Array:
    # a + 0.5 would be rounded itself; a - trunc(a) is exact.
    whole = np.trunc(a)
    away = whole + np.copysign((np.abs(a - whole) >= 0.5).astype(a.dtype), a)
    return np.copysign(np.where(np.isfinite(a), away, a), a)


def _round_digits(a: Array, digits: Array) -> Array:
    a, digits = np.broadcast_arrays(np.asarray(a, np.float64), digits)
    units = [_pow10(abs(int(d))) for d in digits.ravel()]
    unit = np.array(units, np.float64).reshape(digits.shape)
    after = _nearest(a * unit) / unit
    before = _nearest(a / unit) * unit
    rounded = np.where(digits < 0, before, after)
    instead = np.where((digits < 0) & np.isfinite(a), 0.0, a)
    return np.where(np.isfinite(rounded), rounded, instead)


def _pow10(digits: int) -> float:
    """10 to a whole number of digits, as a float; infinite beyond its range."""
    return float(f"1e{digits}") if digits <= 308 else float("inf")


def _round_integers(a: Array, digits: Array) -> Result:
    kind = np.iinfo(a.dtype)
    rounded = np.asarray(_ROUND_INTEGER(a, digits), object)
    bad = bad_or_none(np.asarray((rounded < kind.min) | (rounded > kind.max), bool))
    if bad is not None:
        rounded = np.where(bad, 0, rounded)
    return rounded.astype(a.dtype), bad, _too_large("round", a)


def _round_integer(value: Any, digits: Any) -> int:
    if digits >= 0:
        return int(value)
    if digits < -19:
        return 0
    unit = 10 ** -int(digits)
    return to_unit(int(value), unit) * unit


_ROUND_INTEGER = np.frompyfunc(_round_integer, 2, 1)


def to_unit(value: int, unit: int) -> int:
    """How many units a value is, halves away from zero."""
    whole = (2 * abs(value) + unit) // (2 * unit)
    return -whole if value < 0 else whole


def _round_decimal(node: Node) -> ExpressionFunction:
    scale, digits = node.children[0].type.scale, 0
    if len(node.children) == 2:
        digits = node.children[1].value
    if digits >= scale:
        return Strict(lambda v, *_: v)
    unit = 10 ** (scale - digits)
    after = 10 ** max(0, -digits)
    each = np.frompyfunc(lambda v: to_unit(v, unit) * after, 1, 1)
    return in_decimal(node, lambda v, *_: each(v))


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "//": divide_whole,
    "%": remainder,
    "abs": absolute,
    "@": absolute,
    "sign": sign,
    "floor": round_down,
    "ceil": round_up,
    "ceiling": round_up,
    "trunc": cut,
    "round": round_half_away,
}
