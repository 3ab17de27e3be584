"""Definitions that certification must pass, and some that it must refuse, each for its reason."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

import noskew as ns

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "x": float,
    "n": int,
    "s": str,
    "ok": bool,
    "born": "date",
    "price": "decimal(18, 2)",
    "items": "list<int64>",
    "spot": "vector<float32, 2>",
    "raw": "bytes",
    "small": "int8",
}
USER = ns.Entity("user", {"user_id": int})
OUT: dict[str, Any] = {"made": float}


def source(**options: Any) -> ns.Source:
    return ns.Source("events", SCHEMA, event_time="at", **options)


def view(transform: Any = None, *features: Any, **options: Any) -> ns.FeatureView:
    return ns.FeatureView(
        "view",
        entity=USER,
        source=options.pop("source", None) or source(),
        features=features or ("made", ns.sum("made", window="1h")),
        transform=transform,
        **options,
    )


# ---------------------------------------------------------------- good ones


def doubled(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"made": frame["x"] * 2}, index=frame.index)


def filtered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("ok")).with_columns(made=pl.col("x") / 3)


def in_arrow(table: pa.Table) -> pa.Table:
    return pa.table({"made": pc.multiply(table.column("x"), 2.0)})


# ---------------------------------------------------------------- skewed ones

_CALLS = itertools.count()
_SEEN: dict[str, int] = {}


def first_of_all(table: pa.Table) -> pa.Table:
    table.column("x")[0]
    return pa.table({"made": table.column("x")})


def minus_mean(frame: pd.DataFrame) -> pd.DataFrame:
    finite = frame["x"].where(np.isfinite(frame["x"]))
    return pd.DataFrame({"made": finite - finite.mean()}, index=frame.index)


def z_score(frame: pl.DataFrame) -> pl.DataFrame:
    x = pl.col("n").cast(pl.Float64)
    return frame.with_columns(made=(x - x.mean()) / x.std())


def ranked(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"made": frame["n"].rank().astype("float64")}, index=frame.index)


def running(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(made=pl.col("small").cast(pl.Float64).fill_null(0).cum_sum())


def previous(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"made": frame["x"] - frame["x"].shift(1)}, index=frame.index)


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"made": frame["x"].ffill()}, index=frame.index)


def mean_for_null(frame: pl.DataFrame) -> pl.DataFrame:
    x = pl.col("small").cast(pl.Float64)
    return frame.with_columns(made=x.fill_null(x.mean()))


def coded(frame: pd.DataFrame) -> pd.DataFrame:
    codes = frame["s"].astype("category").cat.codes
    return pd.DataFrame({"made": codes.astype("float64")}, index=frame.index)


def distinct(frame: pd.DataFrame) -> pd.DataFrame:
    kept = frame.drop_duplicates("s")
    return pd.DataFrame({"made": kept["x"]}, index=kept.index)


def first_rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(5).with_columns(made=pl.col("x"))


def size_of_batch(table: pa.Table) -> pa.Table:
    return pa.table({"made": pa.array([float(len(table))] * len(table))})


def by_chance(table: pa.Table) -> pa.Table:
    return pa.table({"made": pa.array([random.random() for _ in range(len(table))])})


def by_the_clock(table: pa.Table) -> pa.Table:
    return pa.table({"made": pa.array([time.perf_counter()] * len(table))})


def counting_calls(table: pa.Table) -> pa.Table:
    return pa.table({"made": pa.array([float(next(_CALLS))] * len(table))})


def remembering(table: pa.Table) -> pa.Table:
    """A number for each text, in the order in which texts were first seen, by this process."""
    numbers = [_SEEN.setdefault(str(s), len(_SEEN)) for s in table.column("s").to_pylist()]
    return pa.table({"made": pa.array(numbers, pa.float64())})


def hashed(table: pa.Table) -> pa.Table:
    numbers = [float(hash(s) % 1_000) for s in table.column("s").to_pylist()]
    return pa.table({"made": pa.array(numbers)})


def needs_many(frame: pd.DataFrame) -> pd.DataFrame:
    cut = pd.qcut(frame["small"].astype("float64"), 4, labels=False, duplicates="raise")
    return pd.DataFrame({"made": cut.astype("float64")}, index=frame.index)


def trapped_by_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Takes a column of objects for one of numbers: only where a batch has no null."""
    made = [
        float(len(v)) if isinstance(v, str) else float(frame["s"].isna().sum()) for v in frame["s"]
    ]
    return pd.DataFrame({"made": made}, index=frame.index)


#: Name → the transform, and what its cause must say.
SKEWED: dict[str, tuple[Callable[[], Any], str]] = {
    "minus the mean": (lambda: ns.pandas(minus_mean, schema=OUT), "always has 0 .* subtracted"),
    "z-score": (lambda: ns.polars(z_score, schema=OUT), "has no value .* spread of the batch"),
    "rank": (lambda: ns.pandas(ranked, schema=OUT), "always has 1.0 .* a rank"),
    "cumulative sum": (lambda: ns.polars(running, schema=OUT), "rows before it"),
    "difference to the row before": (
        lambda: ns.pandas(previous, schema=OUT),
        "no value .* earlier row",
    ),
    "forward fill": (lambda: ns.pandas(filled, schema=OUT), "earlier row"),
    "mean for null": (lambda: ns.polars(mean_for_null, schema=OUT), "no value|batch around it"),
    "codes of categories": (lambda: ns.pandas(coded, schema=OUT), "always has 0|batch around it"),
    "without duplicates": (lambda: ns.pandas(distinct, schema=OUT), "which rows are left out"),
    "first rows": (lambda: ns.polars(first_rows, schema=OUT), "which rows are left out"),
    "size of the batch": (lambda: ns.arrow(size_of_batch, schema=OUT), "always has 1.0"),
    "chance": (lambda: ns.arrow(by_chance, schema=OUT), "each time it is called"),
    "the clock": (lambda: ns.arrow(by_the_clock, schema=OUT), "each time it is called"),
    "number of calls": (lambda: ns.arrow(counting_calls, schema=OUT), "each time it is called"),
    "memory": (lambda: ns.arrow(remembering, schema=OUT), "another process"),
    "hash": (lambda: ns.arrow(hashed, schema=OUT), "another process"),
    "quartiles": (lambda: ns.pandas(needs_many, schema=OUT), "fails on some batches|batch around"),
    "types": (lambda: ns.pandas(trapped_by_types, schema=OUT), "batch around it"),
}


# ---------------------------------------------------------------- on-demand functions


def ratio(columns: Any) -> Any:
    return {"ratio": columns["x"] * columns["by"]}


def share(columns: Any) -> Any:
    by = np.ma.filled(columns["by"], 0.0)
    return {"ratio": by / max(1, len(by))}


def on_demand(function: Any) -> ns.OnDemand:
    stored = view(None, "x")
    return ns.OnDemand(
        "ratio", function, inputs=[stored["x"]], request={"by": float}, outputs={"ratio": float}
    )
