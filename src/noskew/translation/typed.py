"""Typed trees in DuckDB's dialect, and the templates that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from noskew.translation.parser_dialects import PlainDuckDB
from noskew.types import DType

BOOL, STRING, BYTES = DType("bool"), DType("string"), DType("bytes")
DATE, TIMESTAMP = DType("date"), DType("timestamp")
INT, LONG, FLOAT, DOUBLE = DType("int32"), DType("int64"), DType("float32"), DType("float64")
#: Integers from the narrowest to the widest.
INTEGERS = (DType("int8"), DType("int16"), INT, LONG)

#: Types as DuckDB writes them.
DUCKDB_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "string": "TEXT",
    "bytes": "BLOB",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}
_MAX_SIZE = 10_000
#: What needs no parentheses wherever it stands.
_ATOMS = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Anonymous,
    exp.Cast,
    exp.Case,
    exp.Paren,
    exp.Boolean,
    exp.Null,
    exp.Array,
)


class Unfit(Exception):
    """Something is not known to mean the same in DuckDB, for the reason in its text."""


@dataclass(frozen=True)
class Typed:
    """An expression in DuckDB's dialect and its type; the type of a bare NULL is None.

    ``constant`` is the value of a literal: a str, int, float or bool; None for anything else.
    """

    tree: exp.Expr
    type: DType | None
    constant: str | int | float | bool | None = None


def duckdb_type(kind: DType) -> str:
    """The name of a type in DuckDB."""
    if kind.kind == "decimal":
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if kind.item is not None:
        size = str(kind.size) if kind.kind == "vector" else ""
        return f"{duckdb_type(kind.item)}[{size}]"
    return DUCKDB_TYPES[kind.kind]


def fill(template: str, *trees: exp.Expr) -> exp.Expr:
    """An expression in DuckDB's dialect, with trees for its places ``$1``, ``$2``, …"""
    filled = _parsed(template).copy()
    places = list(filled.find_all(exp.Placeholder))
    size = 1 + sum(_size(trees[int(place.name) - 1]) for place in places)
    if size > _MAX_SIZE:
        raise Unfit(
            "it is nested too deeply; name the steps of what is computed: SELECT … FROM "
            "(SELECT *, … AS step FROM …) AS steps"
        )
    for place in places:
        tree = trees[int(place.name) - 1].copy()
        tree = tree if isinstance(tree, _ATOMS) else exp.Paren(this=tree)
        if place is filled:
            return tree
        place.replace(tree)
    filled.meta["size"] = size
    return filled


def _size(tree: exp.Expr) -> int:
    """About how many templates a tree was made of: its places may repeat what stands in them."""
    known: int | None = tree.meta.get("size")
    return known if known is not None else 1 + sum(map(_size, tree.iter_expressions()))


@lru_cache(maxsize=4_096)
def _parsed(template: str) -> exp.Expr:
    (statement,) = PlainDuckDB().parse(f"SELECT {template}")
    assert isinstance(statement, exp.Select)
    (expression,) = statement.expressions
    assert isinstance(expression, exp.Expr)
    return expression


def text(value: str) -> exp.Literal:
    """A string literal."""
    return exp.Literal.string(value)


def integer_literal(value: int) -> exp.Expr:
    """An integer literal."""
    digits = exp.Literal.number(abs(value))
    return digits if value >= 0 else exp.Paren(this=exp.Neg(this=digits))


def as_type(tree: exp.Expr, kind: DType, *, safe: bool = False) -> exp.Expr:
    """A cast by DuckDB's own rules; ``safe``: null instead of an error."""
    word = "TRY_CAST" if safe else "CAST"
    return fill(f"{word}($1 AS {duckdb_type(kind)})", tree)


def decimal(precision: int, scale: int) -> DType:
    """The type decimal(precision, scale)."""
    return DType("decimal", precision=precision, scale=scale)


def list_of(item: DType) -> DType:
    """The type of lists of an item."""
    return DType("list", item=item)


def is_numeric(kind: DType | None) -> bool:
    """Whether a type is one of numbers."""
    return kind is not None and (kind.is_integer or kind.is_float or kind.kind == "decimal")
