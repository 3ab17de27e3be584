"""Columns as numbers: order-preserving codes, hashes and floats, so that kernels see no types.

A code is an int64 whose order is the order of the values: integers are themselves, floats
their bits with the sign unfolded (−0.0 < 0.0), strings and decimals their rank among the
values of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.kernel.hashing import hash_slices, hash_words
from noskew.kernel.keys import integers
from noskew.kernel.ragged import Ragged

CANONICAL_NAN = np.uint64(0x7FF8_0000_0000_0000)
_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)
MIN_CODE, MAX_CODE = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Domain:
    """What codes mean: a type, and for ranks the sorted distinct values."""

    kind: pa.DataType
    ranked: pa.Array | None = None

    def decode(self, codes: NDArray[np.int64], valid: NDArray[np.bool_]) -> pa.Array:
        """The values of codes; null where not valid."""
        mask = None if valid.all() else ~valid
        kind = self.kind
        if self.ranked is not None:
            if len(self.ranked) == 0:
                return pa.nulls(len(codes), kind)
            return self.ranked.take(pa.array(codes, mask=mask))
        if pa.types.is_floating(kind):
            return pa.array(floats_of_codes(codes), mask=mask).cast(kind, safe=False)
        if pa.types.is_boolean(kind):
            return pa.array(codes.astype(bool), mask=mask)
        column = pa.array(codes, mask=mask)
        if pa.types.is_timestamp(kind):
            return column.view(kind)
        if pa.types.is_date32(kind):
            return column.cast(pa.int32()).view(kind)
        return column.cast(kind)


def codes_of_floats(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Floats as integers of the same order; −0.0 before 0.0. NaN is not ordered here."""
    bits = np.ascontiguousarray(values).view(np.int64)
    return bits ^ ((bits >> 63) & _SIGN)


def floats_of_codes(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The inverse of :func:`codes_of_floats`; every NaN comes out canonical."""
    bits = codes ^ ((codes >> 63) & _SIGN)
    return one_nan(bits.view(np.float64))


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array; no copy where it is one chunk."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def valid_of(column: pa.Array) -> NDArray[np.bool_]:
    """Which values are not null."""
    if column.null_count == 0:
        return np.ones(len(column), bool)
    return column.is_valid().to_numpy(zero_copy_only=False)


def floats(column: pa.Array) -> NDArray[np.float64]:
    """A float column widened to float64; null gives 0.0."""
    if column.null_count:
        column = column.fill_null(0.0)
    with np.errstate(invalid="ignore"):  # widening a signalling NaN is no fault of the caller's
        return column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def one_nan(numbers: NDArray[Any]) -> NDArray[Any]:
    """The floats with every NaN the same, so that equal values are equal bytes."""
    nan = np.isnan(numbers)
    if not nan.any():
        return numbers
    return np.where(nan, CANONICAL_NAN.view(np.float64).astype(numbers.dtype), numbers)


def encode_values(column: pa.Array) -> tuple[NDArray[np.int64], Domain]:
    """Order-preserving codes of a scalar column (any value where null) and what they mean."""
    kind = column.type
    if pa.types.is_floating(kind):
        return codes_of_floats(floats(column)), Domain(kind)
    if _ranked(kind):
        encoded = column.dictionary_encode()
        order = pc.sort_indices(encoded.dictionary).to_numpy()
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        at = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        codes = rank[at] if len(rank) else np.zeros(len(column), np.int64)
        return codes, Domain(kind, encoded.dictionary.take(pa.array(order)))
    return integers(column), Domain(kind)


def canonical(column: pa.Array) -> pa.Array:
    """The column with −0.0 as 0.0 and every NaN as one, for questions of equality."""
    if not pa.types.is_floating(column.type):
        return column
    values = one_nan(floats(column) + 0.0)
    mask = None if column.null_count == 0 else ~valid_of(column)
    return pa.array(values, mask=mask).cast(column.type, safe=False)


def hashes(column: pa.Array) -> NDArray[np.uint64]:
    """XXH64 of each value's canonical bytes (any value where null); equal values, equal hashes.

    Integers, bool, date and timestamp: 8 bytes, two's complement, little-endian. Floats: the
    float64, −0.0 as 0.0, every NaN as 7ff8000000000000. Strings: UTF-8. Decimals: the 16-byte
    unscaled integer.
    """
    kind = column.type
    if pa.types.is_floating(kind):
        return hash_words(floats(canonical(column)).view(np.uint64))
    if pa.types.is_decimal(kind):
        _, data = column.buffers()
        start = 16 * column.offset
        raw = np.frombuffer(data, np.uint8)[start : start + 16 * len(column)]
        return hash_slices(raw, np.arange(0, 16 * len(column) + 1, 16))
    if _ranked(kind):
        pieces = Ragged.from_arrow(column)
        return hash_slices(pieces.data, pieces.offsets)
    return hash_words(integers(column).view(np.uint64))


def _ranked(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_decimal(kind)


def unify(domains: list[Domain]) -> tuple[Domain, Sequence[NDArray[np.int64] | None]]:
    """One domain for states of several batches, and how each one's codes map into it."""
    if domains[0].ranked is None or len(domains) == 1:
        return domains[0], [None] * len(domains)
    parts = [d.ranked for d in domains if d.ranked is not None]
    together = pa.concat_arrays(parts)
    codes, domain = encode_values(together)
    ends = np.cumsum([len(p) for p in parts])
    return domain, np.split(codes, ends[:-1])
