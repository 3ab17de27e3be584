"""Casts of PostgreSQL, and what it converts without being asked, as far as it is known here.

What fails in PostgreSQL fails here, too: a text that is no number, an integer out of range.
"""

from __future__ import annotations

from sqlglot import exp

from noskew.translation.casting import Casts, by_duckdb, cast_by
from noskew.translation.intervals import naive_timestamp, written_time, zoned
from noskew.translation.typed import (
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    INTEGERS,
    STRING,
    TIMESTAMP,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
    is_numeric,
    list_of,
    text,
)
from noskew.types import DType

_SPACE = r"[ \t-\r]*"
_DIGITS = {"int8": 3, "int16": 5, "int32": 10, "int64": 19}


def _float_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(fill("round_even($1, 0)", tree), to)


def _decimal_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    wide = decimal(min(kind.precision + 1, 38), kind.scale)
    return as_type(fill("round($1, 0)", as_type(tree, wide)), to)


def _decimal_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(fill("CAST($1 AS TEXT)", tree), to)


def _checked(tree: exp.Expr, pattern: str, to: DType) -> exp.Expr:
    """A text as a type; one that does not look like it makes the cast fail, as it does there."""
    known = fill(
        "CASE WHEN regexp_full_match($1, $2) THEN $1 ELSE 'invalid input: ' || $1 END",
        tree,
        text(f"{_SPACE}(?:{pattern}){_SPACE}"),
    )
    return as_type(fill("trim($1, $2)", known, text(" \t\n\v\f\r")), to)


def _text_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return _checked(tree, "[+-]?[0-9]+", to)


def _text_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    number = "[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?"
    return _checked(tree, f"{number}|(?i:nan|[+-]?inf(?:inity)?)", to)


def _date_to_timestamp(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    return zoned(fill("CAST($1 AS TIMESTAMP)", tree))


def _timestamp_to_date(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(naive_timestamp(tree), to)


_CASTS: Casts = {
    **{("integer", to): by_duckdb for to in ("integer", "float", "decimal", "string", "bool")},
    ("float", "float"): by_duckdb,
    ("float", "integer"): _float_to_integer,
    ("decimal", "integer"): _decimal_to_integer,
    ("decimal", "float"): _decimal_to_float,
    ("decimal", "decimal"): by_duckdb,
    ("decimal", "string"): by_duckdb,
    ("bool", "integer"): by_duckdb,
    ("bool", "string"): by_duckdb,
    ("string", "integer"): _text_to_integer,
    ("string", "float"): _text_to_float,
    ("date", "timestamp"): _date_to_timestamp,
    ("date", "string"): by_duckdb,
    ("timestamp", "date"): _timestamp_to_date,
}


def cast(value: Typed, to: DType) -> Typed:
    """The value as another type. Raises Unfit where its meaning is not known."""
    kind = value.type
    if kind is None or kind == to:
        return Typed(as_type(value.tree, to) if kind is None else value.tree, to)
    if isinstance(value.constant, str) and to in (DATE, TIMESTAMP):
        return written_time(value, to)
    if kind.kind == "vector" and to == list_of(kind.item or INT):
        return Typed(as_type(value.tree, to), to)
    return cast_by(_CASTS, value, to)


def convert(value: Typed, to: DType) -> Typed:
    """An argument as the type that a function takes. Raises Unfit."""
    kind = value.type
    if kind is None or kind == to:
        return cast(value, to)
    if kind == STRING and to in (DATE, TIMESTAMP):
        return written_time(value, to)
    is_fine = (
        (kind.is_integer and to.is_integer and INTEGERS.index(kind) < INTEGERS.index(to))
        or (kind.is_integer and (to.is_float or to.kind == "decimal"))
        or (kind.kind == "decimal" and (to == DOUBLE or to.kind == "decimal"))
        or (kind == FLOAT and to == DOUBLE)
        or (kind, to) == (DATE, TIMESTAMP)
        or (kind.kind == "vector" and to == list_of(kind.item or INT))
    )
    if not is_fine:
        raise Unfit(f"{kind} does not become {to} by itself; cast it")
    return cast(value, to)


def wider(kind: DType, value: Typed) -> DType:
    """The type in common of values of a type and of one value of another. Raises Unfit."""
    other = value.type
    assert other is not None
    if is_numeric(kind) and is_numeric(other):
        if kind.is_integer and other.is_integer:
            return max(kind, other, key=INTEGERS.index)
        return DOUBLE if kind.is_float or other.is_float else _wider_decimal(kind, other)
    if {kind, other} == {DATE, TIMESTAMP}:
        return TIMESTAMP
    raise Unfit(f"{kind} and {other} meet, and have no type in common; cast one of them")


def digits_of(kind: DType) -> tuple[int, int]:
    """Precision and scale of the decimal that holds a number of a type."""
    if kind.kind == "decimal":
        return kind.precision, kind.scale
    return _DIGITS[kind.kind], 0


def _wider_decimal(a: DType, b: DType) -> DType:
    (p, s), (q, t) = digits_of(a), digits_of(b)
    precision = max(p - s, q - t) + max(s, t)
    if precision > 38:
        raise Unfit(f"{a} and {b} have no decimal of 38 digits in common; cast one")
    return decimal(precision, max(s, t))
