"""Tables that the suite sends."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa


def numbers(rows: int) -> pa.Table:
    """So many rows."""
    return pa.table({"n": pa.array(range(rows), pa.int64())})


def every_type() -> pa.Table:
    """Every type that noskew has, with nulls and what is lost easily."""
    moment = datetime(1, 1, 1, tzinfo=UTC)
    columns: dict[str, pa.Array] = {
        "flag": pa.array([True, None, False]),
        "small": pa.array([-128, None, 127], pa.int8()),
        "short": pa.array([-(2**15), None, 2**15 - 1], pa.int16()),
        "int": pa.array([-(2**31), None, 2**31 - 1], pa.int32()),
        "long": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
        "single": pa.array([-0.0, float("nan"), None], pa.float32()),
        "double": pa.array([-0.0, float("nan"), 5e-324], pa.float64()),
        "text": pa.array(["", None, 'a\0"\U0001f600']),
        "bytes": pa.array([b"", None, b"\0\xff"]),
        "day": pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
        "time": pa.array(
            [moment, None, datetime.max.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")
        ),
        "exact": pa.array([Decimal("-1.50"), None, Decimal("0.01")], pa.decimal128(38, 2)),
        "list": pa.array([[1, None], None, []], pa.list_(pa.int64())),
        "vector": pa.array([[0.5, -0.0], None, [1.0, 2.0]], pa.list_(pa.float32(), 2)),
    }
    return pa.table(columns)
