"""A log of messages in memory, as awkward as the contract of logs allows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pyarrow as pa

from noskew.clock import Clock
from noskew.errors import InputError
from noskew.stores.log.base import EventLog, LogReader, Messages, check_offset
from tests.simulation.calls import Calls

#: Messages of one portion, at most, as long as nothing else is said.
_PORTION = 20


@dataclass
class Shelf:
    """The messages of one partition. Offsets are left out here and there."""

    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    begin: int = 0
    end: int = 0

    def add(self, payload: bytes, time: int, skipped: int) -> int:
        """Append a message after ``skipped`` offsets that hold none; its offset."""
        offset = self.end + skipped
        self.offsets.append(offset)
        self.times.append(time)
        self.payloads.append(payload)
        self.end = offset + 1
        return offset

    def cut(self, before: int) -> int:
        """Remove the messages before an offset; how many there were."""
        count = bisect_left(self.offsets, before)
        del self.offsets[:count], self.times[:count], self.payloads[:count]
        self.begin = max(self.begin, before)
        return count

    def messages(self, partition: int, start: int, most: int) -> Messages:
        """At most so many messages from an offset on."""
        first = bisect_left(self.offsets, start)
        last = min(first + most, len(self.offsets))
        return Messages(
            partition,
            np.array(self.offsets[first:last], np.int64),
            np.array(self.times[first:last], np.int64),
            pa.array(self.payloads[first:last], pa.large_binary()),
            self.end if last == len(self.offsets) else self.offsets[last - 1] + 1,
        )


class LogServer:
    """What a log holds. ``identity`` tells it from one that takes its place.

    ``slow``: by how much the clock that gives append times is behind. ``portion``: messages of one
    poll and partition, at most.
    """

    def __init__(self, identity: str, partitions: int, clock: Clock) -> None:
        self.identity, self._clock = identity, clock
        self.shelves = [Shelf() for _ in range(partitions)]
        self.slow, self.portion = 0, _PORTION

    def now(self) -> int:
        """The append time of a message that comes now."""
        return self._clock.now() - self.slow

    def skip(self, partition: int, offsets: int) -> None:
        """Use up offsets for something that is no message."""
        self.shelves[partition].end += offsets


class SimulatedLog(EventLog):
    """The log as one process sees it. Portions are cut where ``random`` says."""

    def __init__(self, server: LogServer, random: Random, calls: Calls, who: str) -> None:
        self._server, self._random, self._calls, self._who = server, random, calls, who

    @property
    def identity(self) -> str:
        return self._server.identity

    @property
    def partitions(self) -> int:
        return len(self._server.shelves)

    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        if not payloads:
            raise InputError("no message to append")
        shelf, now = self._shelf(partition), self._server.now()
        return [shelf.add(p, now, self._random.choice([0, 0, 0, 1])) for p in payloads][-1]

    def bounds(self, partition: int) -> tuple[int, int]:
        shelf = self._shelf(partition)
        return self._calls.around(self._who, "log.bounds", lambda: (shelf.begin, shelf.end))

    def reader(self, offsets: Mapping[int, int]) -> LogReader:
        made = _Reader(self._server, self._random, self._calls, self._who)
        for partition, offset in offsets.items():
            made.assign(partition, offset)
        return made

    def close(self) -> None: ...

    def _shelf(self, partition: int) -> Shelf:
        return _shelf(self._server, partition)


class _Reader(LogReader):
    def __init__(self, server: LogServer, random: Random, calls: Calls, who: str) -> None:
        self._server, self._random, self._calls, self._who = server, random, calls, who
        self._at: dict[int, int] = {}
        self._paused: set[int] = set()

    def poll(self, timeout: float) -> list[Messages]:
        del timeout
        return self._calls.around(self._who, "log.poll", self._poll)

    def _poll(self) -> list[Messages]:
        found = []
        for partition, start in sorted(self._at.items()):
            shelf = self._server.shelves[partition]
            check_offset("the simulated log", partition, start, (shelf.begin, shelf.end))
            if partition in self._paused or start == shelf.end or self._random.random() < 0.1:
                continue
            most = self._random.randint(1, self._server.portion)
            messages = shelf.messages(partition, start, most)
            self._at[partition] = messages.next_offset
            found.append(messages)
        return found

    def assign(self, partition: int, offset: int) -> None:
        shelf = _shelf(self._server, partition)
        check_offset("the simulated log", partition, offset, (shelf.begin, shelf.end))
        self._at[partition] = offset
        self._paused.discard(partition)

    def drop(self, partition: int) -> None:
        self._at.pop(partition, None)
        self._paused.discard(partition)

    def pause(self, partition: int) -> None:
        self._check_read(partition)
        self._paused.add(partition)

    def resume(self, partition: int) -> None:
        self._check_read(partition)
        self._paused.discard(partition)

    def close(self) -> None:
        self._at.clear()

    def _check_read(self, partition: int) -> None:
        if partition not in self._at:
            raise InputError(f"partition {partition} is not read")


def _shelf(server: LogServer, partition: int) -> Shelf:
    if not 0 <= partition < len(server.shelves):
        raise InputError(f"the simulated log has no partition {partition}")
    return server.shelves[partition]
