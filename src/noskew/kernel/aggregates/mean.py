"""mean: the exact quotient, rounded once to float64. No rows: null."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from noskew.kernel.aggregates.additive import Count, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.aggregates.exact_state import Additive
from noskew.kernel.aggregates.sum import quotients


@dataclass(frozen=True)
class MeanOf(Aggregate):
    """mean(column)."""

    column: str
    where: str | None

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Count(self.column, self.where), Sum(self.column, self.where))

    def finalise(self, counts: Additive, sums: Additive) -> pa.Array:
        n = count_values(counts)
        return nullable(quotients(sums, n), n > 0)
