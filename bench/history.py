"""Point-in-time joins: noskew, and by hand in DuckDB and Polars on the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather

from bench import data
from bench.data import HOPS, WINDOWS, Shape
from bench.result import Result
from bench.timing import child, median, spread

OURS = "noskew"
Runs = dict[str, list[dict[str, Any]]]


class Case:
    """One question to one table, asked of several systems in turn."""

    def __init__(self, service: str, shape: Shape, rows: int, limits: Sequence[str]) -> None:
        self.service, self.shape, self.rows, self.limits = service, shape, rows, limits
        self.runs: Runs = {}

    def run(self, times: int) -> Case:
        """Ask everybody ``times`` times, and compare their answers."""
        folder = data.fresh("answers")
        folder.mkdir(parents=True)
        task = {
            "service": self.service,
            "shape": asdict(self.shape),
            "files": data.stored_files(self.shape),
            "features": data.names(self.shape.features),
            "windows": {n: (width, HOPS[n]) for n, width in WINDOWS.items()},
            "rows": str(data.rows_file(self.rows)),
        }
        for run in range(times):
            for system in (OURS, *self.limits):
                module = "bench.history_ours" if system == OURS else "bench.history_limits"
                own = {"system": system, "run": run, "answer": str(folder / f"{system}.feather")}
                self.runs.setdefault(system, []).append(child(module, task | own))
        for system in self.limits:
            check_equal(folder / f"{OURS}.feather", folder / f"{system}.feather")
        (folder / f"{OURS}.feather").rename(answer_file(self.service, self.shape.rows, self.rows))
        return self

    def seconds(self, system: str) -> float:
        return median([r["seconds"] for r in self.runs[system]])

    def peak(self, system: str) -> float:
        return median([r["peak"] for r in self.runs[system]])

    def working(self) -> float:
        """Our peak memory without the answer itself."""
        return median([r["peak"] - r["answer"] for r in self.runs[OURS]])

    @property
    def best(self) -> str:
        """The fastest of the limits."""
        return min(self.limits, key=self.seconds)

    def results(self, name: str) -> Iterable[Result]:
        """The line of time, and the line of memory."""
        noise = {s: spread([r["seconds"] for r in self.runs[s]]) for s in (OURS, self.best)}
        setup = (
            f"{self.rows:,} rows × {self.shape.rows:,} events of {self.shape.entities:,} entities "
            f"in {self.shape.buckets} buckets; limit: {self.best}, the best of "
            f"{', '.join(self.limits)}; {len(self.runs[OURS])} runs"
        )
        times = {s: self.seconds(s) for s in self.limits}
        peaks = {s: self.peak(s) for s in self.limits}
        yield Result(name, self.seconds(OURS), "s", times[self.best], setup, times, noise)
        yield Result(
            f"{name}.memory",
            self.peak(OURS),
            "bytes",
            peaks[self.best],
            f"peak resident memory of the process; {setup}",
            peaks,
        )


def answer_file(service: str, events: int, rows: int) -> Path:
    """Where noskew's answer of the last run is kept, to compare others with."""
    return data.workdir() / f"answer-{service}-{events}-{rows}.feather"


def check_equal(ours: Path, theirs: Path) -> None:
    """Raise unless two answers are the same: nulls, integers and maxima exactly.

    A mean may differ in the last bits: noskew rounds the exact one once.
    """
    left, right = feather.read_table(ours), feather.read_table(theirs)
    assert left.num_columns == right.num_columns, (left.column_names, right.column_names)
    # The table of a windowed view is ordered by aggregate, the one by hand by window.
    order = sorted(left.column_names, key=_window_first)
    for a, b in zip(order, right.column_names, strict=True):
        x, y = left.column(a).combine_chunks(), right.column(b).combine_chunks()
        assert x.null_count == y.null_count, (a, x.null_count, b, y.null_count)
        x, y = _plain(x), _plain(y)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        if b.startswith("avg"):
            same |= np.isclose(x, y, rtol=1e-12, atol=0.0)
        assert same.all(), f"{a} and {b} differ in {(~same).sum()} of {len(x)} rows"


def _window_first(name: str) -> tuple[int, int]:
    windows, functions = list(WINDOWS), ("count", "f0_mean", "mean", "f0_max", "max")
    parts = name.split("_")
    if parts[-1] not in windows:
        return (-1, 0)  # the number of the row, or a plain column: the order is kept
    function = next(i for i, f in enumerate(functions) if "_".join(parts[:-1]).endswith(f))
    return (windows.index(parts[-1]), function)


def _plain(column: pa.Array) -> np.ndarray[Any, np.dtype[Any]]:
    filled = column.fill_null(0) if column.null_count else column
    values: np.ndarray[Any, np.dtype[Any]] = filled.to_numpy(zero_copy_only=False)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(valid, values, np.nan) if column.null_count else values


LIMITS: Mapping[str, Sequence[str]] = {
    "latest": ("duckdb", "polars"),
    # "duckdb framed" is ten times slower; see bench/history_limits.py.
    "windows": ("duckdb joined",),
}
