"""min and max, over order-preserving codes. NaN only if all are NaN; −0.0 < 0.0. No rows: null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate, Index, Mask, State
from noskew.kernel.aggregates.coded import pack_codes, unpack_codes
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged
from noskew.kernel.values import Domain

#: Ranges longer than this go by blocks of this many states.
_BLOCK = 32


@dataclass
class Extreme(State):
    """The least (or greatest) code of each state; the neutral code and False where none."""

    codes: NDArray[np.int64]
    some: Mask
    domain: Domain
    greatest: bool

    def __len__(self) -> int:
        return len(self.codes)

    def merge(self, lo: Index, hi: Index) -> Self:
        # The greatest is the least of the complements; ~ turns the order round.
        codes = ~self.codes if self.greatest else self.codes
        found, some = _least(codes, self.some, lo, hi)
        return type(self)(~found if self.greatest else found, some, self.domain, self.greatest)

    def take(self, index: Index) -> Self:
        return type(self)(self.codes[index], self.some[index], self.domain, self.greatest)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        domain, maps = values.unify([p.domain for p in parts])
        codes = [
            p.codes if m is None else _mapped(m, p.codes, p.some)
            for p, m in zip(parts, maps, strict=True)
        ]
        some = np.concatenate([p.some for p in parts])
        return cls(np.concatenate(codes), some, domain, parts[0].greatest)

    def pack(self, groups: Index) -> Ragged:
        counts = np.concatenate([[0], np.cumsum(self.some)])
        return pack_codes(self.codes[self.some], self.some, self.domain, groups, counts[groups])


@dataclass(frozen=True)
class Extremum(Accumulator):
    """The least or greatest value of a scalar column of the Arrow type ``kind``."""

    column: str
    where: str | None
    kind: pa.DataType
    greatest: bool

    def lift(self, events: Events) -> Extreme:
        codes, domain = events.codes(self.column)
        some = events.mask(self.column, self.where)
        if pa.types.is_floating(self.kind):
            # NaN loses against everything, so it is left only where nothing else is.
            nan = np.isnan(values.floats(events.column(self.column)))
            codes = np.where(nan, values.MIN_CODE if self.greatest else values.MAX_CODE, codes)
        return Extreme(codes, some, domain, self.greatest)

    def unpack(self, reader: Reader) -> Extreme:
        codes, some, domain = unpack_codes(reader, self.kind)
        spread = np.zeros(len(some), np.int64)
        spread[some] = codes
        return Extreme(spread, some, domain, self.greatest)


@dataclass(frozen=True)
class ExtremumOf(Aggregate):
    """min(column) or max(column)."""

    column: str
    where: str | None
    kind: pa.DataType
    greatest: bool

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Extremum(self.column, self.where, self.kind, self.greatest),)

    def finalise(self, extremes: Extreme) -> pa.Array:
        return extremes.domain.decode(extremes.codes, extremes.some)


def _mapped(mapping: NDArray[np.int64], codes: NDArray[np.int64], some: Mask) -> NDArray[np.int64]:
    out = np.zeros(len(codes), np.int64)
    out[some] = mapping[codes[some]]
    return out


@kernel
def _least(
    codes: NDArray[np.int64], some: Mask, lo: Index, hi: Index
) -> tuple[NDArray[np.int64], Mask]:
    n = len(codes)
    blocks = n // _BLOCK
    block_least = np.zeros(blocks, np.int64)
    block_some = np.zeros(blocks, np.bool_)
    for b in range(blocks):
        for k in range(b * _BLOCK, (b + 1) * _BLOCK):
            if some[k] and (not block_some[b] or codes[k] < block_least[b]):
                block_least[b], block_some[b] = codes[k], True
    out, found = np.zeros(len(lo), np.int64), np.zeros(len(lo), np.bool_)
    for i in range(len(lo)):
        k = lo[i]
        while k < hi[i]:
            if k % _BLOCK == 0 and k + _BLOCK <= hi[i]:
                b = k // _BLOCK
                if block_some[b] and (not found[i] or block_least[b] < out[i]):
                    out[i], found[i] = block_least[b], True
                k += _BLOCK
            else:
                if some[k] and (not found[i] or codes[k] < out[i]):
                    out[i], found[i] = codes[k], True
                k += 1
    return out, found
