"""Exact numbers to the nearest float64, ties to even: the one rounding of a sum.

Numbers come as the limbs of :mod:`noskew.kernel.exact.sums`. Nearly all fit 128 bits and go by
machine words; the others go by base-2^32 digits, however many. Both give the same bits.

Source: long division by a single digit, Knuth, The Art of Computer Programming, 4.3.1, ex. 16.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.exact.sums import Limbs, carry
from noskew.kernel.jit import inline

_LOW32 = np.uint64(0xFFFFFFFF)
_ONE, _32, _64 = np.uint64(1), np.uint64(32), np.uint64(64)
#: Below these the third and fourth limb of a number keep it below 2^127.
_THIRD, _FOURTH = 1 << 62, 1 << 30


@inline
def _bit_length(word: np.uint64) -> int:
    """Bits up to the highest set one; 0 for 0."""
    if word == 0:
        return 0
    # Without the bit below the highest, the conversion cannot round up to the next power of two.
    leading = np.float64(word & ~(word >> _ONE))
    return int((leading.view(np.int64) >> 52) - 1022)


@inline
def _round_word(word: np.uint64, exponent: int, sticky: bool) -> float:
    """``word · 2^exponent``, and something below it if sticky; the word's top bit is set."""
    if exponent + 63 > 1023:
        return np.inf
    drop = 11 if exponent + 63 >= -1022 else 11 + (-1022 - (exponent + 63))
    if drop > 64:
        return 0.0
    kept = np.uint64(0) if drop == 64 else word >> np.uint64(drop)
    half = _ONE << np.uint64(drop - 1)
    rest = word if drop == 64 else word & ((_ONE << np.uint64(drop)) - _ONE)
    # No branch: which way it goes is a coin toss.
    kept += np.uint64((rest > half) | ((rest == half) & (sticky | ((kept & _ONE) == 1))))
    weight = exponent + drop
    if weight < -1022:
        return math.ldexp(float(kept), weight)
    # Exact, or beyond the greatest float64 and so infinite: the same as ldexp, without the call.
    return float(kept) * np.int64((weight + 1023) << 52).view(np.float64)


@inline
def round_digits(digits: NDArray[np.uint64], bit0: int, sticky: bool) -> float:
    """``Σ digits · 2^bit0`` (plus something below, if sticky) as the nearest even float64."""
    top = len(digits) - 1
    while top >= 0 and digits[top] == 0:
        top -= 1
    if top < 0:
        return 0.0
    length = 0
    while length < 32 and (digits[top] >> np.uint64(length)) != 0:
        length += 1
    # The leading 64 bits, and whether any bit follows.
    word = np.uint64(digits[top]) << np.uint64(64 - length)
    filled = length
    j = top - 1
    while j >= 0 and filled < 64:
        if filled + 32 <= 64:
            word |= digits[j] << np.uint64(64 - filled - 32)
        else:
            word |= digits[j] >> np.uint64(filled + 32 - 64)
            if digits[j] & np.uint64((1 << (filled - 32)) - 1):
                sticky = True
        filled += 32
        j -= 1
    while j >= 0 and not sticky:
        sticky = digits[j] != 0
        j -= 1
    exponent = bit0 + 32 * top + length - 64  # weight of the word's lowest bit
    return _round_word(word, exponent, sticky)


@inline
def divide(digits: NDArray[np.uint64], divisor: int) -> bool:
    """Divide digits by ``divisor`` (1 to 2^32 − 1) in place; True if a remainder is left."""
    rest = np.uint64(0)
    d = np.uint64(divisor)
    for j in range(len(digits) - 1, -1, -1):
        part = (rest << np.uint64(32)) | digits[j]
        digits[j] = part // d
        rest = part % d
    return rest != 0


@inline
def two_words(limbs: Limbs) -> tuple[np.uint64, np.uint64, bool]:
    """``Σ limbs[j] · 2^(32·j)`` as (high, low), and whether its magnitude is below 2^127."""
    n = len(limbs)
    if n > 4:
        return np.uint64(0), np.uint64(0), False
    a, b = limbs[0], limbs[1] if n > 1 else np.int64(0)
    c, d = limbs[2] if n > 2 else np.int64(0), limbs[3] if n > 3 else np.int64(0)
    shifted = np.uint64(b) << _32
    low = np.uint64(a) + shifted
    high = np.uint64(c) + (np.uint64(d) << _32) + np.uint64(a >> 63) + np.uint64(b >> 32)
    high += np.uint64(low < shifted)
    return high, low, bool(-_THIRD < c < _THIRD and -_FOURTH < d < _FOURTH)


@inline
def _divide_words(
    high: np.uint64, low: np.uint64, divisor: np.uint64
) -> tuple[np.uint64, int, bool]:
    """The quotient of a 128-bit number, not 0: (word, exponent, sticky) for the rounding.

    The number is shifted to have its top bit set; 96 bits of it give a quotient of 64 and more.
    """
    shift = 64 - _bit_length(high) if high != 0 else 128 - _bit_length(low)
    if shift >= 64:
        high, low = low << np.uint64(shift - 64), np.uint64(0)
    elif shift > 0:
        high = (high << np.uint64(shift)) | (low >> np.uint64(64 - shift))
        low = low << np.uint64(shift)
    if divisor == 1:
        return high, 64 - shift, low != 0
    first = high // divisor
    rest = ((high - first * divisor) << _32) | (low >> _32)
    second = rest // divisor
    sticky = rest != second * divisor or (low & _LOW32) != 0
    length = _bit_length(first)  # 32 to 63: the divisor has at most 32 bits
    word = (first << np.uint64(64 - length)) | (second >> np.uint64(length - 32))
    sticky |= (second & ((_ONE << np.uint64(length - 32)) - _ONE)) != 0
    return word, length - shift, sticky


@inline
def round_words(high: np.uint64, low: np.uint64, first: int, divisor: int) -> float:
    """:func:`round_quotient` of a number that fits :func:`two_words`."""
    negative = high >> np.uint64(63) != 0
    if negative:
        high, low = ~high + np.uint64(low == 0), ~low + _ONE
    if high == 0 and low == 0:
        return 0.0
    word, exponent, sticky = _divide_words(high, low, np.uint64(divisor))
    value = _round_word(word, exponent + 32 * first, sticky)
    return -value if negative else value


@inline
def round_quotient(limbs: Limbs, first: int, divisor: int, digits: NDArray[np.uint64]) -> float:
    """``Σ limbs / divisor``, rounded once to the nearest even float64; a zero sum is +0.0.

    ``divisor`` is 1 to 2^32 − 1; ``digits`` is scratch, six longer than ``limbs``.
    """
    # Four digits below the point give the quotient at least 96 significant bits.
    digits[:4] = 0
    negative = carry(limbs, digits[4:])
    sticky = divide(digits, divisor) if divisor != 1 else False
    value = round_digits(digits, 32 * (first - 4), sticky)
    return -value if negative else value


@inline
def round_variance(sums: Limbs, first: int, squares: Limbs, squares_first: int, n: int) -> float:
    """``(n·Σx² − (Σx)²) / (n·(n−1))`` rounded once, for n ≥ 2."""
    s = np.zeros(len(sums) + 2, np.uint64)
    carry(sums, s)
    q = np.zeros(len(squares) + 2, np.uint64)
    carry(squares, q)
    low = min(2 * first, squares_first)
    high = max(2 * first + 2 * len(s), squares_first + len(q) + 1)
    total = np.zeros(high - low + 1, np.int64)
    at = squares_first - low
    for j in range(len(q)):
        part = q[j] * np.uint64(n)
        total[at + j] += np.int64(part & np.uint64(0xFFFFFFFF))
        total[at + j + 1] += np.int64(part >> np.uint64(32))
    at = 2 * first - low
    for i in range(len(s)):
        if s[i] != 0:
            for j in range(len(s)):
                part = s[i] * s[j]
                total[at + i + j] -= np.int64(part & np.uint64(0xFFFFFFFF))
                total[at + i + j + 1] -= np.int64(part >> np.uint64(32))
    # Six digits below the point: two divisors of 32 bits leave 96 bits and more.
    digits = np.zeros(len(total) + 1 + 6, np.uint64)
    carry(total, digits[6:])
    sticky = divide(digits, n)
    if divide(digits, n - 1):
        sticky = True
    return round_digits(digits, 32 * (low - 6), sticky)
