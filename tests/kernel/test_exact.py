"""Exact sums against fractions: one rounding, at the very end, whatever the values."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from noskew.errors import CorruptDataError
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.aggregates.exact_state import SPECIALS, Additive, unpack_additive
from noskew.kernel.aggregates.prefix_sums import PrefixCounts, PrefixSums
from noskew.kernel.aggregates.sum import quotients
from noskew.kernel.aggregates.variance import _variances
from noskew.kernel.cursors import Reader
from noskew.kernel.exact import fixed_point, sums

LEAST, GREATEST = 5e-324, 1.7976931348623157e308
LONG_MAX, LONG_MIN = 2**63 - 1, -(2**63)
NORMAL = 2.2250738585072014e-308
finite = st.floats(allow_nan=False, allow_infinity=False)
edges = st.sampled_from(
    [
        0.0,
        -0.0,
        LEAST,
        -LEAST,
        NORMAL,
        -NORMAL,
        math.nextafter(NORMAL, 0),
        1.0,
        -1.0,
        0.1,
        1 + 2**-52,
        2.0**53,
        2.0**53 + 2,
        1e308,
        -1e308,
        GREATEST,
        -GREATEST,
        2.0**1023,
        2.0**-1022,
    ]
)
floats = st.lists(st.one_of(edges, finite), min_size=1, max_size=8)
longs = st.lists(
    st.one_of(
        st.sampled_from([0, 1, -1, LONG_MAX, LONG_MIN, 2**32, -(2**31)]),
        st.integers(LONG_MIN, LONG_MAX),
    ),
    min_size=1,
    max_size=8,
)


def rounded(value: Fraction) -> float:
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def bits(x: float) -> bytes:
    return struct.pack(">d", x)


def lifted(values: Sequence[float]) -> tuple[NDArray[np.int64], int]:
    numbers, mask = np.array(values, np.float64), np.ones(len(values), bool)
    first, end = sums.float_span(numbers, mask)
    return sums.lift_floats(numbers, first, end - first), first


def worth(limbs: NDArray[np.int64], first: int) -> Fraction:
    return sum(
        (Fraction(int(v)) * Fraction(2) ** (32 * (first + j)) for j, v in enumerate(limbs)),
        Fraction(0),
    )


@given(floats)
@example([1e308, 5e-324])
@example([GREATEST, LEAST, -GREATEST])
def test_lifted_floats_are_worth_themselves(values: list[float]) -> None:
    matrix, first = lifted(values)
    for row, value in zip(matrix, values, strict=True):
        assert worth(row, first) == Fraction(value)


@given(floats)
@example([1e308, 5e-324])
def test_lifted_squares_are_exact(values: list[float]) -> None:
    numbers, mask = np.array(values, np.float64), np.ones(len(values), bool)
    first, end = sums.float_span(numbers, mask)
    squares = sums.lift_float_squares(numbers, mask, 2 * first, 2 * (end - first) + 2)
    for row, value in zip(squares, values, strict=True):
        assert worth(row, 2 * first) == Fraction(value) ** 2


@given(longs)
def test_lifted_squares_of_integers_are_exact(values: list[int]) -> None:
    numbers, mask = np.array(values, np.int64), np.ones(len(values), bool)
    squares = sums.lift_integer_squares(numbers, mask)
    for square, value in zip(squares, values, strict=True):
        assert worth(square, 0) == value**2


def all_ranges(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lo, hi = np.triu_indices(n + 1)
    return lo.astype(np.int64), hi.astype(np.int64)


@given(st.one_of(floats, st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=40)))
@example([2.0**62, -(2.0**-52)])  # the most that 128 bits hold, and a sum that is negative
@example([2.0**63, 2.0**-53])  # one more: limbs
@example([-1.0, 0.0, -0.0, 1.0])
@example([0.0])
@example([LEAST, -LEAST])
def test_sums_of_every_range_of_floats_are_exact(values: list[float]) -> None:
    """By words or by limbs, as lifted or taken apart and put together again."""
    lo, hi = all_ranges(len(values))
    running = PrefixSums.of_floats(np.array(values))
    parts = [running.take(np.array([k])) for k in range(len(values))]
    for lifted_form in (running, Additive.concat(parts)):
        sums = lifted_form.merge(lo, hi)
        for row, a, b in zip(sums.limbs, lo, hi, strict=True):
            assert worth(row, sums.first) == sum(map(Fraction, values[a:b]), Fraction(0))
        assert sums.specials is None


def test_most_floats_go_by_words() -> None:
    """Prices, fractions and counts of ordinary size; the fallback is for the others."""
    for scale in (1.0, 1e-3, 1e6, 1e12):
        assert isinstance(PrefixSums.of_floats(np.linspace(scale / 99, scale, 1000)), PrefixSums)
    assert isinstance(PrefixSums.of_floats(np.array([1e-9, 1e30])), Additive)


@given(longs)
@example([LONG_MIN] * 8)
@example([LONG_MAX] * 8)
def test_sums_of_every_range_of_integers_are_exact(values: list[int]) -> None:
    lo, hi = all_ranges(len(values))
    sums = PrefixSums.of_integers(np.array(values, np.int64)).merge(lo, hi)
    for row, a, b in zip(sums.limbs, lo, hi, strict=True):
        assert worth(row, sums.first) == sum(values[a:b])
        assert abs(row).max() < 2**32


@given(
    st.lists(
        st.sampled_from([1.5, -2.0, 1e200, math.nan, math.inf, -math.inf]), min_size=1, max_size=6
    )
)
def test_numbers_that_are_not_finite_are_counted_beside_the_sum(values: list[float]) -> None:
    """In sums by words and by limbs (1e200 beside 1.5) alike, and through bytes."""
    lo, hi = all_ranges(len(values))
    sums = PrefixSums.of_floats(np.array(values)).merge(lo, hi)
    groups = np.arange(len(sums) + 1)
    packed = sums.pack(groups)
    reader = Reader(packed.data, packed.offsets[:-1].copy(), np.diff(groups), packed.offsets[1:])
    expected = [float(sum(values[a:b])) for a, b in zip(lo, hi, strict=True)]
    for form in (sums, unpack_additive(reader, SPECIALS)):
        found = quotients(form, np.ones(len(lo), np.int64))
        for x, y in zip(found, expected, strict=True):
            assert (math.isnan(x) and math.isnan(y)) or math.isfinite(y) or x == y


@given(st.lists(st.booleans(), max_size=8))
def test_counts_of_every_range(mask: list[bool]) -> None:
    lo, hi = all_ranges(len(mask))
    counts = count_values(PrefixCounts.of(np.array(mask, bool)).merge(lo, hi))
    assert counts.tolist() == [sum(mask[a:b]) for a, b in zip(lo, hi, strict=True)]


MOST = 2**63 - 2**31  # in a limb: 2^31 times 2^32 − 1
limbs_of_any_size = st.lists(
    st.one_of(
        st.integers(-(2**62), 2**62),
        st.integers(-3, 3),
        st.sampled_from([MOST, -MOST, 2**30, 2**30 - 1, 2**32 - 1]),
    ),
    min_size=1,
    max_size=6,
)


@given(limbs_of_any_size, st.integers(-36, 31), st.sampled_from([1, 2, 3, 7, 10, 2**32 - 1]))
@example([0, 0, 2**62 - 1, 2**30 - 1], 0, 1)  # the most that goes by words
@example([0, 0, 2**62], 0, 3)
@example([1, 0, 0, 2**29], -2, 3)  # sticky by the very last bit
@example([2**32 - 1, 2**32 - 1, -1], 0, 1)  # −1 by carries
@example([2**11, 2**31 + 1], -34, 1)  # half of the least subnormal, and more
def test_words_and_digits_round_alike(limbs: list[int], first: int, divisor: int) -> None:
    """Numbers go by words up to 2^127 and by digits above; both are the nearest, ties to even."""
    number = worth(np.array(limbs, object), first)
    expected = rounded(number / divisor) if number else 0.0
    state = Additive(np.array([limbs], np.int64), first)
    assert bits(quotients(state, np.array([divisor]))[0]) == bits(expected)
    wide = Additive(np.array([[0, 0, 0, *limbs, 0, 0]], np.int64), first - 3)
    assert bits(quotients(wide, np.array([divisor]))[0]) == bits(expected)


@given(floats, st.sampled_from([1, 2, 3, 7, 10, 2**31 - 1]))
@example([LEAST], 2)
@example([3 * LEAST], 2)
@example([-LEAST], 2)
@example([-LEAST], 3)
@example([GREATEST, GREATEST], 1)
@example([GREATEST, GREATEST], 2)
@example([GREATEST, 2.0**970], 1)  # half an ulp: ties to even, so up and out of range
@example([GREATEST, math.nextafter(2.0**970, 0)], 1)
@example([1.0, 2.0**-53, LEAST], 1)  # just above a tie, by a bit a thousand places down
@example([1.0, 2.0**-53], 1)
@example([NORMAL, -LEAST], 2)
def test_quotients_are_rounded_once(values: list[float], divisor: int) -> None:
    matrix, first = lifted(values)
    total = matrix.sum(axis=0, keepdims=True)
    found = quotients(Additive(total, first), np.array([divisor]))[0]
    expected = rounded(sum(map(Fraction, values), Fraction(0)) / divisor)
    assert bits(found) == bits(expected)


@given(floats)
@example([LEAST, 3 * LEAST])
@example([1e308, -1e308])
@example([GREATEST, -GREATEST, LEAST])
@example([1.0, 1.0, 1.0])
@example([1e16 + 2, 1e16, 1e16 + 4])
@example([2.0**-537, 0.0])
def test_variances_are_rounded_once(values: list[float]) -> None:
    values = values if len(values) > 1 else values * 2
    matrix, first = lifted(values)
    numbers, mask = np.array(values, np.float64), np.ones(len(values), bool)
    width = 2 * matrix.shape[1] + 2
    squares = sums.lift_float_squares(numbers, mask, 2 * first, width)
    found = _variances(
        matrix.sum(axis=0, keepdims=True),
        first,
        squares.sum(axis=0, keepdims=True),
        2 * first,
        np.array([len(values)]),
    )[0]
    mean = sum(map(Fraction, values), Fraction(0)) / len(values)
    spread = sum(((Fraction(v) - mean) ** 2 for v in values), Fraction(0))
    assert bits(found) == bits(rounded(spread / (len(values) - 1)))


@given(longs)
@example([LONG_MAX, LONG_MIN])
@example([LONG_MAX, LONG_MAX - 1])
def test_variances_of_integers(values: list[int]) -> None:
    values = values if len(values) > 1 else values * 2
    numbers, mask = np.array(values, np.int64), np.ones(len(values), bool)
    sums = PrefixSums.of_integers(numbers).merge(np.array([0]), np.array([len(values)]))
    squares = sums.lift_integer_squares(numbers, mask)
    found = _variances(
        sums.limbs,
        0,
        squares.sum(axis=0, keepdims=True),
        0,
        np.array([len(values)]),
    )[0]
    mean = Fraction(sum(values), len(values))
    spread = sum(((v - mean) ** 2 for v in values), Fraction(0))
    assert bits(found) == bits(rounded(spread / (len(values) - 1)))


def test_large_numbers_beside_small_ones_change_nothing() -> None:
    """Rows by words, by digits, with divisor 0 and without a number, in one call."""
    small, large, none = [3, 0, 0, 0, 0], [1, 0, 0, 0, 7], [0, 0, 0, 0, 0]
    rows = Additive(np.array([small, large, small, none, large, large]), 0)
    found = quotients(rows, np.array([2, 1, 0, 5, 0, 3]))
    whole = Fraction(1) + 7 * Fraction(2) ** 128
    assert found.tolist() == [1.5, float(whole), 0.0, 0.0, 0.0, float(whole / 3)]


def test_limbs_have_room_for_two_to_the_31_values() -> None:
    """A value adds less than 2^32 to a limb; as many as 2^31 stay below 2^63.

    The sum of the worst value 2^31 − 1 times over, made at once: no limb wraps, and it rounds
    to what fractions say. Squares add up to three pieces to a limb, so theirs is a quarter.
    """
    count = 2**31 - 1
    for value in (math.nextafter(2.0**32, 0), -math.nextafter(2.0**64, 0), 0.1, GREATEST):
        matrix, first = lifted([value])
        assert abs(matrix).max() < 2**32
        total = matrix * np.int64(count)
        assert worth(total[0], first) == Fraction(value) * count
        found = quotients(Additive(total, first), np.array([1]))[0]
        assert bits(found) == bits(rounded(Fraction(value) * count))
    one = np.ones(1, bool)
    for number in (LONG_MIN, LONG_MAX, -1, 2**32 - 1):
        running = PrefixSums.of_integers(np.array([number]))
        assert abs(running.take(np.zeros(1, np.int64)).limbs).max() < 2**32
        assert abs(sums.lift_integer_squares(np.array([number]), one)).max() < 4 * 2**32


@given(
    st.lists(
        st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4), min_size=1, max_size=4
    ),
    st.integers(-67, 60),
)
@example([[0, 0]], 3)
@example([[-(2**31)]], 0)
@example([[128], [-128], [255], [-1]], 0)
@example([[1, -1], [0, 0]], -67)
def test_fixed_point_numbers_come_back(numbers: list[list[int]], first: int) -> None:
    width = max(map(len, numbers))
    limbs = np.array([row + [0] * (width - len(row)) for row in numbers], np.int64)
    for groups in ([0, len(numbers)], [0, 0, 1, len(numbers)]):
        packed = fixed_point.pack_integers(limbs, first, np.array(groups))
        counts = np.diff(groups)
        reader = Reader(packed.data, packed.offsets[:-1].copy(), counts, packed.offsets[1:])
        back, grid = fixed_point.unpack_integers(reader)
        assert (reader.at == packed.offsets[1:]).all()
        for before, after in zip(limbs, back, strict=True):
            assert worth(after, grid) == worth(before, first)
        again = fixed_point.pack_integers(back, grid, np.array(groups))
        assert again.to_list() == packed.to_list()


def test_fixed_point_blocks_are_as_tight_as_documented() -> None:
    """int16 low, uint16 width, then two's complement, little-endian, of the bytes in use."""

    def block(*limbs: list[int], first: int = 0) -> str:
        made = np.array(limbs, np.int64)
        return (
            fixed_point.pack_integers(made, first, np.array([0, len(made)])).to_list()[0].hex(" ")
        )

    assert block([0]) == "00 00 00 00"
    assert block([127]) == "00 00 01 00 7f"
    assert block([128]) == "00 00 02 00 80 00"
    assert block([-128]) == "00 00 01 00 80"
    assert block([-129]) == "00 00 02 00 7f ff"
    assert block([256]) == "01 00 01 00 01"
    assert block([1], first=-1) == "fc ff 01 00 01"
    assert block([1], [256]) == "00 00 02 00 01 00 00 01"
    assert block([-1, 1]) == "00 00 05 00 ff ff ff ff 00"  # 2^32 − 1


def test_equal_numbers_are_equal_bytes_whatever_their_limbs() -> None:
    """1 as one limb, as a carry to come, and on a wider grid."""
    one = np.array([0, 1])
    plain = fixed_point.pack_integers(np.array([[1, 0]]), 0, one).to_list()
    assert fixed_point.pack_integers(np.array([[1 - 2**32, 1]]), 0, one).to_list() == plain
    assert (
        fixed_point.pack_integers(np.array([[0, 2**32 + 1 - 2**32, 0]]), -1, one).to_list() == plain
    )


@pytest.mark.parametrize(
    "block",
    [
        "",
        "00 00 01",
        "00 00 02 00 01",
        "00 80 01 00 01",
        "ff 7f 01 00 01",
        "00 00 ff ff 01",
        "00 01 20 00" + 32 * " 01",
    ],
)
def test_damaged_blocks_are_refused(block: str) -> None:
    """Too short, off the grid at either end, wider than the row."""
    data = np.frombuffer(bytes.fromhex(block), np.uint8)
    reader = Reader(data, np.zeros(1, np.int64), np.ones(1, np.int64), np.array([len(data)]))
    with pytest.raises(CorruptDataError):
        fixed_point.unpack_integers(reader)
