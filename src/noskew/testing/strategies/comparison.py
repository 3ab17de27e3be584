"""Comparing what a path answers with the reference, bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from noskew.clock import to_micros, to_text
from noskew.definitions.view import FeatureView
from noskew.testing.reference import Fact, Row
from noskew.types import DType


def assert_same(
    expected: Sequence[Mapping[str, Any]],
    actual: pa.Table,
    view: FeatureView,
    *,
    rows: Sequence[Row] | None = None,
    facts: Sequence[Fact] | None = None,
) -> None:
    """Raise AssertionError unless a table holds the expected features, bit for bit.

    NaN equals NaN, −0.0 differs from 0.0, null differs from every value, lists are compared item
    by item, and each column must have its feature's Arrow type. Other columns may stand beside.
    With ``rows`` and ``facts`` the message shows what was asked and the key's facts.
    """
    if actual.num_rows != len(expected):
        raise AssertionError(f"expected {len(expected)} rows, got {actual.num_rows}")
    for name, feature in view.features.items():
        if actual.column_names.count(name) != 1:
            raise AssertionError(f"expected one column {name!r} among {actual.column_names}")
        arrow = feature.dtype.to_arrow()
        column = actual.column(name)
        if column.type != arrow:
            raise AssertionError(f"{name!r} ({feature.describe()}): {column.type} is not {arrow}")
        for i, got in enumerate(column):
            wanted = _comparable(expected[i][name], feature.dtype)
            if wanted != (shown := _comparable_scalar(got, feature.dtype)):
                raise AssertionError(
                    f"row {i}, feature {name!r} ({feature.describe()}): expected "
                    f"{expected[i][name]!r}, got {_shown(shown)}{_context(view, i, rows, facts)}"
                )


def _comparable(value: Any, kind: DType) -> Any:
    """A form whose ``==`` is equality of bits; times as integers, since Arrow's reach further."""
    if value is None:
        return None
    if kind.item is not None:
        return tuple(_comparable(item, kind.item) for item in value)
    if kind.is_float:
        return "NaN" if math.isnan(value) else struct.pack(">d", value)
    if kind.kind == "timestamp":
        return to_micros(value)
    if kind.kind == "date":
        return (value - date(1970, 1, 1)).days
    return (type(value), value)


def _comparable_scalar(scalar: Any, kind: DType) -> Any:
    if not scalar.is_valid:
        return None
    if kind.item is not None:
        return tuple(_comparable_scalar(item, kind.item) for item in scalar.values)
    if kind.kind in ("timestamp", "date"):
        return scalar.value
    return _comparable(scalar.as_py(), kind)


def _shown(comparable: Any) -> str:
    if isinstance(comparable, bytes):
        return repr(struct.unpack(">d", comparable)[0])
    if isinstance(comparable, tuple) and comparable and isinstance(comparable[0], type):
        return repr(comparable[1])
    if isinstance(comparable, tuple):
        return "[" + ", ".join(_shown(item) for item in comparable) + "]"
    return str(comparable)


def _context(
    view: FeatureView, i: int, asked: Sequence[Row] | None, about: Sequence[Fact] | None
) -> str:
    if asked is None:
        return ""
    key, t = asked[i]
    lines = [f"\nasked for {key!r} at {t} ({to_text(t)})"]
    if about is not None:
        of_key = [fact for fact in about if fact.key == key]
        lines.append(
            f"facts of the key ({len(of_key)} of {len(about)}), exact_cap={view.exact_cap}:"
        )
        for f in sorted(of_key, key=lambda f: (f.event_time, f.known_time, f.sequence)):
            lines.append(
                f"  event t{f.event_time - t:+} µs, known t{f.known_time - t:+} µs, "
                f"sequence {f.sequence}: {dict(f.values)!r}"
            )
    return "\n".join(lines)
