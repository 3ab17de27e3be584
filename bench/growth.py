"""Ten times the data: what a measurement costs, and how that grows.

``growth.….rows`` and ``growth.….events`` are times of the tenfold question over times of the plain
one; ``….memory`` is the same of peak resident memory, without the answer itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from bench import data
from bench.data import HOPS, WINDOWS, Shape
from bench.history import LIMITS, Case
from bench.materialize import Case as Load
from bench.result import Result
from bench.timing import child


def online(results: Iterable[Result]) -> Iterator[Result]:
    """100 and 1,000 rows of one read."""
    value = {r.name: r.value for r in results}
    for store in ("lmdb", "redis"):
        many, few = (value[f"online.{store}.{n}x50.dict"] for n in (1_000, 100))
        if many and few:
            yield _times(f"{store}", many, few, "1,000 over 100 rows of one read", "online")


def materialize(rows: int, runs: int) -> Iterator[Result]:
    """Both stores at full size, and a tenth of it."""
    for store in ("lmdb", "redis"):
        case = Load(store, rows).run(runs)
        yield case.result(f"materialize.{store}.1m")
        tenth = Load(store, rows // 10)
        tenth.run_ours(3)
        setup = f"{rows:,} over {rows // 10:,} entities"
        yield _times(store, case.seconds(), tenth.seconds(), setup, "materialize")
        yield Result(
            f"growth.materialize.{store}.rows.memory",
            case.peak() / tenth.peak(),
            "×",
            setup=f"peak resident memory, {setup}",
        )


def _times(what: str, many: float, few: float, setup: str, section: str) -> Result:
    return Result(f"growth.{section}.{what}.rows", many / few, "×", setup=f"time of {setup}")


def historical(events: int, rows: int, runs: int) -> Iterator[Result]:
    """Joins to the whole table with many rows, a tenth of them and few; and to a small table."""
    shape, small = Shape(rows=events), Shape(rows=events // 10)
    for service in ("latest", "windows"):
        many = Case(service, shape, rows, LIMITS[service]).run(runs)
        few = Case(service, shape, rows // 10, LIMITS[service]).run(runs)
        yield from many.results(f"historical.{service}.1m")
        yield from few.results(f"historical.{service}.100k")
        less = Case(service, small, rows // 10, ()).run(3)
        setup = f"{rows:,} over {rows // 10:,} rows"
        yield from _growth(f"growth.{service}.rows", many, few, setup)
        setup = f"{events:,} over {events // 10:,} events"
        yield from _growth(f"growth.{service}.events", few, less, setup)
        if service == "latest":
            asked = Case(service, shape, rows // 100, ("duckdb", "duckdb semi")).run(runs)
            yield from asked.results("historical.latest.10k")


def _growth(name: str, large: Case, plain: Case, setup: str) -> Iterator[Result]:
    yield Result(
        name, large.seconds("noskew") / plain.seconds("noskew"), "×", setup=f"time of {setup}"
    )
    yield Result(
        f"{name}.memory",
        large.working() / plain.working(),
        "×",
        setup=f"peak resident memory without the answer, {setup}",
    )


def hundred_million() -> Iterator[Result]:
    """100 M events × 1 M rows, once: time, and the memory that it takes."""
    shape = Shape(rows=100_000_000, entities=1_000_000, buckets=64)
    task = {
        "service": "latest",
        "system": "noskew",
        "shape": asdict(shape),
        "run": 1,
        "rows": str(data.rows_file(1_000_000, entities=shape.entities)),
        "windows": {n: (width, HOPS[n]) for n, width in WINDOWS.items()},
    }
    data.stored_files(shape)
    ours = child("bench.history_ours", task)
    setup = f"1 M rows × 100 M events of 1 M entities in {shape.buckets} buckets, once"
    yield Result("historical.latest.100m", ours["seconds"], "s", setup=setup)
    yield Result(
        "historical.latest.100m.memory",
        ours["peak"],
        "bytes",
        setup=f"peak resident memory; {setup}",
    )
