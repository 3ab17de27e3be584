"""count: how many events, or how many non-null values. No rows: 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.aggregates.additive import Count
from noskew.kernel.aggregates.base import Accumulator, Aggregate
from noskew.kernel.aggregates.exact_state import Additive


@dataclass(frozen=True)
class CountOf(Aggregate):
    """count(column), or count() without one."""

    column: str | None
    where: str | None

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Count(self.column, self.where),)

    def finalise(self, counts: Additive) -> pa.Array:
        return pa.array(count_values(counts))


def count_values(counts: Additive) -> NDArray[np.int64]:
    """The counts themselves: int64, shape (n,)."""
    limbs, first = counts.limbs, counts.first
    if first == 0 and limbs.shape[1] == 1:
        return limbs[:, 0]
    total = np.zeros(len(counts), np.int64)
    for j in range(limbs.shape[1]):
        if 0 <= first + j <= 1:  # a count fits the first two limbs
            total += limbs[:, j] << (32 * (first + j))
    return total
