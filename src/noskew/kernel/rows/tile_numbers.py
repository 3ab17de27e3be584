"""The numbers of a group's tiles in packed rows.

::

    4   how many (uint32)
    8   the first, where there is one (int64)
    …   how far each is from the one before (0 for the first): a block of
        :mod:`noskew.kernel.exact.fixed_point`, as narrow as they fit
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.errors import CorruptDataError
from noskew.kernel.cursors import DAMAGED, need
from noskew.kernel.exact import fixed_point
from noskew.kernel.jit import inline, kernel
from noskew.kernel.ragged import Ragged, concat

#: Tiles of a microsecond, in the years 1 to 9999, have numbers well below.
_FAR = 1 << 60


def pack_numbers(offsets: NDArray[np.int64], number: NDArray[np.int64]) -> Ragged:
    """What follows the count, for each entity; entity e has ``offsets[e]:offsets[e + 1]``."""
    there = np.diff(offsets) > 0
    first = number[offsets[:-1][there]]
    starts = np.zeros(len(offsets), np.int64)
    np.cumsum(there * 8, out=starts[1:])
    steps = np.diff(number, prepend=0)
    steps[offsets[:-1][there]] = 0
    block = fixed_point.pack_integers(steps.reshape(-1, 1), 0, offsets)
    return concat([Ragged(starts, first.astype("<i8").view(np.uint8)), block])


@inline
def read_integer(data: NDArray[np.uint8], at: int, size: int) -> int:
    """``size`` bytes (at most 8), little-endian, two's complement."""
    code = np.int64(0)
    for b in range(size):
        byte = np.int64(data[at + b])
        if b == size - 1 and byte >= 128:
            byte -= 256
        code += byte << (8 * b)
    return int(code)


@inline
def count_tiles(data: NDArray[np.uint8], at: int, end: int, numbered: bool) -> tuple[int, int]:
    """How many tiles a group has, and where their states begin; checks that all is there."""
    need(at, 4, end)
    count = read_integer(data, at, 4)
    if not numbered:  # without a hop there is one tile
        if count < 0 or count > 1:
            raise CorruptDataError(DAMAGED)
        return count, at + 4
    start = at + 4 + (8 if count else 0)
    need(start, 4, end)
    low, width = read_integer(data, start, 2), read_integer(data, start + 2, 2)
    # Tiles have different numbers, so a second one takes a byte at least: memory is set
    # aside by this count. A step is an int64.
    if count < 0 or low < 0 or width < 0 or low + width > 8 or (count > 1 and width == 0):
        raise CorruptDataError(DAMAGED)
    need(start + 4, count * width, end)
    return count, start + 4 + count * width


@inline
def read_tile_numbers(
    data: NDArray[np.uint8], at: int, count: int, number: NDArray[np.int64]
) -> int:
    """Write the tile numbers of the group at ``at``, which is there; where its states begin."""
    p, tile = at + 4, np.int64(0)
    if count:
        tile = np.int64(read_integer(data, p, 8))
        p += 8
    low, width = read_integer(data, p, 2), read_integer(data, p + 2, 2)
    p += 4
    for k in range(count):
        step = read_integer(data, p, width) << (8 * low)
        p += width
        tile += step
        # Ascending, and so far from the ends that no arithmetic on them overflows.
        ascends = step > 0 if k else step == 0
        if not ascends or tile < -_FAR or tile > _FAR:
            raise CorruptDataError(DAMAGED)
        number[k] = tile
    return p


@kernel
def read_numbers(
    data: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(counts, offsets, numbers) of the tiles of a group; moves the cursors on."""
    counts, offsets = np.zeros(len(at), np.int64), np.zeros(len(at) + 1, np.int64)
    for r in range(len(at)):
        counts[r], _ = count_tiles(data, at[r], end[r], True)
        offsets[r + 1] = offsets[r] + counts[r]
    number = np.empty(offsets[-1], np.int64)
    for r in range(len(at)):
        at[r] = read_tile_numbers(data, at[r], counts[r], number[offsets[r] :])
    return counts, offsets, number
