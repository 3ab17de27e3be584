"""sum: exact, rounded once. No rows: null; integers out of int64: null."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.aggregates.additive import Additive, Count, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.exact import carry, round_quotient
from noskew.kernel.jit import inline, kernel

_CONTEXT = Context(prec=40)


@dataclass(frozen=True)
class SumOf(Aggregate):
    """sum(column) of a column of the Arrow type ``kind``."""

    column: str
    where: str | None
    kind: pa.DataType

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Count(self.column, self.where), Sum(self.column, self.where))

    def finalise(self, counts: Additive, sums: Additive) -> pa.Array:
        some = count_values(counts) > 0
        if pa.types.is_floating(self.kind):
            ones = np.ones(len(sums), np.int64)
            return nullable(quotients(sums.matrix, sums.first, ones), some)
        if pa.types.is_decimal(self.kind):
            return _decimals(sums, some, self.kind)
        totals, fits = _integers(np.ascontiguousarray(sums.limbs), sums.first)
        return nullable(totals, some & fits)


@inline
def special(matrix: NDArray[np.int64], i: int) -> float:
    """NaN or ±Inf where row i met one (IEEE), else 0.0."""
    c = matrix.shape[1] - 3
    if matrix[i, c] > 0 or (matrix[i, c + 1] > 0 and matrix[i, c + 2] > 0):
        return np.nan
    if matrix[i, c + 1] > 0:
        return np.inf
    return -np.inf if matrix[i, c + 2] > 0 else 0.0


@kernel
def quotients(
    matrix: NDArray[np.int64], first: int, divisors: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each sum divided by its divisor, rounded once; 0.0 where the divisor is 0."""
    out = np.zeros(len(matrix), np.float64)
    for i in range(len(matrix)):
        if divisors[i] == 0:
            continue
        out[i] = special(matrix, i)
        if out[i] == 0.0:
            out[i] = round_quotient(matrix[i, : matrix.shape[1] - 3], first, divisors[i])
    return out


@kernel
def _integers(limbs: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sums of integers as int64, and whether each fits."""
    n = len(limbs)
    out, fits = np.zeros(n, np.int64), np.ones(n, np.bool_)
    digits = np.zeros(limbs.shape[1] + 2, np.uint64)
    for i in range(n):
        negative = carry(limbs[i], digits)
        word = np.uint64(0)
        for j in range(len(digits)):
            place = first + j
            if digits[j] == 0:
                continue
            if 0 <= place <= 1:
                word |= digits[j] << np.uint64(32 * place)
            else:
                fits[i] = False
        bound = np.uint64(1) << np.uint64(63)
        if word > bound or (word == bound and not negative):
            fits[i] = False
        if fits[i]:
            out[i] = np.int64(np.uint64(0) - word) if negative else np.int64(word)
    return out, fits


def _decimals(sums: Additive, some: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """Sums of unscaled decimals; null beyond 38 digits."""
    limit = 10**38
    found: list[Decimal | None] = []
    for limbs, ok in zip(sums.limbs.tolist(), some.tolist(), strict=True):
        # Unscaled decimals are integers: nothing is below the point, except in damaged rows.
        places = enumerate(limbs, sums.first)
        total = sum(limb << (32 * place) for place, limb in places if place >= 0)
        fits = ok and abs(total) < limit
        found.append(Decimal(total).scaleb(-kind.scale, _CONTEXT) if fits else None)
    return pa.array(found, pa.decimal128(38, kind.scale))
