"""JSON values: the form of every type in JSON, in requests and in answers.

=========  ============================================================================
type       in JSON
=========  ============================================================================
bool       ``true``, ``false``
integers   numbers without a fraction
floats     numbers, or ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
string     strings
bytes      strings of base64
timestamp  strings of ISO 8601 with an offset or ``Z``
date       strings ``"2013-06-01"``
decimal    strings ``"12.50"``, or integers
list,      arrays
vector
null       ``null``
=========  ============================================================================
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from noskew.clock import to_datetime, to_micros
from noskew.types import DType

#: Numbers that JSON has no literal for, by the strings that stand for them.
SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

#: Turns a value of JSON into what it stands for. Raises ValueError or InvalidOperation.
Convert = Callable[[Any], Any]


def converter(kind: DType) -> Convert | None:
    """What turns a JSON value into one of a type; None where they are the same."""
    if kind.item is not None:
        item = converter(kind.item)
        return None if item is None else lambda v: _each(item, v)
    return _CONVERTERS.get(kind.kind)


def _each(convert: Convert, values: Any) -> Any:
    if not isinstance(values, list):
        return values
    return [None if v is None else convert(v) for v in values]


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def _decimal(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("a number with a fraction is not exact; send it as a string")
    return Decimal(value) if type(value) in (str, int) else value


def _timestamp(value: Any) -> Any:
    return to_datetime(to_micros(value)) if isinstance(value, str) else value


def _date(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _float(value: Any) -> Any:
    return SPECIAL.get(value, value) if isinstance(value, str) else value


_CONVERTERS: dict[str, Convert] = {
    "bytes": _bytes,
    "decimal": _decimal,
    "date": _date,
    "timestamp": _timestamp,
    "float32": _float,
    "float64": _float,
}
