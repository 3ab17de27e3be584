"""Exact sums: order cannot matter because nothing is rounded before the end.

A sum is a fixed-point integer on one grid: limb ``j`` holds the bits of weight ``2^(32·j)`` up
to ``2^(32·j+31)``. A batch uses the limbs ``[first, first + width)`` that its values need (two
or three for ordinary data; 68 would hold every float64). Limbs are int64 and may be negative
or carry-laden: 2^31 of them add up without overflow, so sums, differences and prefix sums are
plain integer arithmetic, limb by limb; only :mod:`noskew.kernel.exact.rounding` carries and rounds.

Source: the long accumulator of Kulisch (2013), on 32-bit digits as in Neal, "Fast exact
summation using small and large superaccumulators" (2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import inline, kernel

Limbs = NDArray[np.int64]
_LOW = np.int64(0xFFFFFFFF)
_FRACTION = np.uint64((1 << 52) - 1)
#: A float64 as int64, without its sign; from infinity on it is no finite number.
_MAGNITUDE, _INFINITE = np.int64((1 << 63) - 1), np.int64(0x7FF << 52)


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
def float_range(bits: NDArray[np.int64]) -> tuple[int, int, bool]:
    """Exponents ``2^low`` of the lowest bit and ``2^high`` above the highest, and "not finite".

    ``bits`` are float64 values seen as int64. The lowest bit is that of a full fraction, so the
    range may be wider than the values need; (0, 0) if none is other than zero. "Not finite" is
    whether there is a NaN or an infinity; these have no part in the range.
    """
    least, most, all_most = _INFINITE, np.int64(0), np.int64(0)
    for i in range(len(bits)):
        # Selections and no branches: this loop runs eight values at a time.
        magnitude = bits[i] & _MAGNITUDE
        all_most = max(all_most, magnitude)
        finite = magnitude if magnitude < _INFINITE else np.int64(0)
        most = max(most, finite)
        least = min(least, finite if finite > 0 else _INFINITE)
    if most == 0:
        return 0, 0, bool(all_most >= _INFINITE)
    low = max(least >> 52, np.int64(1)) - 1075
    high = max(most >> 52, np.int64(1)) - 1075 + 53
    return int(low), int(high), bool(all_most >= _INFINITE)


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
def lift_floats(values: NDArray[np.float64], first: int, width: int) -> Limbs:
    """Each finite value as limbs, shape (n, width); others are zero."""
    out = np.zeros((len(values), width), np.int64)
    for i in range(len(values)):
        x = values[i]
        if x != 0.0 and np.isfinite(x):
            m, e = split_float(x)
            _place(out[i], np.uint64(m), e - 32 * first, x < 0)
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
