"""On-demand functions that are hard on whatever runs them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np


def trapped(columns: Any) -> Any:
    """NumPy gives 1 / 0 and log(-1) as inf and NaN; its masked arrays mask them."""
    x, n = columns["x"], columns["n"]
    with np.errstate(all="ignore"):
        return {
            "ratio": np.asanyarray(1.0 / (n * 1.0)),
            "log": np.log(x),
            "large": x > n,
            "sum": n + n,
        }


def told_apart(columns: Any) -> Any:
    """What a function can see of how it is called."""
    x = columns["x"]
    kind = np.where(isinstance(x, np.ma.MaskedArray), "masked", "plain")
    return {"kind": np.array([str(kind)] * len(x), object)}


def embedded(columns: Any) -> Any:
    vectors = columns["v"]
    assert vectors.ndim == 2
    with np.errstate(all="ignore"):
        return {"total": vectors[:, 0] + vectors[:, 1]}


def of_one(x: float | None, n: int | None, s: str | None, t: Any, p: bool | None, v: Any) -> Any:
    assert t is None or (type(t) is dt.datetime and t.tzinfo is dt.UTC)
    assert v is None or type(v) is list
    assert [type(a) for a in (x, n, s, p) if a is not None] == [
        k for k, a in zip((float, int, str, bool), (x, n, s, p), strict=True) if a is not None
    ]
    if x is None or n is None:
        return {"y": None, "word": s, "when": t}
    return {"y": x * n, "word": f"{s}{p}", "when": None if t is None else t + dt.timedelta(days=1)}


def lone(x: float | None) -> float | None:
    return None if x is None else x * 2.0


def mapped(x: float | None) -> dict[str, float]:
    return {"y": 1.0}


def wrong_names(columns: Any) -> Any:
    return {"z": columns["x"]}


def no_mapping(columns: Any) -> Any:
    return columns["x"]


def too_short(columns: Any) -> Any:
    return {"y": columns["x"][:-1]}


def scalar(columns: Any) -> Any:
    return {"y": np.array(1.0)}


def of_text(columns: Any) -> Any:
    return {"y": np.array(["a"] * len(columns["x"]), object)}


def failing(columns: Any) -> Any:
    raise ZeroDivisionError("by zero")


def writing(columns: Any) -> Any:
    columns["x"][0] = 1.0
    return {"y": columns["x"]}


def row_of_two(x: float | None) -> Any:
    return {"y": x, "z": x}


def row_failing(x: float | None) -> Any:
    raise KeyError("x")


def row_of_text(x: float | None) -> str:
    return "a"


def joined(columns: Any) -> Any:
    """Text and lists: nulls are None, whatever else is null."""
    words = [None if s is None else f"{s}!" for s in columns["s"]]
    sizes = np.array([-1 if v is None else len(v) for v in columns["l"]], np.int64)
    return {"word": words, "size": sizes, "twice": np.asanyarray(columns["n"]) * 2}
