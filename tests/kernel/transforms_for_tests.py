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


def doubled_arrow(table: pa.Table) -> pa.Table:
    twice = pc.multiply(table.column("n"), 2)
    return pa.table({"twice": twice, "late": table.column("ok"), "s": table.column("s")})


def failing(frame: Any) -> Any:
    raise KeyError("no such thing")


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
