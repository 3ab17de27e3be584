"""Streams under seeded faults: ``python -m tests.simulation SEED --trace`` repeats one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests import chaos
from tests.simulation.run import play

#: How many seeds; ``make chaos`` asks for more.
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))
_CHUNKS = 5
#: From so many seeds on, each kind of fault must have shown in a chunk.
_ENOUGH = 200
#: What a fault leaves behind when it was one: something was lost, refused, repeated or undone.
_TRACES = (
    "crashes",
    "processes that failed",
    "kills between calls",
    "commits refused",
    "archives overtaken",
    "archive steps that failed",
    "calls done in part",
    "steps in the middle of another's call",
    "messages read again",
    "append clocks set back",
    "roll-backs that removed rows",
    "stores emptied of rows",
    "outages",
    "partitions taken over",
    "partitions given up",
    "pauses",
    "views added",
    "rebuilds",
    "processes ended by a rebuild",
    "logs replaced",
    "offsets lost",
    "machines lost",
    "messages no longer retained",
    "runs merged",
)
#: What was compared, and what had to be done for it.
_WORK = ("rows verified", "rows verified meanwhile", "rows published again", "events archived")


@pytest.mark.chaos
@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_every_row_is_the_fold_of_its_log_whatever_happens(chunk: int) -> None:
    found: Counter[str] = Counter()
    seeds = range(SEEDS * chunk // _CHUNKS, SEEDS * (chunk + 1) // _CHUNKS)
    for seed in seeds:
        found.update(play(seed).trace)
    compared = found["rows verified"] + found["rows verified meanwhile"]
    chaos.note(
        "seeded simulation",
        faults=found["faults"],
        traces=sum(found[t] for t in _TRACES),
        compared=compared,
    )
    if len(seeds) >= _ENOUGH:
        assert not [what for what in (*_TRACES, *_WORK) if not found[what]]


@pytest.mark.chaos
def test_every_row_is_the_fold_of_its_log_where_the_store_loses_nothing() -> None:
    """Published without frontier keys."""
    found: Counter[str] = Counter()
    seeds = range(SEEDS // _CHUNKS)
    for seed in seeds:
        found.update(play(seed, is_lasting=True).trace)
    assert not found["roll-backs"] + found["stores emptied of rows"]
    compared = found["rows verified"] + found["rows verified meanwhile"]
    chaos.note(
        "seeded simulation, a store that loses nothing",
        faults=found["faults"],
        traces=sum(found[t] for t in _TRACES),
        compared=compared,
    )
    if len(seeds) >= _ENOUGH:
        assert not [what for what in _WORK if not found[what]]


def test_a_seed_repeats_a_run_exactly() -> None:
    """Here, after other runs, and in another process, whatever the order of its sets is."""
    seeds = ["11", "4", "17"]
    here = [f"{seed} {play(int(seed), digest=True).digest}" for seed in seeds]
    assert len(set(here)) == len(seeds)
    assert here == [f"{seed} {play(int(seed), digest=True).digest}" for seed in seeds]
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *reversed(seeds)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n") == [*reversed(here), ""]
