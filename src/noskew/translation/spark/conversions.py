"""What Spark SQL converts without being asked, as far as it is known here."""

from __future__ import annotations

from noskew.translation.intervals import written_time
from noskew.translation.spark import casts
from noskew.translation.typed import (
    BOOL,
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    INTEGERS,
    STRING,
    TIMESTAMP,
    Typed,
    Unfit,
    decimal,
    is_numeric,
    list_of,
)
from noskew.types import DType

_DIGITS = {"int8": 3, "int16": 5, "int32": 10, "int64": 20}


def convert(value: Typed, to: DType) -> Typed:
    """An argument as the type that a function takes. Raises Unfit."""
    kind = value.type
    if kind is None or kind == to:
        return casts.cast(value, to)
    if kind == STRING and to == DATE:
        return casts.cast(value, to)
    if kind == STRING and to == TIMESTAMP:
        return written_time(value, to)
    is_fine = (
        (kind.is_integer and (is_numeric(to) or to == STRING))
        or (kind == FLOAT and to == DOUBLE)
        or (kind.kind == "decimal" and (to.is_float or to.kind == "decimal" or to == STRING))
        or (kind.kind in ("date", "timestamp") and to in (DATE, TIMESTAMP, STRING))
        or (kind == BOOL and to == STRING)
        or (kind.kind == "vector" and to == list_of(kind.item or INT))
    )
    if not is_fine:
        raise Unfit(f"{kind} does not become {to} by itself here; cast it")
    return casts.cast(value, to)


def wider(kind: DType, value: Typed) -> DType:
    """The type in common of values of a type and of one value of another. Raises Unfit."""
    other = value.type
    assert other is not None
    if kind.is_integer and other.is_integer:
        return max(kind, other, key=INTEGERS.index)
    if kind.is_float or other.is_float:
        if not (is_numeric(kind) and is_numeric(other)):
            raise _apart(kind, other)
        has_decimal = "decimal" in (kind.kind, other.kind)
        return DOUBLE if DOUBLE in (kind, other) or has_decimal else FLOAT
    if "decimal" in (kind.kind, other.kind) and is_numeric(kind) and is_numeric(other):
        return _wider_decimal(kind, other, value)
    if {kind, other} == {DATE, TIMESTAMP}:
        return TIMESTAMP
    raise _apart(kind, other)


def _wider_decimal(a: DType, b: DType, value: Typed) -> DType:
    sides = [
        (k.precision, k.scale) if k.kind == "decimal" else (_DIGITS[k.kind], 0) for k in (a, b)
    ]
    if b.kind != "decimal":
        sides[1] = digits_of(value), 0
    scale = max(s for _, s in sides)
    precision = max(p - s for p, s in sides) + scale
    if precision > 38:
        raise Unfit(f"{a} and {b} have no decimal in common that holds all digits; cast one")
    return decimal(precision, scale)


def digits_of(value: Typed) -> int:
    """The digits of the decimal that an integer becomes: those of a literal, or of its type."""
    assert value.type is not None
    if isinstance(value.constant, int):
        return len(str(abs(value.constant)))
    return _DIGITS[value.type.kind]


def _apart(a: DType, b: DType) -> Unfit:
    return Unfit(f"{a} and {b} meet, which Spark converts by rules of its own; cast one of them")
