"""Freshness: up to which time nothing is missing of a stream's rows, told to readers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from noskew.addresses import OnlineRows
from noskew.clock import Clock
from noskew.kernel.rows.codec import version_of
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.stores.online.base import OnlineStore
from noskew.streaming.fold.progress import PartitionProgress


class Freshness:
    """Writes how fresh each view is, for all partitions of its source together.

    A partition is fresh up to the known time of its last folded message; or, when the log was
    asked at a time and held nothing more, up to that time, so that a stream in which nothing
    happens does not grow old. A view is as fresh as its least fresh partition, be it this
    process's or another's: each writes its own, and the least of all that are there. That never
    steps back, since none of them does.
    """

    def __init__(
        self, online: OnlineStore, clock: Clock, prefixes: Sequence[bytes], partitions: int
    ) -> None:
        self._online, self._clock = online, clock
        self._prefixes, self._partitions = prefixes, partitions

    def now(self) -> int:
        """The time to ask the log at, for :meth:`tell`."""
        return self._clock.now()

    def reached(self, number: int) -> int:
        """The offset up to which every view has folded a partition, and published it."""
        rows = self._online.read([OnlineRows(p).progress(number) for p in self._prefixes])
        return min(
            0 if row is None else PartitionProgress.from_row(row).next_offset for row in rows
        )

    def tell(self, asked: int, caught_up: Collection[int]) -> None:
        """``caught_up``: partitions of which the log held nothing more at the time ``asked``."""
        row = heartbeat_row(asked, 0)
        keys = [OnlineRows(p).fresh(number) for p in self._prefixes for number in caught_up]
        self._online.write(keys, [row] * len(keys))
        for prefix in self._prefixes:
            least = self._least(prefix)
            if least is not None:
                self._online.write([OnlineRows(prefix).heartbeat], [heartbeat_row(least, 0)])

    def _least(self, prefix: bytes) -> int | None:
        """Up to when every partition is fresh; None while nothing is known of one."""
        numbers = range(self._partitions)
        of = OnlineRows(prefix)
        keys = [*map(of.progress, numbers), *map(of.fresh, numbers)]
        rows = self._online.read(keys)
        times = [None if row is None else version_of(row)[0] for row in rows]
        both = zip(times[: len(numbers)], times[len(numbers) :], strict=True)
        each = [max((t for t in pair if t is not None), default=None) for pair in both]
        return None if None in each else min(t for t in each if t is not None)
