"""Ragged byte arrays: n pieces of different lengths in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

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
        # Arrow makes the objects five times as fast as slicing does.
        return cast("list[bytes]", self.to_arrow(pa.large_binary()).to_pylist())

    @classmethod
    def from_list(cls, pieces: Sequence[bytes]) -> Ragged:
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)), out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(pieces), np.uint8))

    @classmethod
    def from_arrow(cls, array: pa.Array) -> Ragged:
        """The bytes of a string or binary array; null gives an empty piece. No copy of data."""
        large = pa.large_binary()
        wide = array.cast(large) if array.type != large else array
        n = len(wide)
        if n == 0:
            return cls(np.zeros(1, np.int64), np.zeros(0, np.uint8))
        _, offsets, data = wide.buffers()
        bounds = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + n + 1]
        content = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        if wide.null_count:
            # A null slot may cover bytes; give it none.
            return cls.from_list([v or b"" for v in wide.to_pylist()])
        return cls(bounds, content)

    def to_arrow(self, kind: pa.DataType, valid: NDArray[np.bool_] | None = None) -> pa.Array:
        """A string or binary array of these pieces; a large one has their bytes uncopied."""
        start = self.offsets[0]
        data = self.data[start : self.offsets[-1]]
        mask = None if valid is None or valid.all() else pa.array(valid).buffers()[1]
        offsets = self.offsets - start if start else self.offsets
        is_bytes = kind in (pa.binary(), pa.large_binary())
        wide = pa.large_binary() if is_bytes else pa.large_string()
        column = pa.Array.from_buffers(
            wide, len(self), [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
        )
        return column if kind == wide else column.cast(kind)


def repeat(piece: bytes, n: int) -> Ragged:
    """The same piece ``n`` times."""
    raw = np.frombuffer(piece, np.uint8)
    return Ragged(np.arange(n + 1) * len(raw), np.tile(raw, n))


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
