"""What ten on-demand functions add to a read of 1 and 1,000 rows from LMDB.

Each function reads two stored features and a field of the request. The value is the time of the
read with the functions less that of the same read without. The limit is NumPy alone: the same ten
formulas, written by hand, on arrays that are there already; for functions of a row, the bare calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import noskew as ns
from bench import data
from bench.data import ENTITIES, KEY, Shape
from bench.online import FEATURES, batches
from bench.result import Result
from bench.timing import Call, median, spread, take_turns
from noskew.clock import SystemClock
from noskew.definitions.on_demand import OnDemand
from noskew.reading.reader import OnlineReader

SHAPE = Shape(rows=ENTITIES, features=FEATURES)
ASKED = "asked"
_COUNT = 10
_SIZES = {"sql": (1, 1_000), "numpy": (1, 1_000), "per_row": (1, 1_000)}


def over_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The formulas over arrays, in the order of the inputs."""
    a, b, asked = columns.values()
    return {"left": asked - a, "share": np.where(b > 0.5, a / (a + b), 0.0)}


def over_one(**row: float) -> dict[str, float]:
    """The same over the values of one row."""
    a, b, asked = row.values()
    return {"left": asked - a, "share": a / (a + b) if b > 0.5 else 0.0}


def _functions(kind: str) -> list[OnDemand]:
    return [_function(kind, i) for i in range(_COUNT)]


def _function(kind: str, i: int) -> OnDemand:
    a, b = f"f{2 * i}", f"f{2 * i + 1}"
    functions: dict[str, Callable[[], Any]] = {
        "sql": lambda: ns.expressions(
            {
                "left": f"{ASKED} - {a}",
                "share": f"CASE WHEN {b} > 0.5 THEN {a} / ({a} + {b}) ELSE 0 END",
            }
        ),
        "numpy": lambda: over_columns,
        "per_row": lambda: ns.per_row(over_one),
    }
    return OnDemand(
        f"function_{i}",
        functions[kind](),
        inputs=[SHAPE.latest[a, b]],
        request={ASKED: float},
        outputs={"left": float, "share": float},
    )


def run(runs: int, seconds: float) -> Iterator[Result]:
    """Measure each kind of function, and the read without any, in turns."""
    with SHAPE.open(online=f"lmdb:///{data.fresh('on-demand')}") as store:
        store.materialize(full=True)
        readers = {
            kind: OnlineReader(
                ns.FeatureService("with", [SHAPE.latest, *_functions(kind)], full_names=True),
                store.online,
                SystemClock(),
                tenant=store.tenant,
            )
            for kind in _SIZES
        }
        without = OnlineReader(
            ns.FeatureService("without", [SHAPE.latest], full_names=True),
            store.online,
            SystemClock(),
            tenant=store.tenant,
        )
        for kind, reader in readers.items():
            for size in _SIZES[kind]:
                yield _measure(kind, size, reader, without, runs=runs, seconds=seconds)


def _measure(
    kind: str, size: int, reader: OnlineReader, without: OnlineReader, *, runs: int, seconds: float
) -> Result:
    asked = [float(i % 90) for i in range(size)]
    sides: dict[str, Call] = {
        "noskew": lambda ids: reader.get({KEY: ids, ASKED: asked}).to_dict(),
        "without": lambda ids: without.get({KEY: ids}).to_dict(),
        "limit": _bare(kind, asked),
    }
    _check(reader, asked)
    took = take_turns(sides, batches(size), runs=runs, seconds=seconds)
    mid = {side: median(times) for side, times in took.items()}
    return Result(
        f"on_demand.{kind}.{size}x{_COUNT}",
        mid["noskew"] - mid["without"],
        "s",
        mid["limit"],
        f"{_COUNT} functions of 2 stored features and 1 request field, 2 outputs each, added to a "
        f"read of {size} rows of {FEATURES} float64 to dict; {runs} runs of {seconds} s",
        {"the read without": mid["without"]},
        {side: spread(times) for side, times in took.items()},
    )


def _bare(kind: str, asked: list[float]) -> Call:
    rng = np.random.default_rng(3)
    columns = {"a": rng.random(len(asked)), "b": rng.random(len(asked)), ASKED: np.array(asked)}
    if kind != "per_row":
        return lambda _: [over_columns(columns) for _ in range(_COUNT)]
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*[c.tolist() for c in columns.values()], strict=True)
    ]
    return lambda _: [[over_one(**row) for row in rows] for _ in range(_COUNT)]


def _check(reader: OnlineReader, asked: list[float]) -> None:
    """Raise unless the read gives what the formulas give."""
    ids = list(range(len(asked)))
    answer = reader.get({KEY: ids, ASKED: asked}).to_dict()
    for i in range(_COUNT):
        stored = [np.array(answer[f"newest__f{2 * i + k}"]) for k in (0, 1)]
        wanted = over_columns({"a": stored[0], "b": stored[1], ASKED: np.array(asked)})
        for name, values in wanted.items():
            assert answer[f"function_{i}__{name}"] == values.tolist()
