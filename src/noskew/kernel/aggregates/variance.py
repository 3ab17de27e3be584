"""var and stddev: the sample variance, exact, rounded once; below two rows null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.aggregates.additive import Additive, Count, Squares, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.aggregates.sum import special
from noskew.kernel.exact import round_variance
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
        limbs = np.ascontiguousarray(squares.limbs)
        found = _variances(sums.matrix, sums.first, limbs, squares.first, n)
        return nullable(np.sqrt(found) if self.root else found, n > 1)


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
        if counts[i] < 2:
            continue
        if special(sums, i) != 0.0:  # NaN, too, is unequal to 0.0
            out[i] = np.nan
        else:
            limbs = sums[i, : sums.shape[1] - 3]
            out[i] = round_variance(limbs, first, squares[i], squares_first, counts[i])
    return out
