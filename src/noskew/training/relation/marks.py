"""Marks: how far a source's rows were read by its cursor, and what to read next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import MIN_TIME
from noskew.definitions.source import Source
from noskew.errors import InputError
from noskew.kernel.events import CURSOR, SEQUENCE
from noskew.kernel.keys import integers
from noskew.kernel.values import whole
from noskew.stores.sources.base import BatchSource
from noskew.stores.sources.cursor import Below, Cursor

#: What stands for a cursor that is not known.
_UNKNOWN = -(1 << 63)
_TOTALS = 1 << 62
#: How many earlier ingests are told apart by where their events begin.
_MOST_STARTS = 32


class Mark(msgspec.Struct, frozen=True):
    """Where the last ingest by a cursor came to.

    Attributes
    ----------
    column
        The cursor.
    greatest
        No row that was ingested has a greater value.
    reached
        From where the next ingest goes back: ``greatest``, or the time of the ingest if that is
        earlier. Else a row that is dated ahead would hide those after it.
    bound, below, total
        How many rows of the source were below a value, and the sum of their cursors, less whole
        multiples of 2^62.
    first
        The first sequence of an event whose cursor is known: those of before have none, or another
        column's.
    unknown
        No row of an event of before has a greater value; None: there are none.
    starts
        For some ingests the first sequence of their events, and the greatest value before it.
    """

    column: str
    greatest: int
    reached: int
    bound: int
    below: int
    total: int
    first: int
    unknown: int | None
    starts: tuple[tuple[int, int], ...] = ()

    def first_sequence(self, least: int) -> int | None:
        """All events of rows from a value on have at least this sequence; None: any."""
        return max((start for start, top in self.starts if top < least), default=None)

    def is_of(self, below: Below) -> bool:
        """Whether these are the rows that were below the bound."""
        return (self.below, self.total) == (below.rows, below.total % _TOTALS)

    def later(self, start: int) -> tuple[tuple[int, int], ...]:
        """The starts once an ingest begins at a sequence; any of them may be left out."""
        return (*self.starts[-(_MOST_STARTS - 1) :], (start, self.greatest))


class BehindMarkError(Exception):
    """Rows behind a mark are not what they were: all must be read."""


@dataclass(frozen=True)
class CursorRead:
    """What one ingest reads of a source that has a cursor.

    Attributes
    ----------
    rows
        The rows to read: those of ``least`` and later, or all of them if it is None.
    before
        The mark by which they were chosen; None if all are read.
    after
        The mark of the next ingest.
    below
        The rows below the bound of ``before`` now.
    behind
        By how many rows those behind an earlier mark were more or fewer than expected; at least 1
        if they were others.
    """

    rows: BatchSource
    least: int | None
    before: Mark | None
    after: Mark | None
    below: Below
    behind: int

    @classmethod
    def of(
        cls,
        source: Source,
        data: BatchSource,
        earlier: Mark | None,
        *,
        now: int,
        start: int,
        whole: bool,
    ) -> CursorRead:
        """Ask the source what there is.

        ``earlier``: the mark there is. ``start``: the sequence that events will begin with.
        ``whole``: read all, whatever the mark is. Raises InputError for rows without a value.
        """
        assert source.cursor is not None
        cursor = Cursor(source.cursor, source.schema[source.cursor].kind == "timestamp")
        if earlier is not None and earlier.column != cursor.column:
            earlier = None
        greatest = data.extent(cursor).greatest
        reached = min(greatest or 0, now) if cursor.is_time else greatest or 0
        if earlier is not None:
            first, unknown = earlier.first, earlier.unknown
        else:
            first, unknown = start, greatest if start else None
        bound = _back(cursor, reached, source.overlap)
        if unknown is not None:
            # Rows whose events do not say where they were must not go unnoticed: they are counted.
            bound = max(bound, unknown + 1)
        # In one statement: a row that went between two of them would never be missed.
        extent = data.extent(cursor, [bound, *([earlier.bound] if earlier else [])])
        if extent.nulls:
            raise InputError(
                f"source {source.name!r}: the cursor {source.cursor!r} is null in "
                f"{extent.nulls:,} rows, which nothing would find again; leave them out in the "
                f"query, or fill it"
            )
        next_below, below = extent.below[0], extent.below[-1]
        behind = below.rows - earlier.below if earlier else 0
        # Which rows changed, and may, is known when they are read: there are fewer.
        may_change = source.changes == "replace" and behind < 0
        is_other = earlier is not None and not earlier.is_of(below)
        if whole or (is_other and not may_change):
            before, behind = None, behind or int(is_other)
        else:
            before, behind = earlier, 0
        if greatest is None:  # there are no rows
            return cls(data.between(cursor, None, 0), None, None, None, below, abs(behind))
        least = _back(cursor, before.reached, source.overlap) if before else None
        after = Mark(
            cursor.column,
            max(greatest, earlier.greatest) if earlier else greatest,
            reached,
            bound,
            next_below.rows,
            next_below.total % _TOTALS,
            first,
            unknown,
            earlier.later(start) if earlier else (),
        )
        rows = data.between(cursor, least, greatest)
        return cls(rows, least, before, after, below, abs(behind))

    def checked(self, gone: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Events that are taken back, which have their cursors.

        Raises BehindMarkError at the end if they are not all that went of the rows behind the mark.
        """
        count = total = 0
        for events in gone:
            if self.before is not None:
                cursors = known_cursors(events, self.before.first)
                cursors = cursors[cursors < self.before.bound]
                count, total = count + len(cursors), total + sum(cursors.tolist())
            yield events
        there = Below(self.below.rows + count, self.below.total + total)
        if self.before is not None and not self.before.is_of(there):
            raise BehindMarkError

    @property
    def window(self) -> tuple[int, int] | None:
        """The least value that is read, and the first sequence of an event that tells its own."""
        if self.before is None or self.least is None:
            return None
        return self.least, self.before.first

    @property
    def first_sequence(self) -> int | None:
        """Events of the rows that are read have at least this sequence; None: any."""
        if self.before is None or self.least is None:
            return None
        return self.before.first_sequence(self.least)


def known_cursors(events: pa.Table, first: int) -> NDArray[np.int64]:
    """The cursor of each event, int64, shape (n,); less than any value where it is not known."""
    cursors = integers(whole(events.column(CURSOR).fill_null(_UNKNOWN)))
    return np.where(integers(whole(events.column(SEQUENCE))) < first, _UNKNOWN, cursors)


def _back(cursor: Cursor, value: int, overlap: int) -> int:
    return max(MIN_TIME, value - overlap) if cursor.is_time else value - overlap
