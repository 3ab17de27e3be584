"""A multiset of rows by their identities, from which rows that come are taken.

It tells which rows of an extract are there already: two equal rows that come are two that must be
there. Open addressing with linear probing; a slot holds an identity and how many rows of it are
left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.arrays import Mask, Words
from noskew.kernel.jit import inline, kernel
from noskew.kernel.row_hashes import RowIdentities

_Bytes = NDArray[np.uint8]
_Counts = NDArray[np.int32]
#: A slot that was never filled. One that was emptied has 0.
_FREE = np.int32(-1)
#: Slots of an empty pool, a power of two as always; a quarter of them is never filled.
_LEAST = 1_024


class RowPool:
    """Rows that are there; 13 bytes a slot, and at most 2⅔ slots an identity."""

    def __init__(self) -> None:
        self._make(_LEAST)
        self._filled = 0

    def _make(self, slots: int) -> None:
        self._first = np.zeros(slots, np.uint64)
        self._last = np.zeros(slots, np.uint8)
        self._count = np.full(slots, _FREE, np.int32)

    def __len__(self) -> int:
        """How many rows are left."""
        return int(np.maximum(self._count, 0).sum(dtype=np.int64))

    def add(self, rows: RowIdentities) -> None:
        """Put rows in."""
        self._grow(len(rows))
        self._filled += _add(rows.first, rows.last, self._first, self._last, self._count)

    def take(self, rows: RowIdentities) -> Mask:
        """Take rows out, each once, in their order: which of them were there; shape (n,)."""
        return _take(rows.first, rows.last, self._first, self._last, self._count)

    def _grow(self, more: int) -> None:
        slots = len(self._count)
        while 3 * slots < 4 * (self._filled + more):
            slots *= 2
        if slots == len(self._count):
            return
        old = self._first, self._last, self._count
        self._make(slots)
        _move(*old, self._first, self._last, self._count)


@inline
def _slot(
    first: np.uint64, last: np.uint8, firsts: Words, lasts: _Bytes, counts: _Counts
) -> np.int64:
    """Where an identity is, or the free slot where it belongs."""
    mask = np.uint64(len(counts) - 1)
    at = np.int64(first & mask)
    while counts[at] != _FREE and (firsts[at] != first or lasts[at] != last):
        at = np.int64(np.uint64(at + 1) & mask)
    return at


@kernel
def _add(first: Words, last: _Bytes, firsts: Words, lasts: _Bytes, counts: _Counts) -> int:
    """Count rows in; returns how many free slots were filled."""
    filled = 0
    for i in range(len(first)):
        at = _slot(first[i], last[i], firsts, lasts, counts)
        if counts[at] == _FREE:
            firsts[at], lasts[at], counts[at] = first[i], last[i], 0
            filled += 1
        counts[at] += 1
    return filled


@kernel
def _take(first: Words, last: _Bytes, firsts: Words, lasts: _Bytes, counts: _Counts) -> Mask:
    taken = np.zeros(len(first), np.bool_)
    for i in range(len(first)):
        at = _slot(first[i], last[i], firsts, lasts, counts)
        if counts[at] > 0:
            counts[at] -= 1
            taken[i] = True
    return taken


@kernel
def _move(
    old_first: Words,
    old_last: _Bytes,
    old_count: _Counts,
    firsts: Words,
    lasts: _Bytes,
    counts: _Counts,
) -> None:
    for i in range(len(old_count)):
        if old_count[i] != _FREE:
            at = _slot(old_first[i], old_last[i], firsts, lasts, counts)
            firsts[at], lasts[at], counts[at] = old_first[i], old_last[i], old_count[i]
