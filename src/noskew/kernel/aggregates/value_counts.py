"""How often each code occurs: the state behind quantile and top_n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import State
from noskew.kernel.aggregates.value_codec import pack_codes, unpack_codes
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader, need, require
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.values import Domain

#: No cap on how many codes a state may hold.
UNBOUNDED = 1 << 60
#: More often than this a value occurs in damaged rows only.
_MOST = 1 << 40


@dataclass
class CountedValues(State):
    """For each state its codes, ascending and distinct, and how often each occurs.

    ``offsets``: int64, shape (states + 1,), into ``codes`` and ``counts``. ``over``: more than
    ``cap`` codes were there; such a state holds none, and stays over whatever it merges with.
    """

    offsets: Index
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    over: Mask
    domain: Domain
    cap: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def merge(self, lo: Index, hi: Index) -> Self:
        merged = _merge(self.offsets, self.codes, self.counts, self.over, lo, hi, self.cap)
        return type(self)(*merged, self.domain, self.cap)

    def take(self, index: Index) -> Self:
        return self.merge(index, index + 1)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        domain, maps = values.unify([p.domain for p in parts])
        codes = [p.codes if m is None else m[p.codes] for p, m in zip(parts, maps, strict=True)]
        shifts = np.cumsum([0, *(len(p.codes) for p in parts)])
        offsets = [p.offsets[:-1] + s for p, s in zip(parts, shifts[:-1], strict=True)]
        return cls(
            np.concatenate([*offsets, shifts[-1:]]),
            np.concatenate(codes),
            np.concatenate([p.counts for p in parts]),
            np.concatenate([p.over for p in parts]),
            domain,
            parts[0].cap,
        )

    def pack(self, groups: Index) -> Ragged:
        items = self.offsets[groups]
        sizes = np.where(self.over, 0xFFFFFFFF, np.diff(self.offsets)).astype("<u4")
        every = np.ones(len(self.codes), bool)
        plain = Domain(pa.int64())
        return concat(
            [
                Ragged(groups * 4, sizes.view(np.uint8)),
                pack_codes(self.codes, every, self.domain, items, items),
                pack_codes(self.counts, every, plain, items, items),
            ]
        )


def unpack_value_counts(reader: Reader, kind: pa.DataType, cap: int) -> CountedValues:
    """Read what :meth:`CountedValues.pack` wrote."""
    sizes, over, items = _unpack_sizes(reader.data, reader.at, reader.counts, reader.end)
    require(not len(sizes) or sizes.max() <= cap)
    inner = reader.of(items)
    codes, some, domain = unpack_codes(inner, kind)
    counts, counted, _ = unpack_codes(inner, pa.int64())
    require(some.all() and counted.all())
    # Searches by rank rely on counts that add up.
    require(not len(counts) or (counts.min() >= 1 and counts.max() <= _MOST))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return CountedValues(offsets, codes, counts, over, domain, cap)


def lift_value_counts(
    codes: NDArray[np.int64], mask: Mask, domain: Domain, cap: int
) -> CountedValues:
    """One state for each slot of ``mask``: its code once, or nothing."""
    offsets = np.concatenate([[0], np.cumsum(mask)])
    kept = codes[mask]
    return CountedValues(
        offsets, kept, np.ones(len(kept), np.int64), np.zeros(len(mask), bool), domain, cap
    )


@kernel
def _merge(
    offsets: Index,
    codes: NDArray[np.int64],
    counts: NDArray[np.int64],
    over: Mask,
    lo: Index,
    hi: Index,
    cap: int,
) -> tuple[Index, NDArray[np.int64], NDArray[np.int64], Mask]:
    n = len(lo)
    out = np.zeros(n + 1, np.int64)
    found_over = np.zeros(n, np.bool_)
    size = 0
    for i in range(n):
        if hi[i] > lo[i]:
            size += min(cap, offsets[hi[i]] - offsets[lo[i]])
    out_codes, out_counts = np.empty(size, np.int64), np.empty(size, np.int64)
    at = 0
    for i in range(n):
        out[i] = at
        if hi[i] <= lo[i]:
            continue
        for k in range(lo[i], hi[i]):
            if over[k]:
                found_over[i] = True
        start, end = offsets[lo[i]], offsets[hi[i]]
        if found_over[i] or start == end:
            continue
        order = np.argsort(codes[start:end], kind="mergesort")
        base = at
        for j in range(len(order)):
            k = start + order[j]
            if at > base and out_codes[at - 1] == codes[k]:
                out_counts[at - 1] += counts[k]
            elif at - base == cap:
                found_over[i] = True
                break
            else:
                out_codes[at], out_counts[at] = codes[k], counts[k]
                at += 1
        if found_over[i]:
            at = base
    out[n] = at
    return out, out_codes[:at].copy(), out_counts[:at].copy(), found_over


@kernel
def _unpack_sizes(
    data: NDArray[np.uint8], at: Index, counts: Index, end: Index
) -> tuple[Index, Mask, Index]:
    for r in range(len(counts)):
        need(at[r], 4 * counts[r], end[r])
    sizes, over = np.zeros(counts.sum(), np.int64), np.zeros(counts.sum(), np.bool_)
    items = np.zeros(len(counts), np.int64)
    k = 0
    for r in range(len(counts)):
        for _ in range(counts[r]):
            size = 0
            for b in range(4):
                size |= int(np.int64(data[at[r] + b]) << (8 * b))
            if size == 0xFFFFFFFF:
                over[k] = True
                size = 0
            sizes[k] = size
            items[r] += size
            at[r] += 4
            k += 1
    return sizes, over, items
