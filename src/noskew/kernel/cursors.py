"""Reading packed rows safely: a cursor never leaves its row.

Compiled loops check no bounds of their own, so every block is checked against the end of its
row before any of it is read, and before memory is set aside for it. What a damaged row then
says may be wrong, but never a crash, a hang, or more memory than a small multiple of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import CorruptDataError
from noskew.kernel.arrays import Index
from noskew.kernel.jit import inline, kernel

DAMAGED = "a row is not what was written; delete its key and materialize the view again"


@dataclass
class Reader:
    """A cursor into each of many packed rows."""

    data: NDArray[np.uint8]
    at: Index  # where each row's next byte is; unpacking moves it
    counts: Index  # how many states (tiles) each row holds
    end: Index  # where each row ends

    def of(self, counts: Index) -> Reader:
        """The same cursors, for rows of other counts."""
        return Reader(self.data, self.at, counts, self.end)


@inline
def need(at: int, size: int, end: int) -> None:
    """Raise CorruptDataError unless ``size`` more bytes are in the row."""
    if size < 0 or at + size > end:
        raise CorruptDataError(DAMAGED)


def require(fine: bool | np.bool_) -> None:
    """Raise CorruptDataError unless ``fine``."""
    if not fine:
        raise CorruptDataError(DAMAGED)


@contextmanager
def arrow_values() -> Iterator[None]:
    """Values that Arrow refuses (text that is not UTF-8, say) are damage, too."""
    try:
        yield
    except pa.ArrowException as error:
        raise CorruptDataError(f"{DAMAGED} ({str(error).splitlines()[0]})") from error


def read_counts(reader: Reader) -> Index:
    """A uint32 from each row; moves the cursors on."""
    return _read_uint32(reader.data, reader.at, reader.end)


@kernel
def _read_uint32(data: NDArray[np.uint8], at: Index, end: Index) -> Index:
    for r in range(len(at)):
        need(at[r], 4, end[r])
    out = np.zeros(len(at), np.int64)
    for r in range(len(at)):
        for b in range(4):
            out[r] |= np.int64(data[at[r] + b]) << (8 * b)
        at[r] += 4
    return out
