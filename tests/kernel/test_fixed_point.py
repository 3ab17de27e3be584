"""Blocks of exact integers: the tightest bytes, for integers of any size and any limbs."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noskew.kernel.cursors import Reader
from noskew.kernel.exact import fixed_point

Group = list[list[int]]


def worth(limbs: list[int]) -> int:
    return sum(limb << (32 * j) for j, limb in enumerate(limbs))


def naive_block(group: Group, first: int) -> bytes:
    """As the module's text says, by Python's integers."""
    numbers = [worth(limbs) for limbs in group]
    if not any(numbers):
        return bytes(4)
    low = 0
    while all(n % 256 ** (low + 1) == 0 for n in numbers):
        low += 1
    width = 1
    while any(not -(256**width) // 2 <= n >> (8 * low) < 256**width // 2 for n in numbers):
        width += 1
    parts = [(n >> (8 * low)).to_bytes(width, "little", signed=True) for n in numbers]
    return struct.pack("<hH", low + 4 * first, width) + b"".join(parts)


LIMBS = st.sampled_from([0, 0, 1, -1, 127, 128, -128, -129, 255, 256, 1 << 29, -(1 << 29)]) | (
    st.integers(-(1 << 33), 1 << 33) | st.integers(-(1 << 62), 1 << 62)
)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[Group], int]:
    width = draw(st.integers(1, 5))
    limbs = st.lists(LIMBS, min_size=width, max_size=width)
    # The top limb has room for carries, as the kernel's sums do.
    limbs = limbs.map(lambda ls: [*ls[:-1], max(min(ls[-1], 1 << 61), -(1 << 61))])
    return draw(st.lists(st.lists(limbs, max_size=4), min_size=1, max_size=4)), width


@given(grouped(), st.integers(-60, 60))
@example(([[[128, 0]], [[-128, 0]], [[-(1 << 62) + 1, (1 << 29) - 1]]], 2), 0)
@example(([[[1 << 31, -1, 0], [-(1 << 31), 0, 0]], [[0, 0, 1]]], 3), -2)
def test_blocks_are_the_tightest_and_come_back(made: tuple[list[Group], int], first: int) -> None:
    groups, width = made
    limbs = np.array([ls for group in groups for ls in group], np.int64).reshape(-1, width)
    offsets = np.cumsum([0, *map(len, groups)])
    packed = fixed_point.pack_integers(limbs, first, offsets)
    assert packed.to_list() == [naive_block(group, first) for group in groups]
    counts = np.diff(offsets)
    reader = Reader(packed.data, packed.offsets[:-1].copy(), counts, packed.offsets[1:])
    back, start = fixed_point.unpack_integers(reader)
    assert reader.at.tolist() == packed.offsets[1:].tolist()
    shift = 32 * (start - first)
    numbers = [worth(ls) for ls in back.tolist()]
    assert [n << shift if shift >= 0 else n >> -shift for n in numbers] == [
        worth(ls) for group in groups for ls in group
    ]


@pytest.mark.parametrize("number", [127, 128, -128, -129, 32_767, -32_767, (1 << 62) - 1])
def test_the_sign_takes_a_byte_only_where_it_must(number: int) -> None:
    limbs = np.array([[number, 0]], np.int64)
    width = fixed_point.pack_integers(limbs, 0, np.array([0, 1])).lengths[0] - fixed_point.HEADER
    bytes_needed = ((number if number >= 0 else ~number).bit_length() + 8) // 8
    assert width == bytes_needed
