"""``python -m bench [names…] [--quick] [--peers] [--long] [--record]``: measure, print, write."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import figure, machine, peers, record, result
from bench.record import Run
from bench.result import Result
from bench.sections import FULL, LONG, QUICK, SECTIONS, Size, measure, named
from bench.targets import TARGETS


def main() -> None:
    args = _arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    size = QUICK if args.quick else FULL
    start = time.perf_counter()
    run = Run(time.strftime("%Y-%m-%dT%H-%M", time.gmtime()), machine.describe(), [])
    chosen = [named(SECTIONS, args.names), named(LONG, args.names) if args.long else {}]
    for sections in chosen:
        for line in measure(sections, size):
            run.results.append(line)
            _say(start, line)
    skipped = unmeasured(run.results)
    path = _write(run, args, complete=not skipped)
    if args.peers:
        _add_peers(run.results, size, args.quick)
        _write(run, args, complete=not skipped)
    result.show(run.results, TARGETS)
    spent = time.perf_counter() - start
    described = ", ".join(f"{key} {value}" for key, value in run.machine.items())
    print(f"{described}; {spent:.0f} s; written to {path}")
    missed = [name for name, line in figure.of_runs(record.runs()).items() if line.met() is False]
    print(f"on record, by the median: {len(missed)} targets missed: {', '.join(missed)}")
    if skipped:
        raise SystemExit(f"not measured: {'; '.join(skipped)}")


def unmeasured(results: Iterable[Result]) -> list[str]:
    """What has no value, and why."""
    return [f"{r.name} ({r.skipped})" for r in results if r.skipped]


def _write(run: Run, args: argparse.Namespace, *, complete: bool) -> Path:
    """Only a complete run at full size is for the record, or sections that are to be."""
    if complete and not args.quick and not args.names:
        return record.keep(run)
    if complete and args.record:
        return record.keep_again(run)
    name = "quick" if args.quick else "partial" if args.names else "incomplete"
    path = record.FOLDER / f"{name}.json"
    result.write_json(path, run.to_dict())
    return path


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
        help="one more measurement of the sections named, kept with the last whole run",
    )
    args = parser.parse_args()
    if args.record and (args.quick or args.peers or not args.names):
        parser.error("--record is for sections by name, at full size and without peers")
    if args.peers and not peers.available():
        parser.error("Feast is not installed in .venv-feast; run: make bench-peers")
    for name in args.names:
        if not named(SECTIONS, [name]):
            parser.error(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    return args


def _say(start: float, line: Result) -> None:
    value = line.skipped or result.shown(line.value, line.unit)
    limit = "" if line.ratio is None else f"  ({line.ratio:.2f}× its limit)"
    print(f"{time.perf_counter() - start:5.0f} s  {line.name}: {value}{limit}", flush=True)


def _add_peers(results: Sequence[Result], size: Size, quick: bool) -> None:
    from bench.peers import driver

    by_name = {r.name: r for r in results}
    driver.fill(by_name, quick=quick, events=size.events, rows=size.rows, loads=size.loads)


if __name__ == "__main__":
    main()
