"""What the parts of an expression give, and how functions of values become parts.

A part gives a pair: an array, and which of its items are not null (None: all). The array has one
item a row, or no dimension where it is the same for all rows. What stands where an item is null
means nothing, but is of the type. Texts and decimals are arrays of objects (str, int); an interval
is an array of three rows: months, days and µs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noskew.definitions.expression_tree import SqlType
from noskew.errors import TransformError
from noskew.kernel.arrays import Mask

Array = NDArray[Any]
Pair = tuple[Array, Mask | None]
#: Places of what a run of a program starts with; its inputs and what parts share come after.
ROWS, ACTIVE = 0, 1
Evaluate = Callable[[list[Any]], Pair]

#: NumPy's types for DuckDB's; all others are objects.
DTYPES: dict[str, Any] = {
    "BOOLEAN": np.bool_,
    "TINYINT": np.int8,
    "SMALLINT": np.int16,
    "INTEGER": np.int32,
    "BIGINT": np.int64,
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "DATE": np.int32,
    "TIMESTAMP": np.int64,
    "TIMESTAMP WITH TIME ZONE": np.int64,
    "INTERVAL": np.int64,
}
INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
FLOATS = frozenset({"FLOAT", "DOUBLE"})
TIMES = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})


@dataclass(frozen=True, slots=True)
class Strict:
    """A function of arrays that gives null for null and never fails."""

    call: Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Checked:
    """As :class:`Strict`, of values some of which it refuses.

    ``call`` gives the array, which items are refused (None: none), and why.
    """

    call: Callable[..., tuple[Array, Mask | None, str]]


@dataclass(frozen=True, slots=True)
class Special:
    """A function that looks at nulls, or does not need all of its arguments."""

    make: Callable[[list[Evaluate]], Evaluate]


ExpressionFunction = Strict | Checked | Special


def dtype_of(kind: SqlType) -> Any:
    """The NumPy type of a type's values."""
    return DTYPES.get(kind.name, object)


def both(a: Mask | None, b: Mask | None) -> Mask | None:
    """Where both are not null."""
    if a is None:
        return b
    return a if b is None else a & b


def known(mask: Mask | None) -> Any:
    """The mask, or a single true for None."""
    return np.True_ if mask is None else mask


def bad_or_none(bad: Array) -> Mask | None:
    """None where nothing is bad, which is nearly always."""
    return bad if np.count_nonzero(bad) else None


def refuse(env: list[Any], bad: Mask | None, valid: Mask | None, why: str) -> None:
    """Raise TransformError if an item is bad, not null, and in a row that is asked for."""
    if bad is None:
        return
    for mask in (valid, env[ACTIVE]):
        if mask is not None:
            bad = bad & mask
    if np.count_nonzero(bad):
        raise TransformError(why)


def strict(function: Callable[..., Array], parts: list[Evaluate]) -> Evaluate:
    """A part of a function that gives null for null."""
    if len(parts) == 1:
        (only,) = parts

        def one(env: list[Any]) -> Pair:
            x, valid = only(env)
            return function(x), valid

        return one
    if len(parts) == 2:
        first, second = parts

        def two(env: list[Any]) -> Pair:
            x, a = first(env)
            y, b = second(env)
            return function(x, y), a if b is None else b if a is None else a & b

        return two

    def many(env: list[Any]) -> Pair:
        values, valid = arguments(env, parts)
        return function(*values), valid

    return many


def checked(
    function: Callable[..., tuple[Array, Mask | None, str]], parts: list[Evaluate], *, nulls: bool
) -> Evaluate:
    """A part of a function that refuses some values; ``nulls``: it gives null for them instead."""

    def run(env: list[Any]) -> Pair:
        values, valid = arguments(env, parts)
        results, bad, why = function(*values)
        if bad is None:
            return results, valid
        if nulls:
            return results, both(valid, ~bad)
        refuse(env, bad, valid, why)
        return results, valid

    return run


def arguments(env: list[Any], parts: list[Evaluate]) -> tuple[list[Array], Mask | None]:
    """What parts give, and where none of them is null."""
    valid: Mask | None = None
    values = []
    for part in parts:
        x, mine = part(env)
        values.append(x)
        valid = both(valid, mine)
    return values, valid
