"""More functions that depend on more than the row, as people write them by mistake.

Each gives right-looking values in a notebook, on all rows at once. Beside each stands the path that
would show the difference. Those of certification's own tests are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

import noskew as ns

OUT: dict[str, Any] = {"made": float}


def before(rows: pl.DataFrame) -> pl.DataFrame:
    """Shuffled rows, and the first row of each micro-batch."""
    return rows.with_columns(made=pl.col("x").shift(1))


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Micro-batches: three rows of each, instead of three of all."""
    kept = rows.sort_values("x", ascending=False).head(3)
    return pd.DataFrame({"made": kept["x"]}, index=kept.index)


def dummies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row at a time: there is one column, whatever its category."""
    made = pd.get_dummies(rows["s"]).to_numpy(dtype="float64")
    return pd.DataFrame({"made": made[:, 0] if made.size else 0.0}, index=rows.index)


def above_the_median(table: pa.Table) -> pa.Table:
    """One row at a time: never above itself."""
    x = table["x"]
    middle = pc.quantile(x, 0.5)[0]
    return pa.table({"made": pc.cast(pc.greater(x, middle), pa.float64())})


def standardised_floats(rows: pl.DataFrame) -> pl.DataFrame:
    """Micro-batches without NaN: in a batch that has one, all values are NaN."""
    x = pl.col("x")
    return rows.with_columns(made=(x - x.mean()) / x.std())


def scaled(table: pa.Table) -> pa.Table:
    """Micro-batches have other maxima."""
    x = table["x"].to_numpy(zero_copy_only=False)
    top = np.nanmax(np.abs(x)) if len(x) and not np.isnan(x).all() else 1.0
    return pa.table({"made": pa.array(x / (top or 1.0))})


def first_word(rows: pd.DataFrame) -> pd.DataFrame:
    """One row at a time: where all texts are missing, pandas takes the column for floats."""
    made = rows["s"].str.split(" ").str[0].str.len()
    return pd.DataFrame({"made": made.astype("float64")}, index=rows.index)


def mask_by_type(rows: pd.DataFrame) -> pd.DataFrame:
    """Micro-batches: whether a column has a null decides what becomes of its zeros."""
    n = rows["n"]
    made = n.fillna(-1) if n.isna().any() else n.replace(0, -1)
    return pd.DataFrame({"made": made.astype("float64")}, index=rows.index)


#: Name → the transform.
SKEWED: dict[str, Callable[[], Any]] = {
    "shift": lambda: ns.polars(before, schema=OUT),
    "sort and head": lambda: ns.pandas(largest, schema=OUT),
    "dummies": lambda: ns.pandas(dummies, schema=OUT),
    "above the median": lambda: ns.arrow(above_the_median, schema=OUT),
    "scaled by the largest": lambda: ns.arrow(scaled, schema=OUT),
    "only nulls": lambda: ns.pandas(first_word, schema=OUT),
    "some nulls": lambda: ns.pandas(mask_by_type, schema=OUT),
    "standardised floats": lambda: ns.polars(standardised_floats, schema=OUT),
}
