"""XXH64, the one hash of noskew: buckets of keys, distinct counts.

Source: the xxHash specification by Yann Collet (XXH64, seed 0). It is the same on every
platform, and in every language that has an xxHash library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import inline, kernel

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)


@inline
def _rotate(x: np.uint64, bits: int) -> np.uint64:
    return np.uint64((x << np.uint64(bits)) | (x >> np.uint64(64 - bits)))


@inline
def _round(acc: np.uint64, lane: np.uint64) -> np.uint64:
    return np.uint64(_rotate(np.uint64(acc + lane * _P2), 31) * _P1)


@inline
def _word(data: NDArray[np.uint8], at: int, size: int) -> np.uint64:
    word = np.uint64(0)
    for i in range(size):
        word |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return word


@inline
def xxh64(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """XXH64 with seed 0 of ``data[start:end]``."""
    at = start
    if end - start >= 32:
        v1, v2, v3, v4 = np.uint64(_P1 + _P2), _P2, np.uint64(0), np.uint64(np.uint64(0) - _P1)
        while at + 32 <= end:
            v1 = _round(v1, _word(data, at, 8))
            v2 = _round(v2, _word(data, at + 8, 8))
            v3 = _round(v3, _word(data, at + 16, 8))
            v4 = _round(v4, _word(data, at + 24, 8))
            at += 32
        h = np.uint64(_rotate(v1, 1) + _rotate(v2, 7) + _rotate(v3, 12) + _rotate(v4, 18))
        for v in (v1, v2, v3, v4):
            h = np.uint64((h ^ _round(np.uint64(0), v)) * _P1 + _P4)
    else:
        h = _P5
    h = np.uint64(h + np.uint64(end - start))
    while at + 8 <= end:
        h = np.uint64(
            _rotate(np.uint64(h ^ _round(np.uint64(0), _word(data, at, 8))), 27) * _P1 + _P4
        )
        at += 8
    if at + 4 <= end:
        h = np.uint64(_rotate(np.uint64(h ^ (_word(data, at, 4) * _P1)), 23) * _P2 + _P3)
        at += 4
    while at < end:
        h = np.uint64(_rotate(np.uint64(h ^ (np.uint64(data[at]) * _P5)), 11) * _P1)
        at += 1
    h = np.uint64((h ^ (h >> np.uint64(33))) * _P2)
    h = np.uint64((h ^ (h >> np.uint64(29))) * _P3)
    return np.uint64(h ^ (h >> np.uint64(32)))


@kernel
def hash_slices(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """XXH64 of each ``data[offsets[i]:offsets[i + 1]]``."""
    n = len(offsets) - 1
    out = np.empty(n, np.uint64)
    for i in range(n):
        out[i] = xxh64(data, offsets[i], offsets[i + 1])
    return out


@kernel
def chain_words(states: NDArray[np.uint64], words: NDArray[np.uint64]) -> None:
    """Take one more word into each state, in place, as XXH64 takes eight bytes of a short text."""
    for i in range(len(states)):
        step = _round(np.uint64(0), words[i])
        states[i] = np.uint64(_rotate(np.uint64(states[i] ^ step), 27) * _P1 + _P4)


@kernel
def hash_words(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """XXH64 of each word's eight little-endian bytes."""
    out = np.empty(len(words), np.uint64)
    for i in range(len(words)):
        h = np.uint64(_P5 + np.uint64(8))
        h = np.uint64(_rotate(np.uint64(h ^ _round(np.uint64(0), words[i])), 27) * _P1 + _P4)
        h = np.uint64((h ^ (h >> np.uint64(33))) * _P2)
        h = np.uint64((h ^ (h >> np.uint64(29))) * _P3)
        out[i] = np.uint64(h ^ (h >> np.uint64(32)))
    return out
