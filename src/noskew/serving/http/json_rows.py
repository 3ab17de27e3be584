"""JSON rows: what a caller sends as JSON, as columns of the types that a service takes.

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

The answers use the same forms (:mod:`noskew.serving.http.json_answer`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from noskew.clock import to_datetime, to_micros
from noskew.errors import InputError, KeyTypeError, SchemaMismatchError
from noskew.reading.request_plan import RequestPlan, shown
from noskew.serving.http.problem import Refusal
from noskew.types import DType

#: Numbers that JSON has no literal for, by the strings that stand for them.
SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

Convert = Callable[[Any], Any]


def parse(body: bytes) -> dict[str, Any]:
    """A body as a JSON object. Raises Refusal (400) for other JSON, or for what is none."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is not JSON: {str(error)[:200]}") from error
    if type(data) is not dict:
        raise InputError(
            f"the body must be a JSON object such as "
            f'{{"rows": {{"origin": ["JFK"]}}}}, got {type(data).__name__}'
        )
    return data


class JsonRows:
    """Turns the columns of a JSON request into what a reader of one service takes.

    Raises KeyTypeError or SchemaMismatchError for strings that are not what they stand for.
    Values of other types pass: the reader judges them, as it does in process.
    """

    def __init__(self, plan: RequestPlan) -> None:
        keys = {n: k for n, k in plan.keys.items() if k.kind == "bytes"}
        self._keys = {n: converter(k) for n, k in keys.items()}
        fields = {n: converter(k) for n, k in plan.request_fields.items()}
        self._fields = {n: c for n, c in fields.items() if c is not None}
        self._converts = bool(self._keys or self._fields)
        self._kinds: Mapping[str, DType] = {**plan.keys, **plan.request_fields}

    def columns(self, rows: Any) -> Any:
        """``rows`` (columns, or a list of rows) with strings turned into what they stand for."""
        if not self._converts:
            return rows
        if isinstance(rows, dict):
            return {n: self._column(n, v) if isinstance(v, list) else v for n, v in rows.items()}
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return [{n: self._value(n, v) for n, v in row.items()} for row in rows]
        return rows

    def _column(self, name: str, values: list[Any]) -> list[Any]:
        if name not in self._keys and name not in self._fields:
            return values
        return [self._value(name, v) for v in values]

    def _value(self, name: str, value: Any) -> Any:
        convert = self._keys.get(name) or self._fields.get(name)
        if convert is None or value is None:
            return value
        try:
            return convert(value)
        except (ValueError, InvalidOperation) as error:
            kind = KeyTypeError if name in self._keys else SchemaMismatchError
            what = "join key" if name in self._keys else "request field"
            raise kind(
                f"the {what} {name!r} must be {self._kinds[name]}, got {shown(value)}: {error}"
            ) from error


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
