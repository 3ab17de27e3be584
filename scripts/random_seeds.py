"""Run the property tests with random seeds, and say which of them failed.

``make test`` looks at the same examples each time, so what it says is about the change alone;
this looks for what those examples miss. A seed with the same tests gives the same examples.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Sequence

from tests.hypothesis_profiles import VARIABLE


def run(seed: int, options: Sequence[str]) -> bool:
    """Run the property tests with one seed; whether they passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "-p", "no:randomly"]
    command += [f"--hypothesis-seed={seed}", *options]
    environment = os.environ | {VARIABLE: "random"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def main() -> int:
    """Run each seed, and name those that failed; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, drawn at random")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    given = parser.parse_args()
    seeds = [secrets.randbelow(2**32) for _ in range(given.seeds)]
    if given.seed is not None:
        seeds = [given.seed]
    failed = []
    for number, seed in enumerate(seeds, 1):
        print(f"seed {seed} ({number} of {len(seeds)})", flush=True)
        if not run(seed, given.options):
            failed.append(seed)
    for seed in failed:
        args = shlex.join(given.options)
        print(f"seed {seed} failed; again: python -m scripts.random_seeds --seed {seed} -- {args}")
    print(f"{len(seeds) - len(failed)} of {len(seeds)} seeds passed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
