"""Rows that are all head, read in place: latest values of fixed width, without states.

Most rows that are served hold latest values of fixed width and nothing else. Many of them are
read as one structured array (:class:`FixedRows`); a few that are plain numbers, none of them
null, by one unpack each (:class:`PlainRows`). Both give the bits that
:func:`~noskew.kernel.rows.codec.unpack_rows` gives.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.errors import CorruptDataError
from noskew.kernel.arrays import Mask
from noskew.kernel.cursors import require
from noskew.kernel.ragged import Ragged
from noskew.kernel.rows.codec import (
    FORMAT,
    HAS_NEWEST,
    HAS_PENDING,
    RowLayout,
    join_heads,
    read_heads,
)
from noskew.kernel.rows.fixed_width import fixed_array

_CODES = {"<f8": "d", "<f4": "f", "<i8": "q", "<i4": "i", "<i2": "h", "|i1": "b"}


class FixedRows:
    """The latest columns of rows, for a layout that ``is_fixed``.

    Nothing but the newest events is read: rows with pending events need more
    (:attr:`has_pending`). Raises CorruptDataError for bytes that are not such rows.

    Attributes
    ----------
    present
        Which rows are there, bool of shape (rows,); None: all.
    has_pending
        Whether some row holds events whose time was still to come when it was written.
    has_nulls
        Whether some row lacks a value of some column.
    """

    def __init__(self, layout: RowLayout, rows: Sequence[bytes | None]) -> None:
        self._layout, self._fields = layout, layout.head_fields
        self.present: Mask | None = None
        head = join_heads(layout, rows)
        whole = head is not None
        if head is None:
            require(b"" not in rows)
            raw = Ragged.from_list([row or b"" for row in rows])
            head = read_heads(layout, raw)
            self.present = raw.lengths > 0
        self._head = head
        formats = head["format"]
        if (formats != FORMAT).any() and (
            self.present is None or (formats[self.present] != FORMAT).any()
        ):
            raise CorruptDataError(f"rows of an unknown format; this version reads {FORMAT}")
        flags = head["flags"]
        some, every = int(np.bitwise_or.reduce(flags)), int(np.bitwise_and.reduce(flags))
        require(some <= HAS_NEWEST | HAS_PENDING)
        self.has_pending = bool(some & HAS_PENDING)
        # What follows a head is pending events; there is nothing else to follow it.
        width = layout.head.itemsize
        require(whole or self.has_pending or (raw.lengths[self.present] == width).all())
        self._any_null = np.bitwise_or.reduce(head["nulls"], axis=0).tolist()
        self.has_nulls = not every & HAS_NEWEST or any(self._any_null)

    def __len__(self) -> int:
        return len(self._head)

    @property
    def has_newest(self) -> Mask:
        """Which rows have a newest event: bool, shape (rows,), the caller's own."""
        return self._head["flags"] & HAS_NEWEST > 0

    @cached_property
    def event_times(self) -> NDArray[np.int64]:
        """The event time of each newest event, int64 µs of shape (rows,); 0 where none."""
        times: NDArray[np.int64] = np.ascontiguousarray(self._head["event_time"])
        require(not len(times) or (times.min() >= MIN_TIME and times.max() <= MAX_TIME))
        return times

    def valid(self, column: str) -> Mask:
        """Which rows have a value of a column: bool, shape (rows,), the caller's own."""
        valid = self.has_newest
        if self.has_nulls:
            bit = self._layout.null_bits[column]
            valid &= (self._head["nulls"][:, bit // 8] >> (bit % 8)) & 1 == 0
        return valid

    def is_null_somewhere(self, column: str) -> bool:
        """Whether a newest event has a null in a column."""
        bit = self._layout.null_bits[column]
        return bool(self._any_null[bit // 8] >> (bit % 8) & 1)

    def items(self, column: str) -> NDArray[Any]:
        """The items of a column as they stand, not contiguous; zero bytes where there is none."""
        return self._head[self._fields[column]]

    def arrow(self, column: str, valid: Mask) -> pa.Array:
        """A column, null where not ``valid``. Raises CorruptDataError for what is no value."""
        return fixed_array(self.items(column), valid, self._layout.plan.latest_columns[column])

    def doubles(self) -> NDArray[np.float64] | None:
        """All columns in the layout's order, shape (columns, rows), in one copy.

        None unless all are float64 and :attr:`has_nulls` is not so.
        """
        where = self._layout.doubles
        if where is None or self.has_nulls:
            return None
        rows = self._head.view(np.uint8).reshape(len(self._head), -1)
        return np.ascontiguousarray(rows[:, where].view("<f8").T)


class PlainRows:
    """How rows are read of which every latest value is a plain number, and there.

    ``unpack``: from such a row to the values of the layout's ``fixed`` columns, in order.
    """

    __slots__ = ("_marked", "_no_nulls", "_nulls", "_width", "unpack")

    def __init__(self, layout: RowLayout) -> None:
        head = layout.head
        offset = head.fields["c0"][1]  # type: ignore[index]
        codes = "".join(_CODES[head[f"c{i}"].str] for i in range(len(layout.fixed)))
        self.unpack = struct.Struct(f"<{offset}x{codes}").unpack
        at, size = head.fields["nulls"][1], head["nulls"].itemsize  # type: ignore[index]
        self._width, self._nulls, self._no_nulls = head.itemsize, slice(at, at + size), bytes(size)
        self._marked = bytes([FORMAT, HAS_NEWEST])

    def holds(self, rows: Sequence[bytes | None]) -> TypeGuard[Sequence[bytes]]:
        """Whether every row is there, whole, without nulls and without pending events."""
        width, marked, nulls, none = self._width, self._marked, self._nulls, self._no_nulls
        for row in rows:
            if row is None or len(row) != width or row[16:18] != marked or row[nulls] != none:
                return False
        return True


def plain_rows(layout: RowLayout) -> PlainRows | None:
    """A layout's :class:`PlainRows`; None if its rows hold other things than plain numbers."""
    kinds = layout.plan.latest_columns.values()
    if not kinds or not layout.is_fixed or not all(map(is_number, kinds)):
        return None
    return PlainRows(layout)


def event_time_of(row: bytes) -> int:
    """The event time of a row's newest event. Raises CorruptDataError for what is no time."""
    time = int.from_bytes(row[18:26], "little", signed=True)
    require(MIN_TIME <= time <= MAX_TIME)
    return time


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type are plain integers or floats."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)
