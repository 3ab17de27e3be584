"""Three-valued logic, and what computes an argument for some of the rows only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.kernel.arrays import Mask
from noskew.kernel.expressions.values import (
    ACTIVE,
    ROWS,
    Array,
    Evaluate,
    ExpressionFunction,
    Pair,
    Special,
    Strict,
    both,
    known,
)


def _not(node: Node) -> ExpressionFunction:
    del node
    return Strict(np.logical_not)


def _conjunction(node: Node) -> ExpressionFunction:
    """``AND`` is null unless a side is false, or both are known; ``OR`` with true for false.

    Both sides are computed for every row, as DuckDB does: ``b <> 0 AND a // b > 1`` fails.
    """
    is_or = node.op == "or"
    join = np.logical_or if is_or else np.logical_and

    def make(parts: list[Evaluate]) -> Evaluate:
        def run(env: list[Any]) -> Pair:
            truth, valid = parts[0](env)
            for part in parts[1:]:
                y, there = part(env)
                if valid is not None or there is not None:
                    valid = _known(truth, valid, y, there, decisive=is_or)
                truth = join(truth, y)
            return truth, valid

        return run

    return Special(make)


def _known(x: Array, a: Mask | None, y: Array, b: Mask | None, *, decisive: bool) -> Mask:
    """Where the joined value is known: both are, or one decides alone."""
    left, right = known(a), known(b)
    decides_left, decides_right = (x == decisive) & left, (y == decisive) & right
    sure: Mask = (left & right) | decides_left | decides_right
    return sure


def _is_null(node: Node) -> ExpressionFunction:
    negated = node.op == "is not null"

    def make(parts: list[Evaluate]) -> Evaluate:
        (part,) = parts

        def run(env: list[Any]) -> Pair:
            _, valid = part(env)
            if valid is None:
                return np.array(negated), None
            return (valid if negated else ~valid), None

        return run

    return Special(make)


def _coalesce(node: Node) -> ExpressionFunction:
    """The first argument that is not null; an argument is computed where it is needed."""
    del node

    def make(parts: list[Evaluate]) -> Evaluate:
        def run(env: list[Any]) -> Pair:
            values, valid = parts[0](env)
            outer = env[ACTIVE]
            for part in parts[1:]:
                if valid is None:
                    break
                need = ~valid if outer is None else outer & ~valid
                if not np.count_nonzero(need):
                    continue
                y, there = _within(env, need, part)
                values = np.where(valid, values, y)
                valid = None if there is None else valid | there
            return values, valid

        return run

    return Special(make)


def _case(node: Node) -> ExpressionFunction:
    """``CASE``: a value is computed where its condition is the first that is true."""
    del node

    def make(parts: list[Evaluate]) -> Evaluate:
        pairs = [(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]

        def run(env: list[Any]) -> Pair:
            outer = left = env[ACTIVE]
            waiting = env[ROWS] if outer is None else np.count_nonzero(outer)
            branches: list[tuple[Mask, Array, Mask | None]] = []
            for condition, value in pairs:
                is_true, there = condition(env) if left is outer else _within(env, left, condition)
                taken: Array = is_true & known(there) & known(left)
                count = np.count_nonzero(taken) if taken.ndim else waiting * bool(taken)
                if count == waiting and not branches:
                    return value(env)  # as if there were no CASE, for all rows that are asked for
                if count:
                    branches.append((taken, *_within(env, taken, value)))
                    left = both(~taken, left)
                    waiting -= count
                if not waiting:
                    return _merged(branches[:-1], branches[-1][1:])
            last = parts[-1]
            return _merged(branches, last(env) if left is outer else _within(env, left, last))

        return run

    return Special(make)


def _merged(branches: list[tuple[Mask, Array, Mask | None]], rest: Pair) -> Pair:
    """Each row's value from the branch that took it; ``rest``: that of all others."""
    values, valid = rest
    for taken, value, there in branches:
        values = np.where(taken, value, values)
        if there is not None or valid is not None:
            valid = np.where(taken, known(there), known(valid))
    return values, valid


def _within(env: list[Any], active: Mask | None, part: Evaluate) -> Pair:
    """What a part gives where only some rows may make it fail."""
    outer, env[ACTIVE] = env[ACTIVE], active
    try:
        return part(env)
    finally:
        env[ACTIVE] = outer


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    "not": _not,
    "and": _conjunction,
    "or": _conjunction,
    "is null": _is_null,
    "is not null": _is_null,
    "coalesce": _coalesce,
    "case": _case,
}
