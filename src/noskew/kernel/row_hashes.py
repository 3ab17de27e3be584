"""Hashes of whole rows: equal for equal values, whatever form the data had.

A value is hashed in its declared type: of floats the bits count (−0.0 is not 0.0), but for NaN,
which is one; a null is like no value. The hashes of a row's values are chained, in the order of the
columns and from a seed, as XXH64 chains words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as at
from numpy.typing import NDArray

from noskew.kernel.arrays import Index, Mask, Words
from noskew.kernel.hashing import chain_words, hash_slices, hash_words
from noskew.kernel.keys import integers
from noskew.kernel.ragged import Ragged
from noskew.kernel.values import one_nan, valid_of, whole

#: Bytes by which a row is known again: 72 bits. Of a hundred million rows, one in 2e6 sets of
#: them has two that would be taken for the same.
IDENTITY_BYTES = 9

_NULL = np.uint64(0x6E75_6C6C_6E75_6C6C)


def row_hashes(table: pa.Table, seeds: int) -> list[Words]:
    """Independent hashes of each row, one array of shape (rows,) for each of ``seeds`` numbers.

    ``table`` has columns of noskew's types; they count by their place, not by their name.
    """
    # Seeds that differ in a bit would begin states that differ by little.
    starts = hash_words(np.arange(seeds, dtype=np.uint64))
    states = [np.full(len(table), start, np.uint64) for start in starts]
    for column in table.columns:
        words = _hashes(whole(column))
        for state in states:
            chain_words(state, words)
    return [hash_words(state) for state in states]


def row_identities(table: pa.Table) -> pa.FixedSizeBinaryArray:
    """What each row is known again by: IDENTITY_BYTES bytes."""
    first, second = row_hashes(table, 2)
    packed = np.empty((len(table), IDENTITY_BYTES), np.uint8)
    packed[:, :8] = first.view(np.uint8).reshape(-1, 8)
    packed[:, 8] = second & np.uint64(0xFF)
    buffers = [None, pa.py_buffer(packed.tobytes())]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(IDENTITY_BYTES), len(table), buffers)


@dataclass(frozen=True)
class RowIdentities:
    """Identities as numbers: the first eight bytes of each, and the ninth; shapes (n,)."""

    first: Words
    last: NDArray[np.uint8]

    @classmethod
    def of(cls, column: pa.FixedSizeBinaryArray) -> RowIdentities:
        """Those of a column; nulls give anything."""
        start, n = column.offset * IDENTITY_BYTES, len(column)
        data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
        rows = data[start : start + n * IDENTITY_BYTES].reshape(n, IDENTITY_BYTES)
        first = np.ascontiguousarray(rows[:, :8]).view(np.uint64).reshape(n)
        return cls(first, np.ascontiguousarray(rows[:, 8]))

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: Mask | Index) -> RowIdentities:
        return RowIdentities(self.first[chosen], self.last[chosen])


def _hashes(column: pa.Array) -> Words:
    """A hash of each value; of a null the same in every column."""
    kind = column.type
    if at.is_list(kind) or at.is_fixed_size_list(kind):
        lists = column.cast(pa.list_(kind.value_type)) if at.is_fixed_size_list(kind) else column
        items = _hashes(lists.values)
        ends = lists.offsets.to_numpy().astype(np.int64)
        hashes = _of_words(items, ends)
    elif at.is_floating(kind):
        plain = column.fill_null(0.0) if column.null_count else column
        numbers = one_nan(plain.to_numpy(zero_copy_only=False))
        hashes = hash_words(numbers.view(f"u{kind.bit_width // 8}").astype(np.uint64))
    elif at.is_decimal(kind):
        raw = np.frombuffer(column.buffers()[1] or b"", np.uint8)
        raw = raw[16 * column.offset : 16 * (column.offset + len(column))]
        hashes = hash_slices(raw, np.arange(0, 16 * len(column) + 1, 16))
    elif at.is_string(kind) or at.is_binary(kind):
        pieces = Ragged.from_arrow(column)
        hashes = hash_slices(pieces.data, pieces.offsets)
    else:
        hashes = hash_words(integers(column).view(np.uint64))
    return np.where(valid_of(column), hashes, _NULL) if column.null_count else hashes


def _of_words(words: Words, ends: NDArray[np.int64]) -> Words:
    """A hash of each run of words."""
    return hash_slices(np.ascontiguousarray(words).view(np.uint8), ends * 8)
