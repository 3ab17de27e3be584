"""The ways in which a transform meets its rows: all at once, in small batches, alone, shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import pyarrow as pa

from noskew.certification.outcomes import Outcomes, PathRun, run_in_batches
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.view import FeatureView
from noskew.kernel import on_demand
from noskew.kernel.arrays import Index
from noskew.kernel.transforms.pipeline import Pipeline, Transformed

#: Rows that are given one at a time; each costs a call of the engine.
SINGLES = 192
_FAILED = 8
_LARGEST = 64


@dataclass(frozen=True)
class Way:
    """A path: its name, the batches (numbers of rows), and the rows that it is given."""

    name: str
    batches: Sequence[Index]

    @property
    def rows(self) -> Index:
        """int64, ascending: the rows that it is given."""
        return np.sort(np.concatenate([np.zeros(0, np.int64), *self.batches]))


BULK = "all rows at once"


def ways(good: Index, failed: Index, singles: int = SINGLES) -> Iterator[Way]:
    """The paths other than bulk.

    ``good``: numbers of the rows that go well. ``failed``: of those on which the transform
    fails; they would fail a batch again and again, so they are tried alone, and only some.
    ``singles``: how many good rows to give one at a time.
    """
    chance = Random(len(good))
    shuffled = good[np.array(chance.sample(range(len(good)), len(good)), np.int64)]
    # The rows made up come last, and are wanted most.
    step = max(1, -(-len(good) // singles))
    alone = good[::-1][::step][::-1]
    yield Way("repeated", [good])
    yield Way("small batches", _cut(good, chance))
    yield Way("one row at a time", [np.array([r]) for r in [*alone, *failed[:_FAILED]]])
    yield Way("shuffled", [shuffled])
    yield Way("shuffled, in small batches", _cut(shuffled, chance))


def _cut(rows: Index, chance: Random) -> list[Index]:
    cuts = [0]
    while cuts[-1] < len(rows):
        cuts.append(min(len(rows), cuts[-1] + chance.randint(1, _LARGEST)))
    return [rows[a:b] for a, b in pairwise(cuts)]


def runner_of(item: FeatureView | OnDemand, known_time: int) -> PathRun:
    """How a batch of rows becomes events, or a function's outputs.

    ``known_time``: where a row has no created time, µs.
    """
    if isinstance(item, FeatureView):
        pipeline = Pipeline(item)
        return lambda rows, _: pipeline(rows, known_time=known_time, buckets=1)

    def outputs(rows: pa.Table, _: Index) -> Transformed:
        given = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        return Transformed(
            pa.table(on_demand.call_function(item, given, len(rows))), np.arange(len(rows))
        )

    return outputs


def bulk(run: PathRun, rows: pa.Table) -> Outcomes:
    """What becomes of all rows at once: what the other paths are held against."""
    return run_in_batches(run, rows, [np.arange(len(rows))])
