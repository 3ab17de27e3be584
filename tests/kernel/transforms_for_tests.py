"""Functions for the pipeline's tests: they must be importable by name."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def doubled(frame: Any) -> Any:
    """Twice n, of rows whose x is not negative; in another order than they came."""
    kept = frame[~(frame["x"] < 0)].copy()
    kept["twice"] = kept["n"] * 2
    kept["late"] = kept["ok"]
    return kept[["twice", "late", "s"]].sort_values("s", ascending=False)


def doubled_polars(frame: Any) -> Any:
    """As ``doubled``, lazily."""
    import polars as pl

    kept = frame.lazy().filter(pl.col("x").is_null() | (pl.col("x") >= 0))
    return kept.select("_row", "s", twice=pl.col("n") * 2, late="ok").sort("s", descending=True)


def every_row_polars(frame: Any) -> Any:
    return frame.select("s", twice=frame["n"] * 2, late="ok")


def described(frame: Any) -> Any:
    """As ``doubled``, in the PySpark API."""
    from pyspark.sql import functions as F

    kept = frame.filter(F.col("x").isNull() | (F.col("x") >= 0))
    return kept.select((F.col("n") * 2).alias("twice"), F.col("ok").alias("late"), "s")


def doubled_arrow(table: pa.Table) -> pa.Table:
    twice = pc.multiply(table.column("n"), 2)
    return pa.table({"twice": twice, "late": table.column("ok"), "s": table.column("s")})


def failing(frame: Any) -> Any:
    raise KeyError("no such thing")


def all_numbers_polars(frame: Any) -> Any:
    """Twice every column of numbers, and of the row, if only it were one."""
    import polars as pl
    import polars.selectors as cs

    return frame.with_columns(cs.numeric() * 2, twice=pl.col("n") * 2, late="ok")


def third_polars(frame: Any) -> Any:
    import polars as pl

    return frame.lazy().filter(pl.col("n") > 0).with_columns(third=pl.col("x") / 3)


def doubling_polars(frame: Any) -> Any:
    import polars as pl

    return every_row_polars(pl.concat([frame, frame])).with_columns(
        _row=pl.concat([frame["_row"], frame["_row"]])
    )


def shortening_polars(frame: Any) -> Any:
    return every_row_polars(frame)[1:]


def shortening(table: pa.Table) -> pa.Table:
    return table.slice(1)


def forgetful(frame: Any) -> Any:
    return frame[["s"]].set_index("s")


def no_frame(frame: Any) -> Any:
    return 3


def mixed(frame: Any) -> Any:
    frame = frame[["s"]].copy()
    frame["twice"] = [object() for _ in range(len(frame))]
    return frame
