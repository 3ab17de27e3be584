"""count_distinct: exact up to a cap, above it HyperLogLog. No rows: 0.

A state is the set of the 64-bit hashes of its values while there are at most ``cap``; beyond,
2,048 registers, each the greatest rank seen (standard error 2.3 %). Which of the two depends
on the number of different values alone, so order cannot matter.

Source: Flajolet et al. (2007); the estimator is Ertl, "New cardinality estimation algorithms
for HyperLogLog sketches" (2017), algorithm 6, which needs no correction by range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate, State
from noskew.kernel.arrays import Index
from noskew.kernel.cursors import Reader, need, require
from noskew.kernel.events import Events
from noskew.kernel.jit import inline, kernel
from noskew.kernel.ragged import Ragged, concat

BITS = 11
REGISTERS = 1 << BITS
_Q = 64 - BITS
_ALPHA = 0.7213475204444817  # 1 / (2 ln 2)
_OVER = 0xFFFF


@dataclass
class Distinct(State):
    """Sets of hashes, ascending; or for states that are ``over``, registers.

    ``slot``: int64, the state's row in ``registers`` (uint8, shape (overs, 2048)), −1 if exact.
    """

    offsets: Index
    hashes: NDArray[np.uint64]
    slot: Index
    registers: NDArray[np.uint8]
    cap: int

    def __len__(self) -> int:
        return len(self.slot)

    def merge(self, lo: Index, hi: Index) -> Self:
        merged = _merge(self.offsets, self.hashes, self.slot, self.registers, lo, hi, self.cap)
        return type(self)(*merged, self.cap)

    def take(self, index: Index) -> Self:
        return self.merge(index, index + 1)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        shifts = np.cumsum([0, *(len(p.hashes) for p in parts)])
        rows = np.cumsum([0, *(len(p.registers) for p in parts)])
        offsets = [p.offsets[:-1] + s for p, s in zip(parts, shifts[:-1], strict=True)]
        slots = [
            np.where(p.slot >= 0, p.slot + r, -1) for p, r in zip(parts, rows[:-1], strict=True)
        ]
        return cls(
            np.concatenate([*offsets, shifts[-1:]]),
            np.concatenate([p.hashes for p in parts]),
            np.concatenate(slots),
            np.concatenate([p.registers for p in parts]),
            parts[0].cap,
        )

    def pack(self, groups: Index) -> Ragged:
        over = self.slot >= 0
        sizes = np.where(over, _OVER, np.diff(self.offsets)).astype("<u2").view(np.uint8)
        items = self.offsets[groups]
        overs = np.concatenate([[0], np.cumsum(over)])[groups]
        rows = self.registers[self.slot[over]].reshape(-1)
        return concat(
            [
                Ragged(groups * 2, sizes),
                Ragged(items * 8, self.hashes.astype("<u8").view(np.uint8)),
                Ragged(overs * REGISTERS, rows),
            ]
        )


@dataclass(frozen=True)
class DistinctHashes(Accumulator):
    """The different values of a scalar column, as hashes."""

    column: str
    where: str | None
    cap: int

    def lift(self, events: Events) -> Distinct:
        mask = events.mask(self.column, self.where)
        hashes = values.hashes(events.column(self.column))[mask]
        offsets = np.concatenate([[0], np.cumsum(mask)])
        none = np.zeros((0, REGISTERS), np.uint8)
        distinct = Distinct(offsets, hashes, np.full(len(mask), -1), none, self.cap)
        # With a cap of zero a single value is over it already.
        return distinct if self.cap else distinct.take(np.arange(len(mask)))

    def unpack(self, reader: Reader) -> Distinct:
        sizes, slot = _unpack_sizes(reader.data, reader.at, reader.counts, reader.end)
        require(not len(sizes) or sizes.max() <= self.cap)
        first = np.concatenate([[0], np.cumsum(reader.counts)])
        totals = np.concatenate([[0], np.cumsum(sizes)])
        overs = np.concatenate([[0], np.cumsum(slot >= 0)])
        hashes = _read_block(reader, totals[first] * 8).view("<u8")
        registers = _read_block(reader, overs[first] * REGISTERS)
        require(not len(registers) or registers.max() <= _Q + 1)
        return Distinct(
            totals, hashes.astype(np.uint64), slot, registers.reshape(-1, REGISTERS), self.cap
        )


@dataclass(frozen=True)
class CountDistinctOf(Aggregate):
    """count_distinct(column)."""

    column: str
    where: str | None
    cap: int

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (DistinctHashes(self.column, self.where, self.cap),)

    def finalise(self, distinct: Distinct) -> pa.Array:
        exact = np.diff(distinct.offsets)
        return pa.array(_estimates(exact, distinct.slot, distinct.registers))


@inline
def _observe(registers: NDArray[np.uint8], h: np.uint64) -> None:
    rest = h << np.uint64(BITS)
    rank = 1
    while rank <= _Q and (rest >> np.uint64(63)) == 0:
        rest = rest << np.uint64(1)
        rank += 1
    at = np.int64(h >> np.uint64(_Q))
    registers[at] = max(registers[at], np.uint8(rank))


@kernel
def _merge(
    offsets: Index,
    hashes: NDArray[np.uint64],
    slot: Index,
    registers: NDArray[np.uint8],
    lo: Index,
    hi: Index,
    cap: int,
) -> tuple[Index, NDArray[np.uint64], Index, NDArray[np.uint8]]:
    n = len(lo)
    out, out_slot = np.zeros(n + 1, np.int64), np.full(n, -1, np.int64)
    size = 0
    for i in range(n):
        if hi[i] > lo[i]:
            size += min(cap, offsets[hi[i]] - offsets[lo[i]])
    out_hashes = np.empty(size, np.uint64)
    at, overs = 0, 0
    for i in range(n):
        out[i] = at
        if hi[i] <= lo[i]:
            continue
        different = np.unique(hashes[offsets[lo[i]] : offsets[hi[i]]])
        over = len(different) > cap
        for k in range(lo[i], hi[i]):
            over = over or slot[k] >= 0
        if over:
            out_slot[i] = overs
            overs += 1
        else:
            out_hashes[at : at + len(different)] = different
            at += len(different)
    out[n] = at
    out_registers = np.zeros((overs, REGISTERS), np.uint8)
    for i in range(n):
        if out_slot[i] < 0:
            continue
        row = out_registers[out_slot[i]]
        for j in range(offsets[lo[i]], offsets[hi[i]]):
            _observe(row, hashes[j])
        for k in range(lo[i], hi[i]):
            if slot[k] >= 0:
                for r in range(REGISTERS):
                    row[r] = max(row[r], registers[slot[k], r])
    return out, out_hashes[:at].copy(), out_slot, out_registers


@kernel
def _estimates(exact: Index, slot: Index, registers: NDArray[np.uint8]) -> NDArray[np.int64]:
    out = np.empty(len(slot), np.int64)
    for i in range(len(slot)):
        out[i] = exact[i] if slot[i] < 0 else _estimate(registers[slot[i]])
    return out


@kernel
def _estimate(registers: NDArray[np.uint8]) -> int:
    counts = np.zeros(_Q + 2, np.int64)
    for r in range(REGISTERS):
        counts[registers[r]] += 1
    m = float(REGISTERS)
    z = m * _tau(1.0 - counts[_Q + 1] / m)
    for k in range(_Q, 0, -1):
        z = 0.5 * (z + counts[k])
    z = z + m * _sigma(counts[0] / m)
    if z == 0.0:  # every register full: no number of values fills them, damage does
        return np.iinfo(np.int64).max
    return int(np.round(_ALPHA * m * m / z))


@inline
def _sigma(x: float) -> float:
    if x == 1.0:
        return np.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x = x * x
        before = z
        z = z + x * y
        y = y + y
    return z


@inline
def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = np.sqrt(x)
        before = z
        y = 0.5 * y
        z = z - (1.0 - x) * (1.0 - x) * y
    return z / 3.0


@kernel
def _unpack_sizes(
    data: NDArray[np.uint8], at: Index, counts: Index, end: Index
) -> tuple[Index, Index]:
    for r in range(len(counts)):
        need(at[r], 2 * counts[r], end[r])
    sizes, slot = np.zeros(counts.sum(), np.int64), np.full(counts.sum(), -1, np.int64)
    k, overs = 0, 0
    for r in range(len(counts)):
        for _ in range(counts[r]):
            size = np.int64(data[at[r]]) | np.int64(data[at[r] + 1]) << 8
            if size == _OVER:
                slot[k] = overs
                overs += 1
            else:
                sizes[k] = size
            at[r] += 2
            k += 1
    return sizes, slot


def _read_block(reader: Reader, bounds: Index) -> NDArray[np.uint8]:
    """Copy ``bounds[r + 1] − bounds[r]`` bytes from each row; moves the cursors on."""
    return _copy_block(reader.data, reader.at, bounds, reader.end)


@kernel
def _copy_block(data: NDArray[np.uint8], at: Index, bounds: Index, end: Index) -> NDArray[np.uint8]:
    for r in range(len(at)):
        need(at[r], bounds[r + 1] - bounds[r], end[r])
    out = np.empty(bounds[-1], np.uint8)
    for r in range(len(at)):
        size = bounds[r + 1] - bounds[r]
        for b in range(size):
            out[bounds[r] + b] = data[at[r] + b]
        at[r] += size
    return out
