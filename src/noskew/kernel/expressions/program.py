"""Programs: the trees of a function's expressions, compiled once into closures over arrays.

A closure a node costs little more than NumPy itself. Parts that several expressions share are
computed once a run, and parts without columns once and for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.errors import TransformError
from noskew.kernel.expressions import (
    arithmetic,
    casts,
    comparisons,
    conditions,
    mathematics,
    strings,
    times,
)
from noskew.kernel.expressions.values import (
    ACTIVE,
    Checked,
    Evaluate,
    ExpressionFunction,
    Pair,
    Strict,
    checked,
    dtype_of,
    strict,
)

FUNCTIONS = {
    **arithmetic.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **comparisons.FUNCTIONS,
    **conditions.FUNCTIONS,
    **strings.FUNCTIONS,
    **times.FUNCTIONS,
    "cast": casts.compile_cast,
    "try_cast": casts.compile_cast,
}


class Program:
    """Expressions over columns: ``trees``, each with what messages call it.

    ``columns``: what its columns are called, in the order in which a run takes them.
    """

    def __init__(self, trees: Sequence[tuple[str, Node]]) -> None:
        compiler = _Compiler([tree for _, tree in trees])
        self._runs = [(where, compiler.run(tree)) for where, tree in trees]
        self.columns: Sequence[Any] = tuple(compiler.columns)
        self._shared = [None] * compiler.shared

    def __call__(self, columns: Sequence[Pair], rows: int) -> list[Pair]:
        """Each expression's values, one a row.

        ``columns``: as in :mod:`.values`, texts under a null included. ``rows``: at least one.
        Raises TransformError where DuckDB would: for an integer that overflows, a cast that does
        not fit, a division of integers by zero.
        """
        env = [rows, None, *columns, *self._shared]
        outputs = []
        # Infinities and NaN are values here, and what overflows is looked for.
        with np.errstate(all="ignore"):
            for where, run in self._runs:
                try:
                    values, valid = run(env)
                except TransformError as error:
                    raise TransformError(f"{where}: {error}") from None
                if values.ndim != 1:
                    values = _repeated(values, rows)
                if valid is not None and valid.ndim != 1:
                    valid = _repeated(valid, rows)
                outputs.append((values, valid))
        return outputs


def _repeated(value: Any, rows: int) -> Any:
    values = np.empty(rows, value.dtype)
    values[:] = value
    return values


class _Compiler:
    def __init__(self, trees: Iterable[Node]) -> None:
        used = Counter(node for tree in trees for node in _distinct(tree))
        self.columns: dict[Any, int] = {}
        for node in used:
            if node.op == "column":
                self.columns.setdefault(node.value, ACTIVE + 1 + len(self.columns))
        self._used, self.shared = used, 0
        self._made: dict[Node, Evaluate] = {}

    def run(self, node: Node) -> Evaluate:
        """The closure of a node; equal nodes have one."""
        run = self._made.get(node)
        if run is None:
            run = self._made[node] = self._compiled(node)
        return run

    def _compiled(self, node: Node) -> Evaluate:
        if node.op == "column":
            place = self.columns[node.value]
            return lambda env: env[place]
        if node.op == "constant":
            return _constant(_constant_pair(node))
        parts = [self.run(child) for child in node.children]
        run = _applied(FUNCTIONS[node.op](node), parts, nulls=node.op == "try_cast")
        if not any(part.op == "column" for part in node.walk()):
            return _folded(run, node)
        if self._used[node] == 1:
            return run
        place = ACTIVE + 1 + len(self.columns) + self.shared
        self.shared += 1
        return _once(run, place)


def _distinct(tree: Node) -> Iterable[Node]:
    """Each node as often as it is computed, if equal ones are computed once."""
    seen: set[Node] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if node not in seen:
            seen.add(node)
            waiting += node.children


def _applied(function: ExpressionFunction, parts: list[Evaluate], *, nulls: bool) -> Evaluate:
    if isinstance(function, Strict):
        return strict(function.call, parts)
    if isinstance(function, Checked):
        return checked(function.call, parts, nulls=nulls)
    return function.make(parts)


def _constant_pair(node: Node) -> Pair:
    kind = dtype_of(node.type)
    if node.value is not None:
        return np.array(node.value, kind), None
    empty: Any = {"VARCHAR": "", "INTERVAL": (0, 0, 0)}.get(node.type.name, 0)
    return np.array(empty, kind), np.array(False)


def _constant(pair: Pair) -> Evaluate:
    return lambda env: pair


def _folded(run: Evaluate, node: Node) -> Evaluate:
    """The value of a part without columns; one that fails does so in each run that needs it."""
    try:
        with np.errstate(all="ignore"):
            values, valid = run([1, None])
    except TransformError:
        return run
    shape = (3,) if node.type.name == "INTERVAL" else ()
    items = np.asarray(values, dtype_of(node.type)).reshape(shape)
    return _constant((items, None if valid is None else np.asarray(valid).reshape(())))


def _once(run: Evaluate, place: int) -> Evaluate:
    """A part that is kept for the rest of a run.

    What was computed for some rows only may have kept a failure of others back, so that is not.
    """

    def kept(env: list[Any]) -> Pair:
        pair: Pair | None = env[place]
        if pair is None:
            pair = run(env)
            if env[ACTIVE] is None:
                env[place] = pair
        return pair

    return kept
