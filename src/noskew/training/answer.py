"""The columns of an answer: made once, filled from any place in any order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as at
from numpy.typing import NDArray

from noskew.kernel.jit import kernel
from noskew.kernel.values import valid_of

Index = NDArray[np.int64]


class Answer:
    """Columns of ``rows`` values; what is never put is null.

    Values go where they belong as they come, so nothing is held twice. Several threads may put
    at once as long as their rows differ.
    """

    def __init__(self, kinds: Mapping[str, pa.DataType], rows: int) -> None:
        self._columns = {
            name: _Fixed(kind, rows) if _is_fixed(kind) else _Pieces(kind, rows)
            for name, kind in kinds.items()
        }

    def put(self, rows: Index, values: Mapping[str, pa.Array]) -> None:
        """Set some rows of every column; ``rows``: int64, shape of the values."""
        for name, array in values.items():
            column = self._columns[name]
            assert array.type == column.kind, f"{name}: {array.type}, not {column.kind}"
            column.put(rows, array)

    def finish(self) -> dict[str, pa.Array]:
        """The columns. To be called once, after the last value."""
        return {name: self._columns.pop(name).finish() for name in list(self._columns)}


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(
        at.is_integer(kind) or at.is_floating(kind) or at.is_timestamp(kind) or at.is_date32(kind)
    )


class _Fixed:
    """Values of one width, as the bits that they are."""

    def __init__(self, kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self._bits = np.zeros(rows, f"u{kind.bit_width // 8}")
        self._valid = np.zeros(rows, np.uint8)

    def put(self, rows: Index, array: pa.Array) -> None:
        data = array.buffers()[1]
        if data is None:
            return
        bits = np.frombuffer(data, self._bits.dtype)[array.offset :]
        _scatter(rows, bits, self._bits)
        if array.null_count:
            _scatter(rows, valid_of(array).view(np.uint8), self._valid)
        else:
            _fill(rows, self._valid)

    def finish(self) -> pa.Array:
        rows = len(self._bits)
        mask = None if self._valid.all() else pa.array(self._valid.view(bool)).buffers()[1]
        return pa.Array.from_buffers(self.kind, rows, [mask, pa.py_buffer(self._bits)])


# Compiled for the sake of threads: NumPy holds the interpreter's lock while it does the same.
@kernel
def _scatter(rows: Index, values: NDArray[Any], out: NDArray[Any]) -> None:
    for i in range(len(rows)):
        out[rows[i]] = values[i]


@kernel
def _fill(rows: Index, out: NDArray[np.uint8]) -> None:
    for i in range(len(rows)):
        out[rows[i]] = 1


class _Pieces:
    """Values of any type: kept as they came until the end."""

    def __init__(self, kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self._rows = rows
        self._pieces: list[tuple[Index, pa.Array]] = []

    def put(self, rows: Index, array: pa.Array) -> None:
        if len(rows):
            self._pieces.append((rows, array))

    def finish(self) -> pa.Array:
        if not self._pieces:
            return pa.nulls(self._rows, self.kind)
        together = pa.concat_arrays([array for _, array in self._pieces])
        place = np.zeros(self._rows, np.int64)
        absent = np.ones(self._rows, bool)
        start = 0
        for rows, array in self._pieces:
            place[rows] = np.arange(start, start + len(array))
            absent[rows] = False
            start += len(array)
        self._pieces.clear()
        return together.take(pa.array(place, mask=absent))
