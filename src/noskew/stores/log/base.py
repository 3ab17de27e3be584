"""The contract of a log: partitions of messages that are appended and read in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import OffsetLostError
from noskew.resources import Closing

#: Messages are given out in portions of about this many bytes.
READ_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one partition, in the order of their offsets.

    Attributes
    ----------
    partition
        The partition they all come from.
    offsets
        int64, shape (n,): ascending; offsets may be left out (a log may hold marks of its own,
        or may have removed messages), and never come back.
    append_times
        int64, shape (n,): when the log took each message, in µs since the epoch, UTC.
    payloads
        large_binary, length n. Null: a message without content.
    next_offset
        Where to read on. With no message it may still be ahead of where the read began.
    """

    partition: int
    offsets: NDArray[np.int64]
    append_times: NDArray[np.int64]
    payloads: pa.LargeBinaryArray
    next_offset: int

    def __len__(self) -> int:
        return len(self.offsets)

    def until(self, end: int) -> Messages:
        """Those before the offset ``end``."""
        if self.next_offset <= end:
            return self
        n = int(np.searchsorted(self.offsets, end))
        return Messages(
            self.partition, self.offsets[:n], self.append_times[:n], self.payloads.slice(0, n), end
        )


class EventLog(Closing, ABC):
    """A durable log of messages, in numbered partitions.

    A log knows bytes and nothing else: not what a message means, no definition, no registry.
    Within a partition, messages have offsets that only grow; a message never changes, and two
    readers of the same offsets see the same bytes and the same append times. Nothing is
    promised between partitions.

    Every method raises StoreUnavailableError when the log cannot be reached or answers too
    late, CorruptDataError when it finds bytes that it did not write, StoreError once closed,
    and InputError for a partition that is not there. An open log that was removed raises
    StoreError, also when another one was made in its place: that one is not it.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """Names this very log: ``[A-Za-z0-9_-]{1,64}``, the same for as long as it lives.

        A log that was removed and made anew in the same place, under the same name, has another
        one: offsets of the one say nothing of the other.
        """

    @property
    @abstractmethod
    def partitions(self) -> int:
        """How many partitions there are now, numbered from 0. It may grow, never shrink."""

    @abstractmethod
    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        """Append messages in their order; returns the offset of the last one.

        When it returns, the messages survive what the log's durability promises, and readers
        that come later see them. When it raises, some of them may have been appended (in
        order, the first ones first): repeating the call may append them twice.

        Raises StoreFullError when there is no space left; nothing appended before is lost.
        Raises InputError for no message, and LimitError for more bytes than the log takes.
        """

    @abstractmethod
    def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset that is held, and the one that comes next; equal when empty."""

    @abstractmethod
    def reader(self, offsets: Mapping[int, int]) -> LogReader:
        """A reader of some partitions, each from an offset on.

        Raises OffsetLostError for an offset outside :meth:`bounds`, both ends included: a log
        that was cut, emptied or replaced is never read from somewhere else in silence.
        """

    @abstractmethod
    def close(self) -> None:
        """Release files and connections; a second call does nothing."""


class LogReader(Closing, ABC):
    """Reads partitions of a log on and on. Belongs to one thread.

    Close it before its log. Its methods raise what those of :class:`EventLog` do.
    """

    @abstractmethod
    def poll(self, timeout: float) -> list[Messages]:
        """The next messages of the partitions that are read, at most one item for each.

        Waits up to ``timeout`` seconds for the first message; gives an empty list if none
        came. Offsets of a partition continue where the last poll ended.

        Raises OffsetLostError when messages were removed before they were read.
        """

    @abstractmethod
    def assign(self, partition: int, offset: int) -> None:
        """Read a partition as well, or go on in it elsewhere; it is not paused then.

        Raises as :meth:`EventLog.reader`; then what was read before is read on.
        """

    @abstractmethod
    def drop(self, partition: int) -> None:
        """Read a partition no more; one that is not read is skipped."""

    @abstractmethod
    def pause(self, partition: int) -> None:
        """Leave a partition out of polls, and keep its place, until :meth:`resume`.

        Raises InputError if it is not read.
        """

    @abstractmethod
    def resume(self, partition: int) -> None:
        """Undo :meth:`pause`. Raises InputError if the partition is not read."""

    @abstractmethod
    def close(self) -> None:
        """Stop reading; a second call does nothing."""


def check_offset(log: str, partition: int, offset: int, bounds: tuple[int, int]) -> None:
    """Raise OffsetLostError unless ``begin ≤ offset ≤ end``."""
    begin, end = bounds
    if offset < begin:
        raise OffsetLostError(
            f"{log}, partition {partition}: messages {offset} to {begin - 1} are gone (the first "
            f"one held is {begin}); they were removed before they were read",
            partition=partition,
            offset=offset,
            begin=begin,
            end=end,
        )
    if offset > end:
        raise OffsetLostError(
            f"{log}, partition {partition}: asked to go on at {offset}, and it ends at {end}; it "
            f"was emptied or replaced since",
            partition=partition,
            offset=offset,
            begin=begin,
            end=end,
        )
