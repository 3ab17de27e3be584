"""min and max, over order-preserving codes. NaN only if all are NaN; −0.0 < 0.0. No rows: null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate, State
from noskew.kernel.aggregates.value_codec import pack_codes, unpack_codes
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.jit import inline, kernel
from noskew.kernel.ragged import Ragged
from noskew.kernel.values import Domain

_MAGNITUDE, _INFINITE = np.int64((1 << 63) - 1), np.int64(0x7FF << 52)
_NEUTRAL = np.int64(values.MAX_CODE)
#: Ranges go by blocks of this many states where they hold whole ones.
_BLOCK = 64


@dataclass
class Extreme(State):
    """The least (or greatest) value of each state.

    ``keys``: int64, codes for the least, their complements for the greatest, so that the least
    key wins in both; MAX_CODE where there is none. ``some``: whether there is one.
    """

    keys: NDArray[np.int64]
    some: Mask
    domain: Domain
    greatest: bool

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def codes(self) -> NDArray[np.int64]:
        """The codes; any where there is none."""
        return ~self.keys if self.greatest else self.keys

    @cached_property
    def _blocks(self) -> NDArray[np.int64]:
        """The least key of each whole block; kept, since windows ask again and again."""
        return _least_of_blocks(self.keys)

    def merge(self, lo: Index, hi: Index) -> Self:
        keys, some = _least(self.keys, self.some, self._blocks, lo, hi)
        return type(self)(keys, some, self.domain, self.greatest)

    def take(self, index: Index) -> Self:
        return type(self)(self.keys[index], self.some[index], self.domain, self.greatest)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        domain, maps = values.unify([p.domain for p in parts])
        greatest = parts[0].greatest
        keys = [
            p.keys if m is None else _mapped(m, p.codes, p.some, greatest)
            for p, m in zip(parts, maps, strict=True)
        ]
        return cls(np.concatenate(keys), np.concatenate([p.some for p in parts]), domain, greatest)

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
        some = events.mask(self.column, self.where)
        if pa.types.is_floating(self.kind):
            numbers = values.floats(events.column(self.column))
            keys = np.empty(len(some), np.int64)
            _float_keys(numbers.view(np.int64), some, self.greatest, keys)
            return Extreme(keys, some, Domain(self.kind), self.greatest)
        codes, domain = events.codes(self.column)
        return Extreme(_keys(codes, some, self.greatest), some, domain, self.greatest)

    def unpack(self, reader: Reader) -> Extreme:
        codes, some, domain = unpack_codes(reader, self.kind)
        keys = np.full(len(some), values.MAX_CODE)
        keys[some] = ~codes if self.greatest else codes
        return Extreme(keys, some, domain, self.greatest)


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


def _keys(codes: NDArray[np.int64], some: Mask, greatest: bool) -> NDArray[np.int64]:
    keys = ~codes if greatest else codes
    return keys if some.all() else np.where(some, keys, values.MAX_CODE)


def _mapped(
    mapping: NDArray[np.int64], codes: NDArray[np.int64], some: Mask, greatest: bool
) -> NDArray[np.int64]:
    out = np.full(len(codes), values.MAX_CODE)
    out[some] = ~mapping[codes[some]] if greatest else mapping[codes[some]]
    return out


@kernel
def _float_keys(
    bits: NDArray[np.int64], some: Mask, greatest: bool, out: NDArray[np.int64]
) -> None:
    """Keys of float64 seen as int64. NaN loses against everything: it is left only where all are.

    The same as complements of :func:`noskew.kernel.values.codes_of_floats`, in one pass.
    """
    flip = np.int64(-1) if greatest else np.int64(0)
    for i in range(len(bits)):
        code = bits[i] ^ ((bits[i] >> 63) & _MAGNITUDE)
        number = some[i] and (bits[i] & _MAGNITUDE) <= _INFINITE
        out[i] = code ^ flip if number else _NEUTRAL


@kernel
def _least_of_blocks(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    out = np.empty(len(keys) // _BLOCK, np.int64)
    for b in range(len(out)):
        out[b] = _least_of(keys[b * _BLOCK : (b + 1) * _BLOCK])
    return out


@inline
def _least_of(keys: NDArray[np.int64]) -> np.int64:
    # A loop without branches or index checks, for vector instructions.
    least = _NEUTRAL
    for i in range(len(keys)):
        least = min(least, keys[i])
    return least


@kernel
def _least(
    keys: NDArray[np.int64], some: Mask, blocks: NDArray[np.int64], lo: Index, hi: Index
) -> tuple[NDArray[np.int64], Mask]:
    out, is_there = np.empty(len(lo), np.int64), np.empty(len(lo), np.bool_)
    for i in range(len(lo)):
        a, b = lo[i], hi[i]
        first, end = (a + _BLOCK - 1) // _BLOCK, b // _BLOCK
        if first < end:
            least = min(_least_of(keys[a : first * _BLOCK]), _least_of(keys[end * _BLOCK : b]))
            least = min(least, _least_of(blocks[first:end]))
        else:
            least = _least_of(keys[a:b])
        # The neutral key is also that of NaN, and of the outermost integer.
        there = least != _NEUTRAL
        while not there and a < b:
            there = some[a]
            a += 1
        out[i], is_there[i] = least, there
    return out, is_there
