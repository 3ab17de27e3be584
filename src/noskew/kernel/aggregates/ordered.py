"""first, last, first_n, last_n: values in the order of (event time, known time, sequence)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate, State
from noskew.kernel.aggregates.value_codec import pack_codes, unpack_codes
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader, need, require
from noskew.kernel.events import Events
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.values import Domain

_NONE = np.zeros(0, np.int64)


@dataclass
class Items(State):
    """Up to ``n`` items a state, the latest or the earliest, in time order.

    ``offsets``: int64, shape (states + 1,), into the items; of each item its code, whether it
    is a value (False: null, kept by ``nulls``) and its place in time (int64, shape (items, 3):
    event time, known time, sequence). ``ordered``: states follow each other in time.
    """

    offsets: Index
    codes: NDArray[np.int64]
    valid: Mask
    place: NDArray[np.int64]
    domain: Domain
    n: int
    latest: bool
    ordered: bool

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _with(self, offsets: Index, index: Index, ordered: bool) -> Self:
        return type(self)(
            offsets,
            self.codes[index],
            self.valid[index],
            self.place[index],
            self.domain,
            self.n,
            self.latest,
            ordered,
        )

    def merge(self, lo: Index, hi: Index) -> Self:
        offsets, index = _pick(self.offsets, self.place, lo, hi, self.n, self.latest, self.ordered)
        return self._with(offsets, index, False)

    def take(self, index: Index) -> Self:
        offsets, items = _gather(self.offsets, index)
        return self._with(offsets, items, False)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        domain, maps = values.unify([p.domain for p in parts])
        codes = [
            p.codes if m is None else np.where(p.valid, m[p.codes] if len(m) else 0, 0)
            for p, m in zip(parts, maps, strict=True)
        ]
        shifts = np.cumsum([0, *(len(p.codes) for p in parts)])
        offsets = [p.offsets[:-1] + s for p, s in zip(parts, shifts[:-1], strict=True)]
        return cls(
            np.concatenate([*offsets, shifts[-1:]]),
            np.concatenate(codes),
            np.concatenate([p.valid for p in parts]),
            np.concatenate([p.place for p in parts]),
            domain,
            parts[0].n,
            parts[0].latest,
            False,
        )

    def pack(self, groups: Index) -> Ragged:
        lengths = np.diff(self.offsets).astype("<u2").view(np.uint8)
        items = self.offsets[groups]
        there = np.concatenate([[0], np.cumsum(self.valid)])[items]
        places = np.ascontiguousarray(self.place).astype("<i8").reshape(-1).view(np.uint8)
        return concat(
            [
                Ragged(groups * 2, lengths),
                Ragged(items * 24, places),
                pack_codes(self.codes[self.valid], self.valid, self.domain, items, there),
            ]
        )


@dataclass(frozen=True)
class Ordered(Accumulator):
    """The ``n`` earliest or latest values of a scalar column of the Arrow type ``kind``."""

    column: str
    where: str | None
    kind: pa.DataType
    n: int
    latest: bool
    nulls: bool

    def lift(self, events: Events) -> Items:
        mask = events.mask(None if self.nulls else self.column, self.where)
        codes, domain = events.codes(self.column)
        if pa.types.is_floating(self.kind):
            nan = np.isnan(values.floats(events.column(self.column)))
            codes = np.where(nan, values.MAX_CODE, codes)
        offsets = np.concatenate([[0], np.cumsum(mask)])
        place = np.stack([events.event_time, events.known_time, events.sequence], axis=1)
        valid = values.valid_of(events.column(self.column))
        return Items(
            offsets, codes[mask], valid[mask], place[mask], domain, self.n, self.latest, True
        )

    def unpack(self, reader: Reader) -> Items:
        lengths, items = _unpack_lengths(reader.data, reader.at, reader.counts, reader.end)
        require(not len(lengths) or lengths.max() <= self.n)
        place = _unpack_places(reader.data, reader.at, items, reader.end)
        codes, valid, domain = unpack_codes(reader.of(items), self.kind)
        spread = np.zeros(len(valid), np.int64)
        spread[valid] = codes
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return Items(offsets, spread, valid, place, domain, self.n, self.latest, False)


@dataclass(frozen=True)
class OrderedOf(Aggregate):
    """``single=True``: first and last, the value itself; else a list."""

    column: str
    where: str | None
    kind: pa.DataType
    n: int
    latest: bool
    nulls: bool
    single: bool

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (Ordered(self.column, self.where, self.kind, self.n, self.latest, self.nulls),)

    def finalise(self, items: Items) -> pa.Array:
        decoded = items.domain.decode(items.codes, items.valid)
        if self.single:
            there = np.diff(items.offsets) > 0
            at = pa.array(items.offsets[:-1], mask=None if there.all() else ~there)
            return decoded.take(at)
        lists = pa.ListArray.from_arrays(pa.array(items.offsets.astype(np.int32)), decoded)
        return lists.cast(pa.list_(self.kind))


@kernel
def _earlier(place: NDArray[np.int64], a: int, b: int) -> bool:
    for c in range(3):
        if place[a, c] != place[b, c]:
            return place[a, c] < place[b, c]
    return False


@kernel
def _pick(
    offsets: Index,
    place: NDArray[np.int64],
    lo: Index,
    hi: Index,
    n: int,
    latest: bool,
    ordered: bool,
) -> tuple[Index, Index]:
    """For each range of states, which items are its first or last n, in time order."""
    out = np.zeros(len(lo) + 1, np.int64)
    for i in range(len(lo)):
        size = offsets[hi[i]] - offsets[lo[i]] if hi[i] > lo[i] else 0
        out[i + 1] = out[i] + min(n, size)
    index = np.empty(out[-1], np.int64)
    for i in range(len(lo)):
        kept = out[i + 1] - out[i]
        if kept == 0:
            continue
        start, end = offsets[lo[i]], offsets[hi[i]]
        if ordered:
            low = end - kept if latest else start
            for k in range(kept):
                index[out[i] + k] = low + k
            continue
        # Insertion sort: packed states bring few items, mostly in order.
        scratch = np.arange(start, end)
        for k in range(1, len(scratch)):
            item = scratch[k]
            j = k
            while j > 0 and _earlier(place, item, scratch[j - 1]):
                scratch[j] = scratch[j - 1]
                j -= 1
            scratch[j] = item
        low = len(scratch) - kept if latest else 0
        for k in range(kept):
            index[out[i] + k] = scratch[low + k]
    return out, index


@kernel
def _gather(offsets: Index, index: Index) -> tuple[Index, Index]:
    out = np.zeros(len(index) + 1, np.int64)
    for i in range(len(index)):
        out[i + 1] = out[i] + offsets[index[i] + 1] - offsets[index[i]]
    items = np.empty(out[-1], np.int64)
    for i in range(len(index)):
        for k in range(out[i + 1] - out[i]):
            items[out[i] + k] = offsets[index[i]] + k
    return out, items


@kernel
def _unpack_lengths(
    data: NDArray[np.uint8], at: Index, counts: Index, end: Index
) -> tuple[Index, Index]:
    """The uint16 item counts of all states, and the items of each row."""
    for r in range(len(counts)):
        need(at[r], 2 * counts[r], end[r])
    lengths = np.zeros(counts.sum(), np.int64)
    items = np.zeros(len(counts), np.int64)
    k = 0
    for r in range(len(counts)):
        for _ in range(counts[r]):
            lengths[k] = np.int64(data[at[r]]) | np.int64(data[at[r] + 1]) << 8
            items[r] += lengths[k]
            at[r] += 2
            k += 1
    return lengths, items


@kernel
def _unpack_places(
    data: NDArray[np.uint8], at: Index, items: Index, end: Index
) -> NDArray[np.int64]:
    for r in range(len(items)):
        need(at[r], 24 * items[r], end[r])
    out = np.zeros((items.sum(), 3), np.int64)
    k = 0
    for r in range(len(items)):
        for _ in range(items[r]):
            for c in range(3):
                word = np.uint64(0)
                for b in range(8):
                    word |= np.uint64(data[at[r] + b]) << np.uint64(8 * b)
                out[k, c] = np.int64(word)
                at[r] += 8
            k += 1
    return out
