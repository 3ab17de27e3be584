"""var and stddev: the sample variance, exact, rounded once; below two rows null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.aggregates.additive import Count, Squares, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.aggregates.exact_state import Additive
from noskew.kernel.aggregates.sum import special_values
from noskew.kernel.exact.rounding import round_variance
from noskew.kernel.jit import kernel


@dataclass(frozen=True)
class VarianceOf(Aggregate):
    """``root=True`` makes it the standard deviation: the square root of the rounded variance."""

    column: str
    where: str | None
    root: bool

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        parts = (self.column, self.where)
        return (Count(*parts), Sum(*parts), Squares(*parts))

    def finalise(self, counts: Additive, sums: Additive, squares: Additive) -> pa.Array:
        n = count_values(counts)
        variances = _variances(sums.limbs, sums.first, squares.limbs, squares.first, n)
        if sums.specials is not None:
            variances[special_values(sums.specials) != 0.0] = np.nan  # NaN, too, is unequal to 0.0
        return nullable(np.sqrt(variances) if self.root else variances, n > 1)


@kernel
def _variances(
    sums: NDArray[np.int64],
    first: int,
    squares: NDArray[np.int64],
    squares_first: int,
    counts: NDArray[np.int64],
) -> NDArray[np.float64]:
    out = np.zeros(len(sums), np.float64)
    for i in range(len(sums)):
        if counts[i] >= 2:
            out[i] = round_variance(sums[i], first, squares[i], squares_first, counts[i])
    return out
