"""Plays seeds of the simulation: ``python -m tests.simulation SEED --trace`` shows the steps."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.simulation.run import play


def main(arguments: list[str]) -> None:
    """Play the seeds named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--trace", action="store_true", help="show the steps as they are done")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if not options.trace:  # faults are what a simulation is made of
        logging.getLogger("noskew").setLevel(logging.CRITICAL)
    for seed in options.seeds:
        outcome = play(seed, digest=True, told=logging.info if options.trace else _silent)
        for what, count in sorted(outcome.trace.items()) if options.trace else ():
            logging.info("%8d  %s", count, what)
        logging.info("%d %s", seed, outcome.digest)


def _silent(line: str) -> None:
    del line


if __name__ == "__main__":
    main(sys.argv[1:])
