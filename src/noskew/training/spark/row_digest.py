"""A digest of rows that does not depend on their order, nor on how they are cut into pieces."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as at
from numpy.typing import NDArray

from noskew.kernel.arrays import Words
from noskew.kernel.hashing import hash_slices, hash_words
from noskew.kernel.keys import integers
from noskew.kernel.ragged import Ragged
from noskew.kernel.values import valid_of, whole

_NULL = np.uint64(0x6E75_6C6C_6E75_6C6C)
#: Two numbers of 64 bits a row, each summed over all rows.
_SEEDS = (0, 1)


@dataclass(frozen=True)
class RowDigest:
    """The number of rows, and sums of their hashes modulo 2**64.

    Each row has two hashes (XXH64) over the hashes of its values: the bits of floats count, and
    so do nulls. Equal multisets of rows have equal digests, whatever their order.
    """

    rows: int = 0
    sums: tuple[int, ...] = (0, 0)

    def __add__(self, other: RowDigest) -> RowDigest:
        sums = ((a + b) % 2**64 for a, b in zip(self.sums, other.sums, strict=True))
        return RowDigest(self.rows + other.rows, tuple(sums))

    def to_text(self) -> str:
        return json.dumps([self.rows, self.sums])

    @classmethod
    def from_text(cls, text: str) -> RowDigest:
        """The inverse of :meth:`to_text`."""
        rows, sums = json.loads(text)
        return cls(rows, tuple(sums))

    @classmethod
    def of(cls, table: pa.Table) -> RowDigest:
        """The digest of a table of noskew's types; columns count by their place."""
        words = np.empty((len(table), table.num_columns + 1), np.uint64)
        for i, column in enumerate(table.columns):
            words[:, i] = _hashes(whole(column))
        sums = []
        for seed in _SEEDS:
            words[:, -1] = seed
            sums.append(int(np.add.reduce(_of_words(words.reshape(-1), _even(words.shape)))))
        return cls(len(table), tuple(sums))

    def token(self, schema: pa.Schema) -> str:
        """32 hexadecimal digits, for rows of these names and types."""
        text = repr(([(f.name, str(f.type)) for f in schema], self.rows, self.sums))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
        bits = plain.to_numpy(zero_copy_only=False).view(f"u{kind.bit_width // 8}")
        hashes = hash_words(bits.astype(np.uint64))
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


def _even(shape: tuple[int, ...]) -> NDArray[np.int64]:
    rows, width = shape
    return np.arange(0, (rows + 1) * width, width, dtype=np.int64)
