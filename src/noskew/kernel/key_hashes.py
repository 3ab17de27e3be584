"""CRC-32 of encoded keys, many at a time.

The same as :func:`zlib.crc32` of each, in a tenth of the time that a call for each takes.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import kernel

_ONES = np.uint32(0xFFFF_FFFF)
_TABLE = np.array([crc32(bytes([i]), 0xFFFF_FFFF) ^ 0xFFFF_FFFF for i in range(256)], np.uint32)
#: What a key that is too long is replaced by begins with; and how long that is.
_DIGEST, _DIGEST_BYTES = (0xFF, 0x7F), 34


def low_hashes(
    keys: bytes, n: int, *, lead: int, parts: int, limit: int
) -> tuple[list[int], list[int]]:
    """Which keys have a hash below ``limit``, and those hashes.

    Parameters
    ----------
    keys
        ``n`` keys of so many ``parts``, encoded as in :mod:`noskew.kernel.keys`, one after the
        other; before each ``lead`` bytes, which are left out.
    """
    at, hashes = _low_hashes(np.frombuffer(keys, np.uint8), n, lead, parts, limit, _TABLE)
    return at.tolist(), hashes.tolist()


@kernel
def _low_hashes(
    data: NDArray[np.uint8], n: int, lead: int, parts: int, limit: int, table: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at, hashes = np.empty(n, np.int64), np.empty(n, np.int64)
    count, place = 0, 0
    for i in range(n):
        place += lead
        end = place
        if data[end] == _DIGEST[0] and data[end + 1] == _DIGEST[1]:
            end += _DIGEST_BYTES
        else:
            for _ in range(parts):
                size, shift = np.int64(0), np.int64(0)
                while data[end] >= 128:
                    size |= np.int64(data[end] & 127) << shift
                    shift += 7
                    end += 1
                size |= np.int64(data[end]) << shift
                end += 1 + int(size)
        state = _ONES
        while place < end:
            state = table[(state ^ data[place]) & np.uint32(255)] ^ (state >> np.uint32(8))
            place += 1
        value = np.int64(state ^ _ONES)
        if value < limit:
            at[count], hashes[count] = i, value
            count += 1
    return at[:count], hashes[:count]
