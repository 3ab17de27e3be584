"""sum: exact, rounded once. No rows: null; integers out of int64: null."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.aggregates.additive import Count, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate, nullable
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.aggregates.exact_state import Additive
from noskew.kernel.exact.rounding import round_quotient, round_words, two_words
from noskew.kernel.exact.sums import carry
from noskew.kernel.jit import kernel

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
            return nullable(quotients(sums, ones), some)
        if pa.types.is_decimal(self.kind):
            return _decimals(sums, some, self.kind)
        totals, fits = _integers(sums.limbs, sums.first)
        return nullable(totals, some & fits)


def quotients(sums: Additive, divisors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each sum divided by its divisor, rounded once; 0.0 where the divisor is 0."""
    rounded, large = _quotients(sums.limbs, sums.first, divisors)
    if large:  # not from the kernel: most processes never compile it
        _large_quotients(sums.limbs, sums.first, divisors, rounded)
    if sums.specials is None:
        return rounded
    special = special_values(sums.specials)
    return np.where((special != 0.0) & (divisors != 0), special, rounded)


def special_values(specials: NDArray[np.int64]) -> NDArray[np.float64]:
    """NaN or ±Inf where a sum met one (IEEE), else 0.0."""
    nan, above, below = (specials > 0).T
    out = np.where(above, np.inf, np.where(below, -np.inf, 0.0))
    out[nan | (above & below)] = np.nan
    return out


@kernel
def _quotients(
    limbs: NDArray[np.int64], first: int, divisors: NDArray[np.int64]
) -> tuple[NDArray[np.float64], bool]:
    """The quotients of numbers that fit words, and whether there are others."""
    out = np.zeros(len(limbs), np.float64)
    large = False
    for i in range(len(limbs)):
        if divisors[i] != 0:
            high, low, fits = two_words(limbs[i])
            if fits:
                out[i] = round_words(high, low, first, divisors[i])
            large |= not fits
    return out, large


@kernel
def _large_quotients(
    limbs: NDArray[np.int64],
    first: int,
    divisors: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the quotients of the others. In the loop above they would slow it down for all."""
    digits = np.empty(limbs.shape[1] + 6, np.uint64)
    for i in range(len(limbs)):
        if divisors[i] != 0 and not two_words(limbs[i])[2]:
            out[i] = round_quotient(limbs[i], first, divisors[i], digits)


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
    decimals: list[Decimal | None] = []
    for limbs, ok in zip(sums.limbs.tolist(), some.tolist(), strict=True):
        # Unscaled decimals are integers: nothing is below the point, except in damaged rows.
        places = enumerate(limbs, sums.first)
        total = sum(limb << (32 * place) for place, limb in places if place >= 0)
        fits = ok and abs(total) < limit
        decimals.append(Decimal(total).scaleb(-kind.scale, _CONTEXT) if fits else None)
    return pa.array(decimals, pa.decimal128(38, kind.scale))
