"""What each aggregate is, in the plainest Python: exact and slow.

The judge of the kernel, so it shares no code with it: Python integers, ``Fraction``, loops. The
rules below are the detail behind the table of SPEC §4. Inputs are the values of one entity's
rows in one window, in the order of (event_time, known_time, sequence), after ``where``; null is
None and is skipped, except where ``nulls=True``.

count            rows, or values that are not null; NaN counts.
sum              exact, rounded once to the output type. Integers and bools outside int64, and
                 decimals beyond 38 digits: null, flagged ``OVERFLOW``. Floats: the real sum
                 rounded to the nearest float64, ties to even; beyond the largest it is ±inf;
                 a zero sum is +0.0. Any NaN, or +inf and −inf together: NaN. float32 values
                 are float64 values before anything is done with them.
mean             the exact quotient rounded once, so a sum out of range does no harm. NaN and inf
                 as for sum. A negative mean too small for float64 rounds to −0.0, as in IEEE.
var, stddev      the exact sample variance rounded once (too large: inf), and the square root of
                 that float64. Below two values null, whatever they are; else NaN if any is not
                 finite.
min, max         NaN only if all are NaN; −0.0 < 0.0; False < True; strings by UTF-8 bytes.
first, last      and first_n, last_n in the order above; the lists are in ascending order.
count_distinct   −0.0 equals 0.0 and NaN equals NaN. At most ``cap`` different values: exact;
                 more: :func:`hyperloglog` of them all.
quantile         NaN is ignored, integers and bools are rounded to float64. Of the n sorted
                 values the one of rank ⌊q·(n−1)⌋ (the product in float64), as the representative
                 of its bucket: :func:`bucket_value`.
top_n            equality as for count_distinct; most frequent first, then the lesser value, NaN
                 last; zeros appear as 0.0. More than ``cap`` different values: null, flagged
                 ``OVER_CAP``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from noskew.clock import to_micros
from noskew.definitions.aggregation import Aggregation
from noskew.errors import missing_extra
from noskew.types import DType

_REGISTER_BITS = 11
_REGISTERS = 1 << _REGISTER_BITS
_REST_BITS = 64 - _REGISTER_BITS
#: 1 / (2 ln 2), the constant of the estimator for infinitely many registers.
_ALPHA = 0.7213475204444817
#: A bucket is the sign, the exponent and the first 6 bits of the fraction of a float64.
_BUCKET_SHIFT = 46


class Flag(StrEnum):
    """Why an aggregate is null although there are values."""

    OVERFLOW = "overflow"
    OVER_CAP = "over_cap"


def aggregate(spec: Aggregation, kind: DType | None, values: Sequence[Any]) -> Any:
    """One aggregate of the values of a window: its value, None for null, or a Flag.

    ``values``: one per row, in the order of (event_time, known_time, sequence); None is null.
    ``kind``: the type of the column; None, as ``spec.column``, for ``count()``.
    """
    if kind is None:
        return len(values)
    kept = list(values) if spec.nulls else [v for v in values if v is not None]
    return _FUNCTIONS[spec.function](kept, spec, kind)


def canonical_bytes(value: Any, kind: DType) -> bytes:
    """The bytes that stand for a value wherever values are told apart or hashed.

    bool, integers, date (days) and timestamp (µs): int64, 8 bytes little-endian. Floats:
    float64, little-endian, −0.0 as 0.0 and every NaN as 0x7ff8000000000000. string: UTF-8.
    bytes: as they are. decimal: the unscaled integer, 16 bytes little-endian.
    """
    if kind.is_float:
        plain = math.nan if math.isnan(value) else value + 0.0  # −0.0 + 0.0 is 0.0
        return struct.pack("<Q", 0x7FF8 << 48) if math.isnan(plain) else struct.pack("<d", plain)
    if kind.kind == "string":
        return bytes(value.encode("utf-8"))
    if kind.kind == "bytes":
        return bytes(value)
    if kind.kind == "decimal":
        return _unscaled(value, kind).to_bytes(16, "little", signed=True)
    if kind.kind == "timestamp":
        number = to_micros(value)
    elif kind.kind == "date":
        number = (value - date(1970, 1, 1)).days
    else:
        number = int(value)
    return number.to_bytes(8, "little", signed=True)


def hyperloglog(items: Iterable[bytes]) -> int:
    """Estimate how many different items there are, from 2,048 registers; about 2.3 % off.

    The hash is XXH64 with seed 0. Its first 11 bits name a register, which keeps the greatest
    rank: 1 + the leading zeros of the other 53 bits, so 54 if they are all zero. The estimate is
    rounded half to even.

    Source: Flajolet et al. (2007) for the registers; Ertl (2017), "New cardinality estimation
    algorithms for HyperLogLog sketches", algorithm 6, for the estimate.
    """
    try:
        from xxhash import xxh64_intdigest
    except ImportError as error:
        raise missing_extra("xxhash", "dev", "the reference for count_distinct") from error
    registers = [0] * _REGISTERS
    for item in items:
        hashed = xxh64_intdigest(item, 0)
        index, rest = hashed >> _REST_BITS, hashed & ((1 << _REST_BITS) - 1)
        rank = 1 + _REST_BITS - rest.bit_length()
        registers[index] = max(registers[index], rank)
    return round(estimate_cardinality(registers))


def estimate_cardinality(registers: Sequence[int]) -> float:
    """Ertl's improved estimator. All in float64, in this order of evaluation and no other.

    With m registers, q = 53 and C[k] the number of registers of rank k: z = m·τ(1 − C[q+1]/m);
    for k = q, …, 1: z = 0.5·(z + C[k]); z = z + m·σ(C[0]/m); the estimate is ((α·m)·m)/z.
    """
    m = float(_REGISTERS)
    counts = [0] * (_REST_BITS + 2)
    for rank in registers:
        counts[rank] += 1
    z = m * _tau(1.0 - counts[_REST_BITS + 1] / m)
    for k in range(_REST_BITS, 0, -1):
        z = 0.5 * (z + counts[k])
    z = z + m * _sigma(counts[0] / m)
    return ((_ALPHA * m) * m) / z


def _sigma(x: float) -> float:
    """σ(x) = x + Σ x^(2^k)·2^(k−1), k ≥ 1, until the sum stands still."""
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, math.nan
    while z != before:
        x = x * x
        before = z
        z = z + x * y
        y = y + y
    return z


def _tau(x: float) -> float:
    """τ(x) = (1 − x − Σ (1 − x^(2^−k))²·2^−k, k ≥ 1) / 3, until the sum stands still."""
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, math.nan
    while z != before:
        x = math.sqrt(x)
        before = z
        y = 0.5 * y
        rest = 1.0 - x
        z = z - (rest * rest) * y
    return z / 3.0


def bucket_value(x: float) -> float:
    """The representative of the quantile bucket that holds ``x`` (which is not NaN).

    Infinities stand for themselves. Otherwise the bucket of |x| runs from ``lo`` to ``hi``,
    neighbours in the float64 values whose last 46 bits are zero, so there are 64 to a power of
    two. It is represented by the harmonic mean of both, with the sign of x; by ``lo`` where
    ``hi`` would be infinite; by 0.0 (never −0.0) where ``lo`` is zero, as it is for x = 0. So
    the answer is within 1/128 of x for 2⁻¹⁰²² ≤ |x|, and within 1/129 for |x| < 2¹⁰²⁴·127/128.

    Evaluated as 2·(lo·(½hi / (½lo + ½hi))): halving is exact here, so this is bit for bit
    2·(lo·(hi/(lo + hi))), without the overflow of lo + hi from 2¹⁰²³ upwards.

    Source: the buckets of DDSketch (Masson et al., 2019), interpolated linearly within powers
    of two, which needs no logarithm and is therefore the same on every machine.
    """
    if math.isinf(x):
        return x
    bucket = _bits(abs(x)) >> _BUCKET_SHIFT
    if bucket == 0:
        return 0.0
    low = _from_bits(bucket << _BUCKET_SHIFT)
    high = _from_bits((bucket + 1) << _BUCKET_SHIFT)
    if math.isinf(high):
        middle = low
    else:
        middle = 2.0 * (low * (0.5 * high / (0.5 * low + 0.5 * high)))
    return math.copysign(middle, x)


def _bits(x: float) -> int:
    return int.from_bytes(struct.pack("<d", x), "little")


def _from_bits(bits: int) -> float:
    value: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    return value


def _count(values: list[Any], spec: Aggregation, kind: DType) -> int:
    return len(values)


def _sum(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    if not values:
        return None
    if kind.kind == "decimal":
        total = sum(_unscaled(v, kind) for v in values)
        return _decimal(total, kind.scale) if abs(total) < 10**38 else Flag.OVERFLOW
    if kind.is_float:
        special = _special_sum(values)
        return _rounded(_exact_sum(values)) if special is None else special
    total = sum(int(v) for v in values)
    return total if -(2**63) <= total < 2**63 else Flag.OVERFLOW


def _mean(values: list[Any], spec: Aggregation, kind: DType) -> float | None:
    if not values:
        return None
    special = _special_sum(values)
    return _rounded(_exact_sum(values) / len(values)) if special is None else special


def _var(values: list[Any], spec: Aggregation, kind: DType) -> float | None:
    if len(values) < 2:
        return None
    if not all(math.isfinite(v) for v in values):
        return math.nan
    mean = _exact_sum(values) / len(values)
    squares = sum(((Fraction(v) - mean) ** 2 for v in values), Fraction(0))
    return _rounded(squares / (len(values) - 1))


def _stddev(values: list[Any], spec: Aggregation, kind: DType) -> float | None:
    variance = _var(values, spec, kind)
    return None if variance is None else math.sqrt(variance)


def _min(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    numbers = [v for v in values if not _is_nan(v)]
    return min(numbers or values, key=_order, default=None)


def _max(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    numbers = [v for v in values if not _is_nan(v)]
    return max(numbers or values, key=_order, default=None)


def _first(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    return values[0] if values else None


def _last(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    return values[-1] if values else None


def _first_n(values: list[Any], spec: Aggregation, kind: DType) -> list[Any]:
    return values[: spec.n]


def _last_n(values: list[Any], spec: Aggregation, kind: DType) -> list[Any]:
    return values[-spec.n :]


def _count_distinct(values: list[Any], spec: Aggregation, kind: DType) -> int:
    different = {canonical_bytes(v, kind) for v in values}
    return len(different) if len(different) <= spec.cap else hyperloglog(different)


def _quantile(values: list[Any], spec: Aggregation, kind: DType) -> float | None:
    numbers = sorted(float(v) for v in values if not math.isnan(v))
    if not numbers:
        return None
    rank = math.floor(spec.q * float(len(numbers) - 1))
    return bucket_value(numbers[rank])


def _top_n(values: list[Any], spec: Aggregation, kind: DType) -> Any:
    counts: dict[bytes, int] = {}
    examples: dict[bytes, Any] = {}
    for value in values:
        same = canonical_bytes(value, kind)
        counts[same] = counts.get(same, 0) + 1
        examples[same] = value + 0.0 if kind.is_float else value
    if len(counts) > spec.cap:
        return Flag.OVER_CAP
    ranked = sorted(counts, key=lambda same: (-counts[same], _order(examples[same])))
    return [examples[same] for same in ranked[: spec.n]]


_FUNCTIONS: Mapping[str, Callable[[list[Any], Aggregation, DType], Any]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "stddev": _stddev,
    "min": _min,
    "max": _max,
    "first": _first,
    "last": _last,
    "first_n": _first_n,
    "last_n": _last_n,
    "count_distinct": _count_distinct,
    "quantile": _quantile,
    "top_n": _top_n,
}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _order(value: Any) -> Any:
    """A sort key: NaN after every number, −0.0 before 0.0, strings by their UTF-8 bytes."""
    if isinstance(value, float):
        if math.isnan(value):
            return (1, 0.0, 0.0)
        return (0, value, math.copysign(1.0, value))
    return value.encode("utf-8") if isinstance(value, str) else value


def _special_sum(values: list[Any]) -> float | None:
    """What IEEE says of a sum with NaN or infinities among its terms; None without them."""
    if any(math.isnan(v) for v in values):
        return math.nan
    infinities = {v for v in values if math.isinf(v)}
    if len(infinities) == 2:
        return math.nan
    return infinities.pop() if infinities else None


def _exact_sum(values: list[Any]) -> Fraction:
    return sum((Fraction(v) for v in values), Fraction(0))


def _rounded(exact: Fraction) -> float:
    """The nearest float64, ties to even, ±inf beyond the largest."""
    try:
        # Python divides integers of any size with one correct rounding.
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _unscaled(value: Decimal, kind: DType) -> int:
    # Not Decimal arithmetic: it rounds to the 28 digits of the current context.
    return int(Fraction(value) * 10**kind.scale)


def _decimal(unscaled: int, scale: int) -> Decimal:
    digits = tuple(int(d) for d in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -scale))
