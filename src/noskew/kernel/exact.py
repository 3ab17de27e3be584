"""Exact sums: order cannot matter because nothing is rounded before the end.

A sum is a fixed-point integer on one grid: limb ``j`` holds the bits of weight ``2^(32·j)`` up
to ``2^(32·j+31)``. A batch uses the limbs ``[first, first + width)`` that its values need (two
or three for ordinary data; 68 would hold every float64). Limbs are int64 and may be negative
or carry-laden: 2^31 of them add up without overflow, so sums, differences and prefix sums are
plain integer arithmetic, limb by limb, and only :func:`round_quotient` carries and rounds.

Source: the long accumulator of Kulisch (2013), on 32-bit digits as in Neal, "Fast exact
summation using small and large superaccumulators" (2015).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import inline, kernel

Limbs = NDArray[np.int64]
_LOW = np.int64(0xFFFFFFFF)
_FRACTION = np.uint64((1 << 52) - 1)


@inline
def split_float(x: float) -> tuple[int, int]:
    """(m, e) with ``|x| = m · 2^e`` for a finite x; m < 2^53."""
    bits = np.float64(x).view(np.uint64)
    e = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    m = np.int64(bits & _FRACTION)
    if e == 0:
        return int(m), -1074
    return int(m | np.int64(1 << 52)), int(e - 1075)


@kernel
def float_span(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Limbs ``[first, end)`` that hold every masked, finite value; (0, 1) for none."""
    low, high = 1 << 30, -1
    for i in range(len(values)):
        if not mask[i]:
            continue
        bits = np.float64(values[i]).view(np.int64)
        e = (bits >> 52) & 0x7FF
        m = bits & 0xFFFFFFFFFFFFF
        if e == 0x7FF or (e == 0 and m == 0):
            continue
        if e == 0:
            e = np.int64(1)
        else:
            m |= 1 << 52
        # The weight of the lowest set bit, read off its own exponent as a float.
        bottom = np.float64(m & -m).view(np.int64) >> 52
        low, high = min(low, int(e + bottom)), max(high, int(e))
    if high < 0:
        return 0, 1
    low, high = low - 1075 - 1023, high - 1075 + 53
    # One limb above the highest bit takes the carries.
    return low // 32, (high - 1) // 32 + 2


@inline
def _place(limbs: Limbs, piece: np.uint64, bit: int, negative: bool) -> None:
    """Add ``piece · 2^bit`` (bit counted from the first limb; may be negative if exact)."""
    if bit < 0:
        piece = np.uint64(piece >> np.uint64(-bit))
        bit = 0
    at, shift = bit // 32, bit % 32
    low = np.int64((piece << np.uint64(shift)) & np.uint64(0xFFFFFFFF))
    middle = np.int64((piece >> np.uint64(32 - shift)) & np.uint64(0xFFFFFFFF))
    high = np.int64(0) if shift == 0 else np.int64(piece >> np.uint64(64 - shift))
    sign = np.int64(-1) if negative else np.int64(1)
    limbs[at] += sign * low
    if middle != 0:
        limbs[at + 1] += sign * middle
    if high != 0:
        limbs[at + 2] += sign * high


@kernel
def lift_floats(
    values: NDArray[np.float64], mask: NDArray[np.bool_], first: int, width: int
) -> Limbs:
    """Each value as limbs, shape (n, width + 3); the last three count NaN, +Inf and −Inf."""
    out = np.zeros((len(values), width + 3), np.int64)
    for i in range(len(values)):
        if not mask[i]:
            continue
        x = values[i]
        if np.isnan(x):
            out[i, width] = 1
        elif np.isinf(x):
            out[i, width + (1 if x > 0 else 2)] = 1
        elif x != 0.0:
            m, e = split_float(x)
            _place(out[i, :width], np.uint64(m), e - 32 * first, x < 0)
    return out


@kernel
def lift_float_squares(
    values: NDArray[np.float64], mask: NDArray[np.bool_], first: int, width: int
) -> Limbs:
    """Each finite value's exact square as limbs, shape (n, width); others are zero."""
    out = np.zeros((len(values), width), np.int64)
    for i in range(len(values)):
        x = values[i]
        if not mask[i] or not np.isfinite(x) or x == 0.0:
            continue
        m, e = split_float(x)
        while m & 1 == 0:
            m >>= 1
            e += 1
        high, low = m >> 27, m & ((1 << 27) - 1)
        bit = 2 * e - 32 * first
        _place(out[i], np.uint64(low * low), bit, False)
        _place(out[i], np.uint64(2 * high * low), bit + 27, False)
        _place(out[i], np.uint64(high * high), bit + 54, False)
    return out


@kernel
def lift_integers(values: NDArray[np.int64], mask: NDArray[np.bool_]) -> Limbs:
    """Each integer as limbs 0 and 1, shape (n, 5): the layout of :func:`lift_floats`."""
    out = np.zeros((len(values), 5), np.int64)
    for i in range(len(values)):
        if mask[i]:
            out[i, 0] = values[i] & _LOW
            out[i, 1] = values[i] >> 32
    return out


@kernel
def lift_integer_squares(values: NDArray[np.int64], mask: NDArray[np.bool_]) -> Limbs:
    """Each integer's square as limbs 0 to 4, shape (n, 5)."""
    out = np.zeros((len(values), 5), np.int64)
    for i in range(len(values)):
        if mask[i]:
            # |−2^63| = 2^63 fits uint64.
            x = np.uint64(-values[i]) if values[i] < 0 else np.uint64(values[i])
            low, high = x & np.uint64(0xFFFFFFFF), x >> np.uint64(32)
            _place(out[i], low * low, 0, False)
            middle = low * high
            _place(out[i], middle, 32, False)
            _place(out[i], middle, 32, False)
            _place(out[i], high * high, 64, False)
    return out


@inline
def carry(limbs: Limbs, digits: NDArray[np.uint64]) -> bool:
    """Write |Σ limbs| as base-2^32 digits (as many as fit in ``digits``); True if negative."""
    negative = False
    for attempt in range(2):
        rest = np.int64(0)
        for j in range(len(digits)):
            limb = np.int64(0)
            if j < len(limbs):
                limb = -limbs[j] if negative else limbs[j]
            total = limb + rest
            digits[j] = np.uint64(total & _LOW)
            rest = total >> 32
        if rest >= 0:
            return negative
        negative = not negative
        if attempt == 1:
            break
    return negative


@inline
def _round_digits(digits: NDArray[np.uint64], bit0: int, sticky: bool) -> float:
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
    if exponent + 63 > 1023:
        return np.inf
    drop = 11 if exponent + 63 >= -1022 else 11 + (-1022 - (exponent + 63))
    if drop > 64:
        return 0.0
    kept = np.uint64(0) if drop == 64 else word >> np.uint64(drop)
    half = np.uint64(1) << np.uint64(drop - 1)
    rest = (
        word if drop == 64 else word & np.uint64((np.uint64(1) << np.uint64(drop)) - np.uint64(1))
    )
    if rest > half or (rest == half and (sticky or (kept & np.uint64(1)) == 1)):
        kept += np.uint64(1)
    return math.ldexp(float(kept), exponent + drop)


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
def round_quotient(limbs: Limbs, first: int, divisor: int) -> float:
    """``Σ limbs / divisor``, rounded once to the nearest even float64; a zero sum is +0.0."""
    # Four digits below the point give the quotient at least 96 significant bits.
    digits = np.zeros(len(limbs) + 2 + 4, np.uint64)
    negative = carry(limbs, digits[4:])
    sticky = False
    if divisor != 1:
        sticky = divide(digits, divisor)
    value = _round_digits(digits, 32 * (first - 4), sticky)
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
    return _round_digits(digits, 32 * (low - 6), sticky)
