"""A column of every type, passed through and computed, in each front-end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F
from pyspark.sql import DataFrame

import noskew as ns

NAN, INF = float("nan"), float("inf")
START = datetime(2024, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
#: Values of each type, cycled through; a column of the type's name holds them.
VALUES: dict[str, tuple[str, list[Any]]] = {
    "truth": ("bool", [True, False, None]),
    "i8": ("int8", [0, 127, -128, None]),
    "i16": ("int16", [1, 32767, -32768, None]),
    "i32": ("int32", [-1, 2**31 - 1, -(2**31), None]),
    "i64": ("int64", [2**53 + 1, 2**63 - 1, -(2**63), None]),
    "f32": ("float32", [0.5, -0.0, INF, None, 2.0**-149]),
    "f64": ("float64", [0.1, -0.0, -INF, 5e-324, None, NAN]),
    "text": ("string", ["", "ß İ é 👍🏽", "a\nb", None, "é"]),
    "raw": ("bytes", [b"", b"\x00\xff", None]),
    "moment": (
        "timestamp",
        [
            START,
            datetime(1582, 10, 10, tzinfo=UTC),
            None,
            datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        ],
    ),
    "day": ("date", [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), None]),
    "money": ("decimal(18, 2)", [Decimal("0.01"), Decimal("-9999999999999999.99"), None]),
    "numbers": ("list<int64>", [[2**63 - 1], [], [None, 1], None, [3, 2, 1]]),
    "words": ("list<string>", [["a", None, ""], None, []]),
    "spot": ("vector<float32, 2>", [[0.5, -1.0], None, [INF, 0.0]]),
}
TYPES = {name: kind for name, (kind, _) in VALUES.items()}
#: Each type's column where ``keep`` is true, else null.
KEPT = {f"kept_{name}": kind for name, kind in TYPES.items()}
SCHEMA: dict[str, Any] = {"user_id": int, "at": "timestamp", "keep": bool, **TYPES}
SOURCE = ns.Source("events", SCHEMA, event_time="at")
USER = ns.Entity("user", {"user_id": int})


def rows(count: int = 18, users: int = 7) -> list[dict[str, Any]]:
    """Events in order of time, of a few users, with every value of every type."""
    return [
        {
            "user_id": at % users,
            "at": START + timedelta(minutes=at),
            "keep": (True, False, True, None)[at % 4],
            **{name: values[at % len(values)] for name, (_, values) in VALUES.items()},
        }
        for at in range(count)
    ]


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """What a view of the matrix has for a row, in plain Python."""
    kept = {f"kept_{name}": row[name] if row["keep"] else None for name in TYPES}
    return {**{name: row[name] for name in TYPES}, **kept}


SQL = "SELECT *, {} FROM events".format(
    ", ".join(f"CASE WHEN keep THEN {name} END AS kept_{name}" for name in TYPES)
)


def in_pyspark(df: DataFrame) -> DataFrame:
    kept = {f"kept_{name}": F.when(df["keep"], F.col(name)) for name in TYPES}
    return df.withColumns(kept)


def in_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    keep = frame["keep"].fillna(False).astype(bool)
    made = {f"kept_{name}": frame[name].where(keep) for name in TYPES}
    return pd.concat([frame[list(TYPES)], pd.DataFrame(made)], axis=1)


def in_polars(frame: pl.DataFrame) -> pl.DataFrame:
    keep = pl.col("keep")
    return frame.with_columns(
        pl.when(keep).then(pl.col(name)).alias(f"kept_{name}") for name in TYPES
    )


def in_arrow(table: pa.Table) -> pa.Table:
    keep = pc.fill_null(table["keep"], False)
    for name in TYPES:
        column = table[name].combine_chunks()
        places = pc.if_else(keep, pa.array(range(len(table)), pa.int64()), None)
        table = table.append_column(f"kept_{name}", column.take(places.combine_chunks()))
    return table


OUT = {**TYPES, **KEPT}
FRONT_ENDS: dict[str, Any] = {
    "none": None,
    "DuckDB SQL": ns.sql(SQL),
    "Spark SQL": ns.sql(SQL, dialect="spark"),
    "PostgreSQL": ns.sql(SQL, dialect="postgres"),
    "PySpark": ns.pyspark(in_pyspark),
    "pandas": ns.pandas(in_pandas, schema=OUT),
    "Polars": ns.polars(in_polars, schema=OUT),
    "Arrow": ns.arrow(in_arrow, schema=OUT),
}


def view(front_end: str) -> ns.FeatureView:
    """A view with every column of the matrix as a feature."""
    names = [*TYPES, *(() if front_end == "none" else KEPT)]
    return ns.FeatureView(
        "view", entity=USER, source=SOURCE, features=names, transform=FRONT_ENDS[front_end]
    )
