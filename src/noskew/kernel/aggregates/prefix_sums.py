"""Prefix sums: what a range of events comes to is the difference of two of them.

A sum of n events is read at two places instead of n, however many windows ask. Differences are
exact because nothing is rounded: the sums are integers modulo 2^64 or 2^128.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.aggregates.base import Lifted
from noskew.kernel.aggregates.exact_state import SPECIALS, Additive
from noskew.kernel.arrays import Index, Mask, Words
from noskew.kernel.exact import sums
from noskew.kernel.jit import kernel


@dataclass
class PrefixCounts(Lifted):
    """Events that count or not. ``before``: int64, shape (n + 1,), how many count up to each."""

    before: Index | None  # None: all count
    size: int

    @classmethod
    def of(cls, mask: Mask) -> PrefixCounts:
        """Events that count where the mask is true."""
        if mask.all():
            return cls(None, len(mask))
        before = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=before[1:])
        return cls(before, len(mask))

    def __len__(self) -> int:
        return self.size

    def merge(self, lo: Index, hi: Index) -> Additive:
        count = hi - lo if self.before is None else self.before[hi] - self.before[lo]
        return Additive(count.reshape(-1, 1), 0)

    def take(self, index: Index) -> Additive:
        return self.merge(index, index + 1)


@dataclass
class PrefixSums(Lifted):
    """Sums of the first 0, 1, … n numbers as 128-bit integers on a grid.

    ``words``: uint64, shape (n + 1, 2), the low and the high word of each, two's complement, in
    units of 2^(32·first). ``width``: the limbs that any sum of them needs. ``specials``: int64,
    shape (n + 1, 3), how many NaN, +Inf and −Inf came so far; None without any.
    """

    words: Words
    first: int
    width: int
    specials: NDArray[np.int64] | None = None

    @classmethod
    def of_integers(cls, numbers: NDArray[np.int64]) -> PrefixSums:
        """Any 2^31 of them need 94 bits and a sign."""
        words = np.empty((len(numbers) + 1, 2), np.uint64)
        _add_integers(numbers, words)
        return cls(words, 0, 3)

    @classmethod
    def of_floats(cls, numbers: NDArray[np.float64]) -> Lifted:
        """Finite numbers as words where 128 bits hold their sums, else as limbs."""
        low, high, special = sums.float_range(numbers.view(np.int64))
        specials = _specials(numbers) if special else None
        if special:
            numbers = np.where(np.isfinite(numbers), numbers, 0.0)
        first = low // 32
        needed = high - 32 * first + len(numbers).bit_length() + 1
        if needed > 128:
            first, end = sums.float_span(numbers, np.ones(len(numbers), bool))
            limbs = sums.lift_floats(numbers, first, end - first)
            return Additive(limbs, first, extra=SPECIALS, specials=specials)
        # From numpy, which asks for huge pages: touching fresh small ones would cost as much again.
        words = np.empty((len(numbers) + 1, 2), np.uint64)
        _add_floats(numbers, 32 * first, words)
        before = None
        if specials is not None:
            before = np.concatenate([np.zeros((1, SPECIALS), np.int64), specials.cumsum(axis=0)])
        return cls(words, first, 3 if needed <= 96 else 4, before)

    def __len__(self) -> int:
        return len(self.words) - 1

    def merge(self, lo: Index, hi: Index) -> Additive:
        limbs = np.empty((len(lo), self.width), np.int64)
        _differences(self.words, lo, hi, limbs)
        counts = self.specials
        specials = None if counts is None else counts[hi] - counts[lo]
        return Additive(limbs, self.first, extra=SPECIALS, specials=specials)

    def take(self, index: Index) -> Additive:
        return self.merge(index, index + 1)


def _specials(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 for each NaN, +Inf and −Inf in columns of their own: int64, shape (n, 3)."""
    kinds = [np.isnan(numbers), np.isposinf(numbers), np.isneginf(numbers)]
    return np.stack(kinds, axis=1).astype(np.int64)


@kernel
def _add_integers(numbers: NDArray[np.int64], out: Words) -> None:
    low, high = np.uint64(0), np.uint64(0)
    out[0, 0], out[0, 1] = low, high
    for i in range(len(numbers)):
        piece = np.uint64(numbers[i])
        low += piece
        high += np.uint64(numbers[i] >> 63) + np.uint64(low < piece)
        out[i + 1, 0], out[i + 1, 1] = low, high


@kernel
def _add_floats(numbers: NDArray[np.float64], grid: int, out: Words) -> None:
    """``grid``: the exponent of the words' lowest bit, not above that of any number's."""
    low, high = np.uint64(0), np.uint64(0)
    out[0, 0], out[0, 1] = low, high
    for i in range(len(numbers)):
        m, e = sums.split_float(numbers[i])
        if m != 0:
            shift = np.uint64(e - grid)
            if shift < 64:
                a = np.uint64(m) << shift
                b = (np.uint64(m) >> np.uint64(1)) >> (np.uint64(63) - shift)
            else:
                a, b = np.uint64(0), np.uint64(m) << (shift - np.uint64(64))
            if numbers[i] < 0:
                a, b = ~a + np.uint64(1), ~b + np.uint64(a == 0)
            low += a
            high += b + np.uint64(low < a)
        out[i + 1, 0], out[i + 1, 1] = low, high


@kernel
def _differences(words: Words, lo: Index, hi: Index, limbs: NDArray[np.int64]) -> None:
    """Each difference as 3 or 4 limbs of 32 bits; the last one has the sign."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    wide = limbs.shape[1] == 4
    for i in range(len(lo)):
        a, b = words[lo[i]], words[hi[i]]
        low = b[0] - a[0]
        high = b[1] - a[1] - np.uint64(b[0] < a[0])
        limbs[i, 0], limbs[i, 1] = np.int64(low & mask), np.int64(low >> half)
        if wide:
            limbs[i, 2], limbs[i, 3] = np.int64(high & mask), np.int64(high) >> 32
        else:
            limbs[i, 2] = np.int64(high)
