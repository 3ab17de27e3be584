"""States that add up: exact integers as limbs, for counts, sums and sums of squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.aggregates.base import State
from noskew.kernel.arrays import Index
from noskew.kernel.cursors import Reader
from noskew.kernel.exact import fixed_point
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged, concat

#: Counters beside the limbs of a sum: how many NaN, +Inf and −Inf it met.
SPECIALS = 3


@dataclass
class Additive(State):
    """n exact integers on the grid of :mod:`noskew.kernel.exact.sums`, and rarely set counters.

    ``limbs``: int64, shape (n, width), C order; ``first`` is the grid position of limb 0.
    ``specials``: int64, shape (n, extra); None: all zero, as nearly always.
    """

    limbs: NDArray[np.int64]
    first: int
    extra: int = field(default=0, kw_only=True)
    specials: NDArray[np.int64] | None = field(default=None, kw_only=True)

    @classmethod
    def joined(cls, matrix: NDArray[np.int64], first: int, extra: int) -> Self:
        """From limbs and ``extra`` counters behind them, in the columns of one matrix."""
        width = matrix.shape[1] - extra
        specials = matrix[:, width:]
        return cls(
            np.ascontiguousarray(matrix[:, :width]),
            first,
            extra=extra,
            specials=specials if specials.any() else None,
        )

    def __len__(self) -> int:
        return len(self.limbs)

    def merge(self, lo: Index, hi: Index) -> Self:
        specials = None if self.specials is None else _sum_ranges(self.specials, lo, hi)
        if int((hi - lo).sum()) <= 2 * len(self.limbs):
            merged = _sum_ranges(self.limbs, lo, hi)
        else:
            # Differences of prefix sums: exact, since the integers are.
            merged = _differences(self._prefix, lo, hi)
        return type(self)(merged, self.first, extra=self.extra, specials=specials)

    @cached_property
    def _prefix(self) -> NDArray[np.int64]:
        """Sums of the first 0, 1, … n states; kept, since windows ask again and again."""
        return _prefix_sums(self.limbs)

    def take(self, index: Index) -> Self:
        specials = None if self.specials is None else self.specials[index]
        return type(self)(self.limbs[index], self.first, extra=self.extra, specials=specials)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        first = min(p.first for p in parts)
        end = max(p.first + p.limbs.shape[1] for p in parts)
        limbs = np.zeros((sum(len(p) for p in parts), end - first), np.int64)
        at = 0
        for p in parts:
            limbs[at : at + len(p), p.first - first : p.first - first + p.limbs.shape[1]] = p.limbs
            at += len(p)
        specials = None
        if any(p.specials is not None for p in parts):
            specials = np.concatenate([p._all_specials() for p in parts])
        return cls(limbs, first, extra=parts[0].extra, specials=specials)

    def _all_specials(self) -> NDArray[np.int64]:
        none = np.zeros((len(self), self.extra), np.int64)
        return none if self.specials is None else self.specials

    def pack(self, groups: Index) -> Ragged:
        pieces = [fixed_point.pack_integers(self.limbs, self.first, groups)]
        if self.extra:
            pieces.append(fixed_point.pack_rare(self._all_specials(), groups))
        return concat(pieces)


def unpack_additive(reader: Reader, extra: int) -> Additive:
    """Read what :meth:`Additive.pack` wrote."""
    limbs, first = fixed_point.unpack_integers(reader)
    if not extra:
        return Additive(limbs, first)
    specials = fixed_point.unpack_rare(reader, extra)
    return Additive(limbs, first, extra=extra, specials=specials if specials.any() else None)


@kernel
def _sum_ranges(matrix: NDArray[np.int64], lo: Index, hi: Index) -> NDArray[np.int64]:
    width = matrix.shape[1]
    out = np.zeros((len(lo), width), np.int64)
    for i in range(len(lo)):
        for k in range(lo[i], hi[i]):
            for c in range(width):
                out[i, c] += matrix[k, c]
    return out


@kernel
def _prefix_sums(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    n, width = matrix.shape
    out = np.zeros((n + 1, width), np.int64)
    for i in range(n):
        for c in range(width):
            out[i + 1, c] = out[i, c] + matrix[i, c]
    return out


@kernel
def _differences(prefix: NDArray[np.int64], lo: Index, hi: Index) -> NDArray[np.int64]:
    width = prefix.shape[1]
    out = np.empty((len(lo), width), np.int64)
    for i in range(len(lo)):
        for c in range(width):
            out[i, c] = prefix[hi[i], c] - prefix[lo[i], c]
    return out
