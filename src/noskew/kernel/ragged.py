"""Ragged byte arrays: n pieces of different lengths in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.jit import kernel


@dataclass(frozen=True, slots=True)
class Ragged:
    """``data[offsets[i]:offsets[i + 1]]`` is piece i. offsets: int64, shape (n + 1,)."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def to_list(self) -> list[bytes]:
        """Each piece as bytes of its own."""
        raw = self.data.tobytes()
        bounds = self.offsets.tolist()
        return [raw[a:b] for a, b in pairwise(bounds)]

    @classmethod
    def from_list(cls, pieces: Sequence[bytes]) -> Ragged:
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum([len(p) for p in pieces], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(pieces), np.uint8))

    @classmethod
    def from_arrow(cls, array: pa.Array) -> Ragged:
        """The bytes of a string or binary array; null gives an empty piece. No copy of data."""
        large = pa.large_binary()
        cast = array.cast(large) if array.type != large else array
        n = len(cast)
        if n == 0:
            return cls(np.zeros(1, np.int64), np.zeros(0, np.uint8))
        _, offsets, data = cast.buffers()
        bounds = np.frombuffer(offsets, np.int64)[cast.offset : cast.offset + n + 1]
        content = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        if cast.null_count:
            # A null slot may cover bytes; give it none.
            return cls.from_list([v.as_py() or b"" for v in cast])
        return cls(bounds, content)

    def to_arrow(self, kind: pa.DataType, valid: NDArray[np.bool_] | None = None) -> pa.Array:
        """A string or binary array of these pieces."""
        start = self.offsets[0]
        data = self.data[start : self.offsets[-1]]
        mask = None if valid is None or valid.all() else pa.array(valid).buffers()[1]
        wide = pa.large_binary() if kind == pa.binary() else pa.large_string()
        made = pa.Array.from_buffers(
            wide, len(self), [mask, pa.py_buffer(self.offsets - start), pa.py_buffer(data)]
        )
        return made.cast(kind)


def concat(parts: Sequence[Ragged]) -> Ragged:
    """Piece i of the result is piece i of every part, joined."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.zeros(len(parts[0]) + 1, np.int64)
    np.cumsum(np.sum([p.lengths for p in parts], axis=0), out=offsets[1:])
    data = np.empty(offsets[-1], np.uint8)
    at = offsets[:-1].copy()
    for part in parts:
        _copy_pieces(part.offsets, part.data, at, data)
    return Ragged(offsets, data)


@kernel
def _copy_pieces(
    offsets: NDArray[np.int64],
    source: NDArray[np.uint8],
    at: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    for i in range(len(at)):
        size = offsets[i + 1] - offsets[i]
        for j in range(size):
            out[at[i] + j] = source[offsets[i] + j]
        at[i] += size
