"""Processor: runs the views of a streaming source, from its log to the online store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Self

from noskew.clock import Clock
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError
from noskew.kernel.online_keys import heartbeat_key, heartbeat_row, view_prefix
from noskew.stores.log.base import EventLog, LogReader
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.decode import decoder
from noskew.streaming.mark import Mark
from noskew.streaming.partition import Partition
from noskew.streaming.publisher import Publisher

#: Rows that may wait for the online store before a partition is read no further.
_MOST_WAITING = 500_000
#: How long a poll waits, and so how often an idle processor looks whether it shall stop.
_POLL_S = 0.1
#: How long to wait before the online store is tried again.
_RETRY_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a partition is. ``end``: the offset after the log's last message."""

    partition: int
    next_offset: int
    end: int
    marks: dict[str, Mark]
    waiting: int

    @property
    def lag(self) -> int:
        """Offsets that were not read yet."""
        return max(0, self.end - self.next_offset)


#: Told now and then how far each partition is.
Watcher = Callable[[list[Progress]], None]


class Processor:
    """Folds the partitions of one source's log into rows, and publishes them.

    One thread does it all, step by step: poll, fold, commit, publish. Memory is bounded: a
    portion of messages for each partition, and the rows that wait for an online store that is
    down; when those are many, their partitions pause.

    Parameters
    ----------
    views
        The online views of ``source``.
    directory
        Where the state is kept, a directory for each partition.
    partitions
        Those to work on; None: all.
    """

    def __init__(
        self,
        source: Source,
        views: Sequence[FeatureView],
        log: EventLog,
        online: OnlineStore,
        *,
        project: str,
        directory: Path,
        clock: Clock,
        partitions: Sequence[int] | None = None,
    ) -> None:
        if source.stream is None:
            raise ConfigError(f"source {source.name!r} has no stream; give it stream=ns.Kafka(…)")
        self._log, self._online, self._clock = log, online, clock
        self._prefixes = [view_prefix(project, v.definition_hash) for v in views]
        chosen = range(log.partitions) if partitions is None else partitions
        decode = decoder(source.stream.format, source.schema, f"source {source.name!r}")
        self._publishers = {p: Publisher(online) for p in chosen}
        self._partitions = {
            p: Partition(
                views, project, decode=decode,
                state=StateStore(directory / str(p)), publisher=self._publishers[p],
            )
            for p in chosen
        }  # fmt: skip
        self._beat = 0

    def run(
        self,
        stop: Event,
        *,
        until_caught_up: bool = False,
        told: Watcher | None = None,
    ) -> None:
        """Work until ``stop`` is set, or until everything appended so far is published.

        Raises OffsetLostError, with the exact gap, when the log no longer holds what comes
        next; FencedError when somebody else took a partition over.
        """
        paused: set[int] = set()
        tried = -_RETRY_S
        ends = self._ends()
        with self._log.reader({p: w.next_offset for p, w in self._partitions.items()}) as reader:
            while not stop.is_set():
                caught_up = self._caught_up(ends)
                for messages in reader.poll(0.0 if until_caught_up and caught_up else _POLL_S):
                    self._partitions[messages.partition].step(messages)
                if monotonic() - tried >= _RETRY_S or not paused:
                    tried = monotonic() if not self._publish() else -_RETRY_S
                self._hold(reader, paused)
                if told:
                    told(self.progress())
                if until_caught_up and caught_up and not self._waiting():
                    return

    def progress(self) -> list[Progress]:
        """How far each partition is."""
        ends = self._ends()
        return [
            Progress(p, w.next_offset, ends[p], w.marks, self._publishers[p].waiting)
            for p, w in self._partitions.items()
        ]

    def close(self) -> None:
        """Note what was published, and let go of the state."""
        for partition in self._partitions.values():
            partition.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _publish(self) -> bool:
        """Publish what waits, then the heartbeats. False if the online store could not take it."""
        through = [publisher.flush() for publisher in self._publishers.values()]
        if not all(through):
            return False
        known = min(
            (m.known for w in self._partitions.values() for m in w.marks.values()), default=0
        )
        if known > self._beat:
            rows = [heartbeat_row(known, 0)] * len(self._prefixes)
            self._online.write([heartbeat_key(p) for p in self._prefixes], rows)
            self._beat = known
        return True

    def _hold(self, reader: LogReader, paused: set[int]) -> None:
        """Pause partitions whose rows pile up; resume those whose rows are through."""
        for number, publisher in self._publishers.items():
            if publisher.waiting > _MOST_WAITING and number not in paused:
                reader.pause(number)
                paused.add(number)
            elif number in paused and not publisher.waiting:
                reader.resume(number)
                paused.remove(number)

    def _waiting(self) -> int:
        return sum(p.waiting for p in self._publishers.values())

    def _ends(self) -> dict[int, int]:
        return {p: self._log.bounds(p)[1] for p in self._partitions}

    def _caught_up(self, ends: dict[int, int]) -> bool:
        return all(w.next_offset >= ends[p] for p, w in self._partitions.items())
