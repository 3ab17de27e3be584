"""``python -m bench [names…] [--quick] [--peers] [--long] [--record]``: measure, print, write."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import result
from bench.result import Result
from bench.targets import TARGETS

HERE = Path(__file__).resolve().parent
SECTIONS = (
    "import", "bytes_per_feature", "online", "on_demand", "http", "audit", "transform", "certify",
    "materialize", "stream", "historical", "spark",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much is measured; ``quick`` is a tenth of the data, for a look while working."""

    events: int
    rows: int
    loads: int
    runs: int
    seconds: float


FULL = Size(events=10_000_000, rows=1_000_000, loads=1_000_000, runs=5, seconds=0.3)
QUICK = Size(events=1_000_000, rows=100_000, loads=100_000, runs=3, seconds=0.15)


def main() -> None:
    args = _arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    size = QUICK if args.quick else FULL
    start = time.perf_counter()
    results: list[Result] = []
    failed = False
    for section in SECTIONS:
        if args.names and not any(n.startswith(section) for n in args.names):
            continue
        try:
            for found in _run(section, size):
                results.append(found)
                _say(start, found)
        except Exception as error:  # noqa: BLE001 - the other sections are worth having
            failed = True
            traceback.print_exc()
            results.append(Result(section, None, "", skipped=f"failed: {error!s:.200}"))
    if args.long:
        results += _long(start, args.names)
    # Only a whole run at full size is the record, or a section of it that was measured again.
    kind = "quick" if args.quick else "partial" if args.names else "latest"
    path = HERE / "results" / f"{kind}.json"
    result.write(path, results, TARGETS)
    if args.record and not failed:
        path = HERE / "results" / "latest.json"
        sections = tuple(s for s in SECTIONS if any(n.startswith(s) for n in args.names))
        result.merge(path, results, TARGETS, sections)
    if args.peers:
        _add_peers(results, size, args.quick)
        result.write(path, results, TARGETS)
    result.show(results, TARGETS)
    spent = time.perf_counter() - start
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}; {spent:.0f} s; written to {path}")  # fmt: skip

    if failed:
        raise SystemExit("a section failed")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"sections: {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, fewer runs")
    parser.add_argument("--peers", action="store_true", help="Feast beside noskew")
    parser.add_argument(
        "--long",
        action="store_true",
        help="100 M events, and a stream of 10 minutes: 20 minutes more",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="put the sections named into the record of the last whole run",
    )
    args = parser.parse_args()
    if args.record and (args.quick or args.peers or not args.names):
        parser.error("--record is for sections by name, at full size and without peers")
    for name in args.names:
        if not name.startswith(SECTIONS):
            parser.error(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    return args


def _say(start: float, found: Result) -> None:
    value = found.skipped or result.shown(found.value, found.unit)
    limit = "" if found.ratio is None else f"  ({found.ratio:.2f}× its limit)"
    print(f"{time.perf_counter() - start:5.0f} s  {found.name}: {value}{limit}", flush=True)


def _run(section: str, size: Size) -> Iterator[Result]:
    # Imported when they are needed: what `historical` measures must not meet a large parent.
    if section == "import":
        from bench import startup

        yield from startup.run(size.runs)
    elif section == "bytes_per_feature":
        from bench import redis_memory

        yield from redis_memory.run()
    elif section == "online":
        from bench import growth, online

        found = []
        for line in online.run(["lmdb", "redis"], runs=size.runs, seconds=size.seconds):
            found.append(line)
            yield line
        yield from growth.online(found)
    elif section == "on_demand":
        from bench import on_demand

        yield from on_demand.run(runs=size.runs, seconds=size.seconds)
    elif section == "http":
        from bench import http

        yield from http.run(runs=size.runs, seconds=10 * size.seconds)
    elif section == "transform":
        from bench import transforms

        yield from transforms.run_select(size.events, size.runs)
    elif section == "certify":
        from bench import transforms

        yield from transforms.run_certificate(size.events, size.runs)
    elif section == "audit":
        from bench import audit

        yield from audit.run(runs=size.runs, seconds=20 * size.seconds)
    elif section == "spark":
        from bench import spark

        yield from spark.run(size.events, size.rows, size.runs)
    elif section == "stream":
        from bench import live, stream, stream_kafka

        yield from stream.run(size.events // 10, size.runs)
        yield from stream_kafka.run(size.events // 10, size.runs)
        yield from live.run(100 * size.seconds)
    elif section == "materialize":
        from bench import growth

        yield from growth.materialize(size.loads, size.runs)
    else:
        from bench import growth

        yield from growth.historical(size.events, size.rows, size.runs)


def _long(start: float, names: list[str]) -> list[Result]:
    from bench import growth, live

    found = []
    for section, part in (("historical", growth.hundred_million), ("stream", live.soak)):
        if names and not any(n.startswith(section) for n in names):
            continue
        for line in part():
            found.append(line)
            _say(start, line)
    return found


def _add_peers(results: list[Result], size: Size, quick: bool) -> None:
    from bench.peers import driver

    if not driver.available():
        raise SystemExit("Feast is not installed in .venv-feast; run: make bench-peers")
    by_name = {r.name: r for r in results}
    driver.fill(by_name, quick=quick, events=size.events, rows=size.rows, loads=size.loads)


if __name__ == "__main__":
    main()
