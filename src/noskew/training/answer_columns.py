"""The columns of an answer: filled bucket by bucket, then put in the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as at
from numpy.typing import NDArray

from noskew.kernel.arrays import Index
from noskew.kernel.jit import kernel
from noskew.kernel.values import valid_of

#: Where each row's value stands: integers, shape (rows,).
Places = NDArray[Any]
#: Arrays whose values have been used up, by type: new memory costs more than what is put in it.
Spare = dict[str, NDArray[Any]]


class AnswerColumns:
    """Columns of values in places; what is never put is null.

    Places are numbered so that those of a bucket stand together: what is put at a time stays
    in the processor's cache, where rows are strewn over the whole answer. Several threads may
    put at once as long as their places differ.

    ``order`` says which row each place is: int64, shape (rows,), a permutation that ascends
    within each bucket.
    """

    def __init__(self, kinds: Mapping[str, pa.DataType], order: Index) -> None:
        self._order = order
        self._columns = {
            name: _Fixed(kind, len(order)) if _is_fixed(kind) else _Pieces(kind, len(order))
            for name, kind in kinds.items()
        }

    def put(self, places: Index, values: Mapping[str, pa.Array]) -> None:
        """Set some places of every column; ``places``: int64, shape of the values."""
        for name, array in values.items():
            column = self._columns[name]
            assert array.type == column.kind, f"{name}: {array.type}, not {column.kind}"
            column.put(places, array)

    def finish(self) -> dict[str, pa.Array]:
        """The columns, in the order of the rows. To be called once, after the last value."""
        places = np.empty(len(self._order), np.uint32 if len(self._order) < 2**32 else np.int64)
        _invert(self._order, places)
        spare: Spare = {}
        return {name: self._columns.pop(name).finish(places, spare) for name in list(self._columns)}


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

    def put(self, places: Index, array: pa.Array) -> None:
        data = array.buffers()[1]
        if data is None:
            return
        bits = np.frombuffer(data, self._bits.dtype)[array.offset :]
        _scatter(places, bits, self._bits)
        if array.null_count:
            _scatter(places, valid_of(array).view(np.uint8), self._valid)
        else:
            _fill(places, self._valid)

    def finish(self, places: Places, spare: Spare) -> pa.Array:
        """The column; to be called once, since its memory goes to the next one."""
        mask = None
        if not self._valid.all():
            mask = pa.array(_gathered(places, self._valid, spare).view(bool)).buffers()[1]
        bits = _gathered(places, self._bits, spare)
        return pa.Array.from_buffers(self.kind, len(places), [mask, pa.py_buffer(bits)])


# Compiled for the sake of threads: NumPy holds the interpreter's lock while it does the same.
@kernel
def _scatter(places: Index, values: NDArray[Any], out: NDArray[Any]) -> None:
    for i in range(len(places)):
        out[places[i]] = values[i]


@kernel
def _fill(places: Index, out: NDArray[np.uint8]) -> None:
    for i in range(len(places)):
        out[places[i]] = 1


@kernel
def _invert(order: Index, out: Places) -> None:
    for i in range(len(order)):
        out[order[i]] = i


def _gathered(places: Places, values: NDArray[Any], spare: Spare) -> NDArray[Any]:
    """``values[places]``, in memory that another column has done with where there is some."""
    out = spare.pop(values.dtype.str, None)
    if out is None:
        out = np.empty_like(values)
    _gather(places, values, out)
    spare[values.dtype.str] = values
    return out


@kernel
def _gather(places: Places, values: NDArray[Any], out: NDArray[Any]) -> None:
    # Places of a bucket ascend with the rows, so this reads a few streams, each forwards.
    for i in range(len(places)):
        out[i] = values[places[i]]


class _Pieces:
    """Values of any type: kept as they came until the end."""

    def __init__(self, kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self._rows = rows
        self._pieces: list[tuple[Index, pa.Array]] = []

    def put(self, places: Index, array: pa.Array) -> None:
        if len(places):
            self._pieces.append((places, array))

    def finish(self, places: Places, _: Spare) -> pa.Array:
        if not self._pieces:
            return pa.nulls(self._rows, self.kind)
        together = pa.concat_arrays([array for _, array in self._pieces])
        at = np.zeros(self._rows, np.int64)
        absent = np.ones(self._rows, bool)
        start = 0
        for put, array in self._pieces:
            at[put] = np.arange(start, start + len(array))
            absent[put] = False
            start += len(array)
        self._pieces.clear()
        return together.take(pa.array(at[places], mask=absent[places]))
