"""States that add up: counts, exact sums, exact sums of squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import exact, fixed_point, values
from noskew.kernel.aggregates.base import Accumulator, Index, State
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.jit import kernel
from noskew.kernel.keys import integers
from noskew.kernel.ragged import Ragged, concat

#: Columns behind the limbs of a sum: how many NaN, +Inf and −Inf it met.
SPECIALS = 3


@dataclass
class Additive(State):
    """n exact integers on the grid of :mod:`noskew.kernel.exact`, and ``extra`` counters.

    ``matrix``: int64, shape (n, limbs + extra); ``first`` is the grid position of limb 0.
    """

    matrix: NDArray[np.int64]
    first: int
    extra: int

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def limbs(self) -> NDArray[np.int64]:
        return self.matrix[:, : self.matrix.shape[1] - self.extra]

    @property
    def specials(self) -> NDArray[np.int64]:
        return self.matrix[:, self.matrix.shape[1] - self.extra :]

    def merge(self, lo: Index, hi: Index) -> Self:
        if int((hi - lo).sum()) <= 2 * len(self.matrix):
            merged = _sum_ranges(self.matrix, lo, hi)
        else:
            # Differences of prefix sums: exact, since the integers are.
            merged = _differences(self._prefix, lo, hi)
        return type(self)(merged, self.first, self.extra)

    @cached_property
    def _prefix(self) -> NDArray[np.int64]:
        """Sums of the first 0, 1, … n states; kept, since windows ask again and again."""
        return _prefix_sums(self.matrix)

    def take(self, index: Index) -> Self:
        return type(self)(self.matrix[index], self.first, self.extra)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        first = min(p.first for p in parts)
        end = max(p.first + p.limbs.shape[1] for p in parts)
        extra = parts[0].extra
        out = np.zeros((sum(len(p) for p in parts), end - first + extra), np.int64)
        at = 0
        for part in parts:
            rows = out[at : at + len(part)]
            rows[:, part.first - first : part.first - first + part.limbs.shape[1]] = part.limbs
            rows[:, end - first :] = part.specials
            at += len(part)
        return cls(out, first, extra)

    def pack(self, groups: Index) -> Ragged:
        pieces = [fixed_point.pack(np.ascontiguousarray(self.limbs), self.first, groups)]
        if self.extra:
            pieces.append(fixed_point.pack_rare(np.ascontiguousarray(self.specials), groups))
        return concat(pieces)


def unpack_additive(reader: Reader, extra: int) -> Additive:
    """Read what :meth:`Additive.pack` wrote."""
    limbs, first = fixed_point.unpack(reader)
    if not extra:
        return Additive(limbs, first, 0)
    rare = fixed_point.unpack_rare(reader, extra)
    return Additive(np.concatenate([limbs, rare], axis=1), first, extra)


@dataclass(frozen=True)
class Count(Accumulator):
    """How many events count: not null in ``column`` and true in ``where``."""

    column: str | None
    where: str | None

    def lift(self, events: Events) -> Additive:
        mask = events.mask(self.column, self.where)
        return Additive(mask.astype(np.int64).reshape(-1, 1), 0, 0)

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, 0)


@dataclass(frozen=True)
class Sum(Accumulator):
    """The exact sum of a column of integers, bools, floats or decimals."""

    column: str
    where: str | None

    def lift(self, events: Events) -> Additive:
        column = events.column(self.column)
        mask = events.mask(self.column, self.where)
        if pa.types.is_floating(column.type):
            numbers = values.floats(column)
            first, end = exact.float_span(numbers, mask)
            return Additive(exact.lift_floats(numbers, mask, first, end - first), first, SPECIALS)
        if pa.types.is_decimal(column.type):
            return Additive(_lift_decimals(column, mask), 0, SPECIALS)
        return Additive(exact.lift_integers(integers(column), mask), 0, SPECIALS)

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, SPECIALS)


@dataclass(frozen=True)
class Squares(Accumulator):
    """The exact sum of the squares of a column of integers, bools or floats."""

    column: str
    where: str | None

    def lift(self, events: Events) -> Additive:
        column = events.column(self.column)
        mask = events.mask(self.column, self.where)
        if not pa.types.is_floating(column.type):
            return Additive(exact.lift_integer_squares(integers(column), mask), 0, 0)
        numbers = values.floats(column)
        first, end = exact.float_span(numbers, mask)
        width = 2 * (end - first) + 2
        return Additive(exact.lift_float_squares(numbers, mask, 2 * first, width), 2 * first, 0)

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, 0)


def _lift_decimals(column: pa.Array, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    _, data = column.buffers()
    words = np.frombuffer(data, np.int32)[4 * column.offset : 4 * (column.offset + len(column))]
    limbs = words.reshape(-1, 4).astype(np.int64)
    limbs[:, :3] &= 0xFFFFFFFF  # only the top word carries the sign
    out = np.zeros((len(column), 4 + SPECIALS), np.int64)
    out[mask, :4] = limbs[mask]
    return out


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
