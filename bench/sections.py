"""The sections of the benchmark: what ``python -m bench`` measures, in this order.

Each is imported when it is run: what ``historical`` measures must not meet a large parent.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.result import Result


@dataclass(frozen=True)
class Size:
    """How much is measured; ``QUICK`` is a tenth of the data, for a look while working."""

    events: int
    rows: int
    loads: int
    runs: int
    seconds: float


FULL = Size(events=10_000_000, rows=1_000_000, loads=1_000_000, runs=5, seconds=0.3)
QUICK = Size(events=1_000_000, rows=100_000, loads=100_000, runs=3, seconds=0.15)

Section = Callable[[Size], Iterable[Result]]


def _import(size: Size) -> Iterator[Result]:
    from bench import startup

    yield from startup.run(size.runs)


def _bytes_per_feature(size: Size) -> Iterator[Result]:
    from bench import redis_memory

    yield from redis_memory.run()


def _online(size: Size) -> Iterator[Result]:
    from bench import growth, online

    results = []
    for result in online.run(["lmdb", "redis"], runs=size.runs, seconds=size.seconds):
        results.append(result)
        yield result
    yield from growth.online(results)


def _on_demand(size: Size) -> Iterator[Result]:
    from bench import on_demand

    yield from on_demand.run(runs=size.runs, seconds=size.seconds)


def _http(size: Size) -> Iterator[Result]:
    from bench import http

    yield from http.run(runs=size.runs, seconds=10 * size.seconds)


def _audit(size: Size) -> Iterator[Result]:
    from bench import audit

    yield from audit.run(runs=size.runs, seconds=20 * size.seconds)


def _transform(size: Size) -> Iterator[Result]:
    from bench import transforms

    yield from transforms.run_select(size.events, size.runs)


def _certify(size: Size) -> Iterator[Result]:
    from bench import transforms

    yield from transforms.run_certificate(size.events, size.runs)


def _materialize(size: Size) -> Iterator[Result]:
    from bench import growth

    yield from growth.materialize(size.loads, size.runs)


def _ingest(size: Size) -> Iterator[Result]:
    from bench import ingest

    yield from ingest.run(size.events, max(1, size.runs // 2))


def _stream(size: Size) -> Iterator[Result]:
    from bench import live, stream, stream_kafka

    yield from stream.run(size.events // 10, size.runs)
    yield from stream_kafka.run(size.events // 10, size.runs)
    yield from live.run(100 * size.seconds)


def _historical(size: Size) -> Iterator[Result]:
    from bench import growth

    yield from growth.historical(size.events, size.rows, size.runs)


def _size(size: Size) -> Iterator[Result]:
    from bench import size as mission

    yield from mission.run(runs=size.runs, tenth=size is QUICK)


def _spark(size: Size) -> Iterator[Result]:
    from bench import spark

    yield from spark.run(size.events, size.rows, size.runs)


SECTIONS: Mapping[str, Section] = {
    "import": _import,
    "bytes_per_feature": _bytes_per_feature,
    "online": _online,
    "on_demand": _on_demand,
    "http": _http,
    "audit": _audit,
    "transform": _transform,
    "certify": _certify,
    "materialize": _materialize,
    "ingest": _ingest,
    "stream": _stream,
    "historical": _historical,
    "size": _size,
    "spark": _spark,
}


def _hundred_million(size: Size) -> Iterator[Result]:
    from bench import growth

    yield from growth.hundred_million()


def _soak(size: Size) -> Iterator[Result]:
    from bench import live

    yield from live.soak()


#: What ``--long`` adds to a section.
LONG: Mapping[str, Section] = {"historical": _hundred_million, "stream": _soak}


def measure(sections: Mapping[str, Section], size: Size) -> Iterator[Result]:
    """The results of sections, one by one as they come.

    One that fails gives what it has, and a skipped result that says why; the others go on.
    """
    for name, run in sections.items():
        try:
            yield from run(size)
        except Exception as error:  # noqa: BLE001 - the other sections are worth having
            traceback.print_exc()
            yield Result(name, None, "", skipped=f"failed: {error!s:.200}")


def named(sections: Mapping[str, Section], names: Iterable[str]) -> dict[str, Section]:
    """Those of some sections that names mean (a section's, or a figure's in it); all if none."""
    wanted = list(names)
    return {s: run for s, run in sections.items() if not wanted or any(map(_of(s), wanted))}


def _of(section: str) -> Callable[[str], bool]:
    return lambda name: name == section or name.startswith(f"{section}.")
