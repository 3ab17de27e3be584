"""Comparisons in DuckDB's order, in which NaN equals NaN and is greater than every other number.

IEEE's own are false for NaN, so each takes one or two operations more, which a constant that is no
NaN spares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.kernel.expressions.values import (
    FLOATS,
    Array,
    Evaluate,
    ExpressionFunction,
    Pair,
    Special,
    Strict,
    both,
    dtype_of,
    known,
)

Compare = Callable[[Array, Array], Array]


def _objects(plain: Compare) -> Compare:
    """The same for objects, of which NumPy may make objects."""
    return lambda a, b: np.asarray(plain(a, b), bool)


def _greater(a: Array, b: Array) -> Array:
    return ~(a <= b) & (b == b)  # noqa: PLR0124 - it is not, for NaN


def _at_least(a: Array, b: Array) -> Array:
    return (a >= b) | (a != a)  # noqa: PLR0124 - as above


def _equal(a: Array, b: Array) -> Array:
    return (a == b) | ((a != a) & (b != b))  # noqa: PLR0124 - as above


def _flip(compare: Compare) -> Compare:
    return lambda a, b: compare(b, a)


_PLAIN: Mapping[str, Compare] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_FLOATS: Mapping[str, Compare] = {
    "=": _equal,
    "!=": lambda a, b: ~_equal(a, b),
    ">": _greater,
    ">=": _at_least,
    "<": _flip(_greater),
    "<=": _flip(_at_least),
}
#: Where the right side is a number, and no NaN.
_TO_NUMBER: Mapping[str, Compare] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": lambda a, b: ~(a <= b),
    ">=": lambda a, b: ~(a < b),
}
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compile_comparison(op: str, left: Node, right: Node) -> Compare:
    """The comparison of two parts of one type."""
    kind = left.type
    if kind.name not in FLOATS:
        return _PLAIN[op] if dtype_of(kind) is not object else _objects(_PLAIN[op])
    if _is_number(right):
        return _TO_NUMBER[op]
    if _is_number(left):
        return _flip(_TO_NUMBER[_MIRRORED[op]])
    return _FLOATS[op]


def _is_number(node: Node) -> bool:
    """Whether a part is a constant that is neither null nor NaN."""
    if node.op in ("cast", "try_cast"):
        return node.type.name == "DOUBLE" and _is_number(node.children[0])
    return node.op == "constant" and node.value is not None and node.value == node.value


def _comparison(node: Node) -> ExpressionFunction:
    return Strict(compile_comparison(node.op, *node.children))


def _distinct(node: Node) -> ExpressionFunction:
    """``IS [NOT] DISTINCT FROM``: as ``<>`` and ``=``, with null equal to null."""
    differs, negated = compile_comparison("!=", *node.children), node.op != "IS DISTINCT FROM"

    def make(parts: list[Evaluate]) -> Evaluate:
        left, right = parts

        def run(env: list[Any]) -> Pair:
            (x, a), (y, b) = left(env), right(env)
            differ = differs(x, y)
            if a is not None or b is not None:
                here, there = known(a), known(b)
                differ = np.where(here & there, differ, here != there)
            return (~differ if negated else differ), None

        return run

    return Special(make)


def _in(node: Node) -> ExpressionFunction:
    """``IN (…)``: null if nothing is equal and something is null."""
    value, *items = node.children
    equal = [compile_comparison("=", value, item) for item in items]
    negated = node.op == "not in"

    def make(parts: list[Evaluate]) -> Evaluate:
        def run(env: list[Any]) -> Pair:
            x, valid = parts[0](env)
            is_in: Any = np.False_
            all_known: Any = None
            for same, part in zip(equal, parts[1:], strict=True):
                y, there = part(env)
                hit = same(x, y)
                is_in = is_in | (hit if there is None else hit & there)
                all_known = both(all_known, there)
            if all_known is not None:
                valid = both(valid, all_known | is_in)
            return (~is_in if negated else is_in), valid

        return run

    return Special(make)


def _extreme(node: Node) -> ExpressionFunction:
    """``greatest`` and ``least``: nulls are left out; of equal values the first is taken."""
    op = ">" if node.op == "greatest" else "<"
    better = compile_comparison(op, _column(node), _column(node))
    # DuckDB takes another way for FLOAT, on which -0.0 becomes 0.0.
    is_float = node.type.name == "FLOAT"

    def make(parts: list[Evaluate]) -> Evaluate:
        def run(env: list[Any]) -> Pair:
            best, valid = parts[0](env)
            for part in parts[1:]:
                y, there = part(env)
                take = better(y, best)
                if there is not None:
                    take = take & there
                if valid is not None:
                    take = take | (~valid if there is None else ~valid & there)
                    valid = None if there is None else valid | there
                best = np.where(take, y, best)
            return (best + np.float32(0.0) if is_float else best), valid

        return run

    return Special(make)


def _column(node: Node) -> Node:
    return Node("column", node.type)


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    **dict.fromkeys(_PLAIN, _comparison),
    **dict.fromkeys(("IS DISTINCT FROM", "IS NOT DISTINCT FROM"), _distinct),
    **dict.fromkeys(("in", "not in"), _in),
    **dict.fromkeys(("greatest", "least"), _extreme),
}
