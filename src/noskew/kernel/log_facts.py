"""Which facts of a table a row has folded that is the fold of a log, and in which order.

The facts of a table are events of the log, with the partition and the place in it that they were
read from, and others: facts that were ingested, and events of earlier logs. Of each partition the
events before an offset count, in the order of the log. Of the others those count that the table
has had since before a sequence; they all come before the log, in the order of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.events import OFFSET, ORIGIN, PLACE, SEQUENCE
from noskew.kernel.keys import integers
from noskew.kernel.values import whole

#: An event's sequence is its message's offset and then its place there, which has these bits.
_PLACE_BITS = 20
#: What the sequences of a table are lowered by, to come before every event of the log.
_BEFORE_LOG = 1 << 62

Int64s = NDArray[np.int64]


def sequence_in_log(offset: Int64s, place: Int64s) -> Int64s:
    """The numbers of events that order them as their log does; never negative."""
    return offset << _PLACE_BITS | place


def offset_in_log(sequence: Int64s) -> Int64s:
    """The message of an event that :func:`sequence_in_log` has numbered; negative: of no log."""
    return sequence >> _PLACE_BITS


def place_in_log(sequence: Int64s) -> Int64s:
    """The row in its message of an event that :func:`sequence_in_log` has numbered."""
    return sequence & (1 << _PLACE_BITS) - 1


@dataclass(frozen=True)
class LogFacts:
    """Facts of a table beside a log. All arrays are int64, shape (n,).

    Attributes
    ----------
    partition
        The partition of the log that the fact is an event of; −1 for any other fact.
    offset, place
        The message, and the row in it; of a fact of no log whatever they are.
    arrived
        The sequence in the table.
    """

    partition: Int64s
    offset: Int64s
    place: Int64s
    arrived: Int64s

    @classmethod
    def of(cls, table: pa.Table, log: str) -> LogFacts:
        """Of a table with its system columns, beside the log of an identity."""
        origin = whole(table.column(ORIGIN)).dictionary_encode()
        parts = [name.rpartition(":") for name in origin.dictionary.to_pylist()]
        numbers = [int(number) if name == log else -1 for name, _, number in parts]
        code = origin.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        partition = np.array([*numbers, -1], np.int64)[code]
        offset, place, arrived = (
            integers(whole(table.column(name))) for name in (OFFSET, PLACE, SEQUENCE)
        )
        return cls(partition, offset, place, arrived)

    @cached_property
    def of_log(self) -> NDArray[np.bool_]:
        """Which facts are events of the log."""
        return self.partition >= 0

    def counts(self, history: int, bounds: Int64s, row: Int64s | None = None) -> NDArray[np.bool_]:
        """Which facts count.

        Parameters
        ----------
        history
            Facts that are not of the log count if they arrived at most as this sequence.
        bounds
            int64, shape (partitions,) or (rows, partitions): events of the log count before this
            offset of their partition; of partitions beyond, none do.
        row
            Where ``bounds`` are those of several rows: the row of each fact.
        """
        inside = self.of_log & (self.partition < bounds.shape[-1])
        number = np.where(inside, self.partition, 0)
        bound = bounds[number] if row is None else bounds[row, number]
        return np.where(self.of_log, inside & (self.offset < bound), self.arrived <= history)

    def sequence(self) -> Int64s:
        """Numbers by which the facts are ordered: those of no log, then each partition's."""
        in_log = sequence_in_log(self.offset, self.place)
        return np.where(self.of_log, in_log, self.arrived - _BEFORE_LOG)

    def take(self, at: Int64s) -> LogFacts:
        """The facts at some positions."""
        return LogFacts(self.partition[at], self.offset[at], self.place[at], self.arrived[at])
