"""What Spark SQL converts without being asked, as far as it is known here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from noskew.translation.intervals import literal_time
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
_DATE_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_TEXT = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?)?"
)


def convert(value: Typed, to: DType) -> Typed:
    """An argument as the type that a function takes. Raises Unfit."""
    kind = value.type
    if kind is None or kind == to:
        return casts.cast(value, to)
    if kind == STRING and to == DATE:
        return casts.cast(value, to)
    if kind == STRING and to == TIMESTAMP:
        return as_time(value, to)
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


def as_time(value: Typed, to: DType) -> Typed:
    """A date or a timestamp that stands in the text. Raises Unfit for anything else."""
    pattern = _DATE_TEXT if to == DATE else _TIME_TEXT
    if not isinstance(value.constant, str) or not pattern.fullmatch(value.constant):
        form = "'2020-01-31'" if to == DATE else "'2020-01-31 12:00:00'"
        raise Unfit(f"a text is compared with a {to} here if it is a literal like {form}")
    return literal_time(value.constant, to)


def common(values: Sequence[Typed]) -> DType | None:
    """The type that values of several types become. None if all are NULL. Raises Unfit."""
    made: DType | None = None
    for value in values:
        made = value.type if made is None else _wider(made, value.type, value)
    return made


def _wider(a: DType, b: DType | None, value: Typed) -> DType:
    if b is None or a == b:
        return a
    if a.is_integer and b.is_integer:
        return max(a, b, key=INTEGERS.index)
    if a.is_float or b.is_float:
        if not (is_numeric(a) and is_numeric(b)):
            raise _apart(a, b)
        has_decimal = "decimal" in (a.kind, b.kind)
        return DOUBLE if DOUBLE in (a, b) or has_decimal else FLOAT
    if "decimal" in (a.kind, b.kind) and is_numeric(a) and is_numeric(b):
        return _wider_decimal(a, b, value)
    if {a, b} == {DATE, TIMESTAMP}:
        return TIMESTAMP
    raise _apart(a, b)


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


def comparable(values: Sequence[Typed]) -> list[Typed]:
    """Both sides of a comparison, as one type. Raises Unfit."""
    kinds = {v.type for v in values}
    for time in (DATE, TIMESTAMP):
        if kinds == {time, STRING}:
            return [as_time(v, time) if v.type == STRING else v for v in values]
    if any(k is not None and k.item is not None for k in kinds):
        raise Unfit("arrays are not compared here")
    kind = common(values)
    return [v if kind is None or v.type == kind else convert(v, kind) for v in values]
