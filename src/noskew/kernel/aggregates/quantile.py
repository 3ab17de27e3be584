"""quantile: a DDSketch whose buckets are 64 equal parts of each power of two. No rows: null.

The bucket of a number is its sign and the leading 17 bits of its magnitude (11 of exponent,
6 of fraction), so the mapping is a shift: no logarithm, the same on every machine. A bucket
``[lo, hi)`` is at most 1/64 wide relative to ``lo``; its value ``2·lo·hi/(lo+hi)`` is within
1/128 (0.79 %) of every normal number in it. Merging adds counts and never collapses buckets.

Source: Masson, Rim, Lee, "DDSketch" (VLDB 2019), with the linearly interpolated mapping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.value_counts import (
    UNBOUNDED,
    CountedValues,
    lift_value_counts,
    unpack_value_counts,
)
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.jit import kernel
from noskew.kernel.keys import integers
from noskew.kernel.values import Domain

_SHIFT = 46
_INFINITE = 0x7FF0_0000_0000_0000 >> _SHIFT


@dataclass(frozen=True)
class Buckets(Accumulator):
    """How many values fall into each bucket; NaN falls into none."""

    column: str
    where: str | None

    def lift(self, events: Events) -> CountedValues:
        column = events.column(self.column)
        mask = events.mask(self.column, self.where)
        if pa.types.is_floating(column.type):
            numbers = values.floats(column)
            mask = mask & ~np.isnan(numbers)
        else:
            numbers = integers(column).astype(np.float64)
        return lift_value_counts(buckets_of(numbers), mask, Domain(pa.int64()), UNBOUNDED)

    def unpack(self, reader: Reader) -> CountedValues:
        return unpack_value_counts(reader, pa.int64(), UNBOUNDED)


@dataclass(frozen=True)
class QuantileOf(Aggregate):
    """quantile(column, q)."""

    column: str
    where: str | None
    q: float

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Buckets(self.column, self.where),)

    def finalise(self, counted: CountedValues) -> pa.Array:
        return nullable(*_ranked(counted.offsets, counted.codes, counted.counts, self.q))


def buckets_of(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Signed bucket numbers, in the order of the values. Zeros and the least subnormals: 0."""
    magnitude = np.abs(numbers).view(np.int64) >> _SHIFT
    return np.where(numbers < 0, -magnitude, magnitude)


@kernel
def _ranked(
    offsets: Index, codes: NDArray[np.int64], counts: NDArray[np.int64], q: float
) -> tuple[NDArray[np.float64], Mask]:
    n = len(offsets) - 1
    out, some = np.zeros(n, np.float64), np.zeros(n, np.bool_)
    edge = np.zeros(2, np.int64)
    for i in range(n):
        total = counts[offsets[i] : offsets[i + 1]].sum()
        if total == 0:
            continue
        rank = np.int64(np.floor(q * np.float64(total - 1)))
        k = offsets[i]
        while rank >= counts[k]:
            rank -= counts[k]
            k += 1
        bucket = abs(codes[k])
        edge[0], edge[1] = bucket << _SHIFT, (bucket + 1) << _SHIFT
        bounds = edge.view(np.float64)
        if bucket == 0:
            value = 0.0
        elif bucket >= _INFINITE or np.isinf(bounds[1]):
            value = bounds[0]
        else:
            # 2·lo·hi/(lo+hi), in an order that cannot overflow; halving is exact.
            half = 0.5 * bounds[1]
            value = 2.0 * (bounds[0] * (half / (0.5 * bounds[0] + half)))
        out[i], some[i] = (-value if codes[k] < 0 else value), True
    return out, some
