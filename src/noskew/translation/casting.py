"""Casts by a table: how a value of one group of types becomes a value of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from noskew.translation.typed import Typed, Unfit, as_type
from noskew.types import DType

#: Makes the tree of a cast: ``cast(tree, its type, the type it becomes)``.
Cast = Callable[[exp.Expr, DType, DType], exp.Expr]
#: Casts by the groups of both types: ``integer``, ``float``, or the kind of a type.
Casts = Mapping[tuple[str, str], Cast]


def by_duckdb(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    """The cast of DuckDB, where it means the same."""
    del kind
    return as_type(tree, to)


def cast_by(casts: Casts, value: Typed, to: DType) -> Typed:
    """A value as another type. Raises Unfit where the table has no cast."""
    kind = value.type
    assert kind is not None
    cast = casts.get((_group(kind), _group(to)))
    if cast is None:
        raise Unfit(f"a cast from {kind} to {to} is not known to mean the same in DuckDB")
    return Typed(cast(value.tree, kind, to), to)


def _group(kind: DType) -> str:
    if kind.is_integer:
        return "integer"
    return "float" if kind.is_float else kind.kind
