"""Streams under seeded faults: ``python -m tests.simulation SEED --trace`` repeats one."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests import chaos
from tests.simulation.run import play

#: How many seeds; ``make chaos`` asks for more.
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "100"))
_CHUNK = 25


@pytest.mark.chaos
@pytest.mark.parametrize("first", range(0, SEEDS, _CHUNK))
def test_every_row_is_the_fold_of_its_log_whatever_happens(first: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(first, min(first + _CHUNK, SEEDS)):
        found.update(play(seed).trace)
    faults = sum(count for what, count in found.items() if "compared" not in what)
    chaos.note("seeded simulation", faults=_CHUNK, traces=_CHUNK * (faults > 0),
               compared=found["rows verified"])  # fmt: skip
    assert found["rows verified"] > 0
