"""Exact integers in rows: each group of them in as few bytes as its largest needs.

A block is ``int16 low``, ``uint16 width`` and, for each integer, ``width`` bytes of two's
complement, little-endian; the integer is worth ``bytes · 2^(8·low)``. ``low`` and ``width`` are
the tightest that hold all integers of the group, so equal integers give equal bytes. All zero:
both are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.cursors import Reader, need
from noskew.kernel.exact.sums import carry
from noskew.kernel.jit import inline, kernel
from noskew.kernel.ragged import Ragged

HEADER = 4
#: Bytes of the grid that a sum can have: squares of float64 reach from 2^−2148 to 2^2048, and
#: 2^31 of them five bytes further. A block that claims more is damaged.
LOWEST, HIGHEST = -272, 272
_HALF_WORD, _HALF_LIMB = 1 << 62, 1 << 29


def pack_integers(limbs: NDArray[np.int64], first: int, groups: NDArray[np.int64]) -> Ragged:
    """A block for each group of rows of ``limbs`` (int64, shape (n, width))."""
    low, width = _extents(limbs, groups)
    offsets = np.zeros(len(groups), np.int64)
    np.cumsum(HEADER + width * np.diff(groups), out=offsets[1:])
    data = np.zeros(offsets[-1], np.uint8)
    _fill(limbs, first, groups, low, width, offsets, data)
    return Ragged(offsets, data)


def pack_rare(counters: NDArray[np.int64], groups: NDArray[np.int64]) -> Ragged:
    """Counters that are nearly always zero: one byte 0, or 1 and eight bytes for each."""
    any_set = _any_in_groups(counters, groups)
    size = 8 * counters.shape[1]
    offsets = np.zeros(len(groups), np.int64)
    np.cumsum(1 + np.where(any_set, np.diff(groups) * size, 0), out=offsets[1:])
    data = np.zeros(offsets[-1], np.uint8)
    raw = np.minimum(counters, 1).view(np.uint8).reshape(len(counters), size)
    _fill_rare(raw, groups, any_set, offsets, data)
    return Ragged(offsets, data)


def unpack_integers(reader: Reader) -> tuple[NDArray[np.int64], int]:
    """Limbs, shape (Σ counts, width), and their first grid position; moves the cursors on."""
    data, at, counts = reader.data, reader.at, reader.counts
    low, high = _block_span(data, at, counts, reader.end)
    first = low // 4
    width = (high - 1) // 4 - first + 2
    return _read(data, at, counts, first, width), first


def unpack_rare(reader: Reader, columns: int) -> NDArray[np.int64]:
    """The inverse of :func:`pack_rare`; moves the cursors on."""
    return _read_rare(reader.data, reader.at, reader.counts, reader.end, columns)


@kernel
def _read_rare(
    data: NDArray[np.uint8],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
    end: NDArray[np.int64],
    columns: int,
) -> NDArray[np.int64]:
    for r in range(len(at)):
        need(at[r], 1, end[r])
        if data[at[r]]:
            need(at[r] + 1, counts[r] * columns * 8, end[r])
    out = np.zeros((counts.sum(), columns), np.int64)
    k = 0
    for r in range(len(at)):
        p = at[r]
        flag = data[p]
        p += 1
        if flag:
            for i in range(counts[r]):
                for c in range(columns):
                    out[k + i, c] = data[p + 8 * (i * columns + c)]
            p += counts[r] * columns * 8
        k += counts[r]
        at[r] = p
    return out


@inline
def _byte(digits: NDArray[np.uint64], b: int) -> int:
    return int(np.int64((digits[b // 4] >> np.uint64(8 * (b % 4))) & np.uint64(0xFF)))


@inline
def _as_word(limbs: NDArray[np.int64]) -> tuple[bool, int]:
    """Whether an integer is one of 63 bits, as most are, and that integer."""
    high = np.int64(0)
    for j in range(1, len(limbs)):
        if limbs[j] != 0:
            if j > 1:
                return False, 0
            high = limbs[j]
    fits = -_HALF_WORD < limbs[0] < _HALF_WORD and -_HALF_LIMB < high < _HALF_LIMB
    return bool(fits), int(limbs[0] + (high << 32)) if fits else 0


@inline
def _word_extent(word: int) -> tuple[int, int]:
    """The lowest byte in use, and the highest that two's complement needs; word is not 0."""
    bottom, top = 0, 0
    while (word >> (8 * bottom)) & 0xFF == 0:
        bottom += 1
    while top < 7 and (word >> (8 * top + 7)) != 0 and (word >> (8 * top + 7)) != -1:
        top += 1
    return bottom, top


@kernel
def _extents(
    limbs: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each group the lowest byte in use and the width, relative to limb 0."""
    n = len(groups) - 1
    lows, widths = np.zeros(n, np.int64), np.zeros(n, np.int64)
    digits = np.zeros(limbs.shape[1] + 2, np.uint64)
    for g in range(n):
        low, high = 1 << 30, -1
        for i in range(groups[g], groups[g + 1]):
            short, word = _as_word(limbs[i])
            if short:
                if word != 0:
                    bottom, top = _word_extent(word)
                    low, high = min(low, bottom), max(high, top)
                continue
            negative = carry(limbs[i], digits)
            b, bottom = len(digits) - 1, 0
            while b >= 0 and digits[b] == 0:
                b -= 1
            if b < 0:
                continue
            while digits[bottom] == 0:
                bottom += 1
            b, bottom = 4 * b + 3, 4 * bottom
            while _byte(digits, b) == 0:
                b -= 1
            while _byte(digits, bottom) == 0:
                bottom += 1
            # One more byte where the sign would not fit: −128 fits one, 128 does not.
            top = _byte(digits, b)
            fits = top < 128 or (negative and top == 128 and bottom == b)
            low, high = min(low, bottom), max(high, b if fits else b + 1)
        if high >= 0:
            lows[g], widths[g] = low, high - low + 1
    return lows, widths


@kernel
def _fill(
    limbs: NDArray[np.int64],
    first: int,
    groups: NDArray[np.int64],
    lows: NDArray[np.int64],
    widths: NDArray[np.int64],
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
) -> None:
    digits = np.zeros(limbs.shape[1] + 2, np.uint64)
    for g in range(len(groups) - 1):
        p = offsets[g]
        low = lows[g] + 4 * first if widths[g] else 0
        data[p], data[p + 1] = np.uint8(low & 0xFF), np.uint8((low >> 8) & 0xFF)
        data[p + 2], data[p + 3] = np.uint8(widths[g] & 0xFF), np.uint8(widths[g] >> 8)
        p += 4
        for i in range(groups[g], groups[g + 1]):
            short, word = _as_word(limbs[i])
            if short:
                for b in range(lows[g], lows[g] + widths[g]):
                    data[p] = np.uint8((word >> min(8 * b, 63)) & 0xFF)
                    p += 1
                continue
            negative = carry(limbs[i], digits)
            borrow = 1
            for b in range(widths[g]):
                byte = _byte(digits, lows[g] + b) if lows[g] + b < 4 * len(digits) else 0
                if negative:
                    byte = (byte ^ 0xFF) + borrow
                    borrow = byte >> 8
                data[p] = np.uint8(byte & 0xFF)
                p += 1


@kernel
def _block_span(
    data: NDArray[np.uint8],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
    end: NDArray[np.int64],
) -> tuple[int, int]:
    """The lowest byte and the end over all blocks, on the grid; checks that they are there."""
    low, high = 1 << 30, -(1 << 30)
    for r in range(len(at)):
        need(at[r], HEADER, end[r])
        start, width = _header(data, at[r])
        need(at[r] + HEADER, width * counts[r], end[r])
        if width:
            # Off the grid is as wrong as past the end.
            need(LOWEST, start - LOWEST, HIGHEST)
            need(start, width, HIGHEST)
            low, high = min(low, start), max(high, start + width)
    if low > high:
        return 0, 4
    return low, high


@inline
def _header(data: NDArray[np.uint8], p: int) -> tuple[int, int]:
    low = int(np.int64(data[p]) | (np.int64(data[p + 1]) << 8))
    if low >= 1 << 15:
        low -= 1 << 16
    return low, int(np.int64(data[p + 2]) | (np.int64(data[p + 3]) << 8))


@kernel
def _read(
    data: NDArray[np.uint8],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
    first: int,
    columns: int,
) -> NDArray[np.int64]:
    out = np.zeros((counts.sum(), columns), np.int64)
    k = 0
    for r in range(len(at)):
        low, width = _header(data, at[r])
        p = at[r] + 4
        for _ in range(counts[r]):
            for b in range(width):
                place = low + b - 4 * first
                byte = np.int64(data[p + b])
                if b == width - 1 and byte >= 128:
                    byte -= 256
                out[k, place // 4] += byte << (8 * (place % 4))
            p += width
            k += 1
        at[r] = p
    return out


@kernel
def _any_in_groups(counters: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    out = np.zeros(len(groups) - 1, np.bool_)
    for g in range(len(out)):
        for i in range(groups[g], groups[g + 1]):
            for c in range(counters.shape[1]):
                if counters[i, c]:
                    out[g] = True
    return out


@kernel
def _fill_rare(
    raw: NDArray[np.uint8],
    groups: NDArray[np.int64],
    any_set: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
) -> None:
    for g in range(len(groups) - 1):
        if any_set[g]:
            p = offsets[g]
            data[p] = 1
            p += 1
            for i in range(groups[g], groups[g + 1]):
                for b in range(raw.shape[1]):
                    data[p] = raw[i, b]
                    p += 1
