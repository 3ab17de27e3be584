"""Functions of floats that no standard rounds exactly: the C library's, one number at a time.

NumPy's own are faster, but choose by processor and by the layout of their arguments among codes
that differ in the last bit, so that a value could depend on the machine, or on the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.kernel.expressions.values import Array, ExpressionFunction, Strict


def _libm(one: Callable[..., float], special: Callable[..., Any]) -> Callable[..., Array]:
    """A function of the C library over arrays.

    Python refuses results that are NaN or infinite although no argument was; they come from
    ``special``, for which only exact cases are left.
    """

    def guarded(*xs: float) -> float:
        try:
            return one(*xs)
        except (ValueError, OverflowError):
            return float(special(*xs))

    def call(*arrays: Array) -> Array:
        n = max(a.size for a in arrays)
        columns = [a.tolist() if a.size == n and a.ndim else [a.item()] * n for a in arrays]
        try:
            return np.fromiter(map(one, *columns), np.float64, n)
        except (ValueError, OverflowError):
            return np.fromiter(map(guarded, *columns), np.float64, n)

    return call


def _cotangent(x: float) -> float:
    tangent = math.tan(x)
    return 1.0 / tangent if tangent else math.copysign(math.inf, tangent)


_LOG10 = _libm(math.log10, np.log10)
_DEGREES, _RADIANS = 180.0 / math.pi, math.pi / 180.0
_ONE: Mapping[str, tuple[Callable[..., float], Callable[..., Any]]] = {
    "cbrt": (math.cbrt, np.cbrt),
    "exp": (math.exp, np.exp),
    "ln": (math.log, np.log),
    "log": (math.log10, np.log10),
    "log10": (math.log10, np.log10),
    "log2": (math.log2, np.log2),
    "sin": (math.sin, np.sin),
    "cos": (math.cos, np.cos),
    "tan": (math.tan, np.tan),
    "asin": (math.asin, np.arcsin),
    "acos": (math.acos, np.arccos),
    "atan": (math.atan, np.arctan),
    "sinh": (math.sinh, np.sinh),
    "cosh": (math.cosh, np.cosh),
    "tanh": (math.tanh, np.tanh),
    "asinh": (math.asinh, np.arcsinh),
    "acosh": (math.acosh, np.arccosh),
    "atanh": (math.atanh, np.arctanh),
    "cot": (_cotangent, lambda x: np.float64(math.nan)),
    "pow": (math.pow, np.power),
    "atan2": (math.atan2, np.arctan2),
}


def _function(name: str) -> Callable[[Node], ExpressionFunction]:
    function = Strict(_libm(*_ONE[name]))
    return lambda node: function


def _logarithm(node: Node) -> ExpressionFunction:
    if len(node.children) == 1:
        return Strict(_LOG10)
    return Strict(lambda base, x: np.divide(_LOG10(x), _LOG10(base)))


def _plain(function: Callable[..., Array]) -> Callable[[Node], ExpressionFunction]:
    return lambda node: Strict(function)


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    **{name: _function(name) for name in _ONE},
    **dict.fromkeys(("**", "^", "power"), _function("pow")),
    "log": _logarithm,
    "sqrt": _plain(np.sqrt),
    "radians": _plain(lambda x: x * _RADIANS),
    "degrees": _plain(lambda x: x * _DEGREES),
    "isnan": _plain(np.isnan),
    "isinf": _plain(np.isinf),
    "isfinite": _plain(np.isfinite),
    "pi": _plain(lambda: np.array(math.pi)),
}
