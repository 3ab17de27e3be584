"""A digest of rows that does not depend on their order, nor on how they are cut into pieces."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from noskew.kernel.row_hashes import row_hashes

#: So many numbers of 64 bits a row, each summed over all rows.
_SUMS = 2


@dataclass(frozen=True)
class RowDigest:
    """The number of rows, and sums of their hashes modulo 2**64.

    Each row has two hashes; see :mod:`noskew.kernel.row_hashes`. Equal multisets of rows have
    equal digests, whatever their order.
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
        sums = (int(np.add.reduce(hashes)) for hashes in row_hashes(table, _SUMS))
        return cls(len(table), tuple(sums))

    def token(self, schema: pa.Schema) -> str:
        """32 hexadecimal digits, for rows of these names and types."""
        text = repr(([(f.name, str(f.type)) for f in schema], self.rows, self.sums))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
