"""On-demand functions made of expressions: one program for all of a service's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.definitions.engines import check_engine
from noskew.definitions.expression_tree import Node
from noskew.definitions.expressions import Expressions
from noskew.definitions.on_demand import OnDemand
from noskew.errors import TransformError
from noskew.kernel.expressions.program import Program
from noskew.kernel.on_demand.columns import Column
from noskew.types import DType

_DAY = 86_400_000_000
_RANGES = {"timestamp": (MIN_TIME, MAX_TIME), "date": (MIN_TIME // _DAY, MAX_TIME // _DAY)}


class Computed:
    """The expressions of some functions.

    ``functions``: each with the number, in a list of columns, of every column that it takes.
    Raises TransformError if one was applied with another engine.
    """

    def __init__(self, functions: Sequence[tuple[OnDemand, Mapping[str, int]]]) -> None:
        trees: list[tuple[str, Node]] = []
        self._outputs: list[tuple[str, list[tuple[str, DType]]]] = []
        self._times: list[tuple[int, DType, str]] = []
        for function, numbers in functions:
            made_of = function.function
            assert isinstance(made_of, Expressions)
            check_engine("sql", made_of.engine, f"on-demand {function.name!r}")
            self._outputs.append((function.name, list(function.outputs.items())))
            for name, kind in function.outputs.items():
                where = f"on-demand {function.name!r}, output {name!r}"
                if kind.kind in _RANGES:
                    self._times.append((len(trees), kind, where))
                trees.append((where, _numbered(made_of.trees[name], numbers)))
        self._program = _program(tuple(trees))

    def __call__(self, columns: Sequence[Column], n: int) -> dict[str, dict[str, Column]]:
        """The outputs for ``n`` rows (at least one), by function and output name.

        Raises TransformError where DuckDB would fail, and for times beyond the year 9999.
        """
        program = self._program
        results = program([columns[i].pair() for i in program.columns], n)
        for place, kind, where in self._times:
            _check_range(*results[place], kind, where)
        pairs = iter(results)
        return {
            function: {name: Column(kind, *next(pairs)) for name, kind in outputs}
            for function, outputs in self._outputs
        }


@lru_cache(maxsize=1_024)
def _program(trees: tuple[tuple[str, Node], ...]) -> Program:
    return Program(trees)


def _numbered(node: Node, numbers: Mapping[str, int]) -> Node:
    """The tree with the numbers of its columns in place of their names."""
    if node.op == "column":
        return replace(node, value=numbers[node.value])
    return replace(node, children=tuple(_numbered(child, numbers) for child in node.children))


def _check_range(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, kind: DType, where: str
) -> None:
    low, high = _RANGES[kind.kind]
    bad = (values < low) | (values > high)
    if valid is not None:
        bad &= valid
    if np.count_nonzero(bad):
        raise TransformError(f"{where}: a time is outside the years 1 to 9999")
