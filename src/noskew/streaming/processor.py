"""Processor: runs the views of a streaming source, from its log to the online store."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

from noskew.clock import Clock
from noskew.closing import Closing
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, StoreError, StoreFullError, StoreUnavailableError
from noskew.kernel.online_keys import heartbeat_key, heartbeat_row, view_prefix
from noskew.stores.log.base import EventLog, LogReader
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.decode import decoder
from noskew.streaming.mark import Mark
from noskew.streaming.partition import Partition

#: Rows that may wait for the online store before a partition is read no further.
_MOST_WAITING = 500_000
#: How long a poll waits, and so how often an idle processor looks whether it shall stop.
_POLL_S = 0.1
#: How long to wait before the online store is tried again.
_RETRY_S = 0.5
#: How often it is asked whether it still holds what was published.
_CONFIRM_S = 1.0


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


class Processor(Closing):
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
        self._partitions = {
            p: Partition(
                views, project, decode=decode,
                state=StateStore(directory / str(p)), online=online, number=p,
            )
            for p in chosen
        }  # fmt: skip
        self._generation: bytes | None = None
        self._beat = 0
        #: Why the online store could not take the last rows; None: it did.
        self.fault: StoreError | None = None
        #: Rows that were published again because the online store had lost them.
        self.published_again = 0

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
        tried = confirmed = -math.inf
        ends = self._ends()
        with self._log.reader({p: w.next_offset for p, w in self._partitions.items()}) as reader:
            while not stop.is_set():
                caught_up = self._caught_up(ends)
                for messages in reader.poll(0.0 if until_caught_up and caught_up else _POLL_S):
                    self._partitions[messages.partition].step(messages)
                if self.fault is None or monotonic() - tried >= _RETRY_S:
                    tried = monotonic()
                    due = tried - confirmed >= _CONFIRM_S or (until_caught_up and caught_up)
                    if self._publish(due) and due:
                        confirmed = tried
                self._hold(reader, paused)
                if told:
                    told(self.progress())
                if until_caught_up and caught_up and not self._waiting() and self.fault is None:
                    return

    def progress(self) -> list[Progress]:
        """How far each partition is."""
        ends = self._ends()
        return [
            Progress(p, w.next_offset, ends[p], w.marks, w.waiting)
            for p, w in self._partitions.items()
        ]

    def close(self) -> None:
        """Let go of the state."""
        for partition in self._partitions.values():
            partition.close()

    def _publish(self, confirm: bool) -> bool:
        """Publish what waits; ``confirm`` as well. False if the online store could not take it."""
        try:
            for partition in self._partitions.values():
                partition.publish()
            if confirm:
                self._confirm()
        except (StoreUnavailableError, StoreFullError) as error:
            self.fault = error
            return False
        self.fault = None
        return True

    def _confirm(self) -> None:
        """Check that the online store still holds what was published; tell it how far that is.

        A server that took over from another may lack the last rows that the other acknowledged.
        If that happened while the frontier was written, nothing says how many: then all rows are
        published again.
        """
        generation = self._online.generation()
        moved = self._generation not in (None, generation)
        again = sum(p.confirm(moved) for p in self._partitions.values())
        self._generation = self._online.generation()
        if self._generation != generation:
            again += sum(p.publish_all() for p in self._partitions.values())
        self.published_again += again
        if not again:
            self._write_heartbeats()

    def _write_heartbeats(self) -> None:
        known = min(
            (m.known for w in self._partitions.values() for m in w.marks.values()), default=0
        )
        if known != self._beat:
            rows = [heartbeat_row(known, 0)] * len(self._prefixes)
            self._online.write([heartbeat_key(p) for p in self._prefixes], rows)
            self._beat = known

    def _hold(self, reader: LogReader, paused: set[int]) -> None:
        """Pause partitions whose rows pile up; resume those whose rows are through."""
        for number, partition in self._partitions.items():
            if partition.waiting > _MOST_WAITING and number not in paused:
                reader.pause(number)
                paused.add(number)
            elif number in paused and not partition.waiting:
                reader.resume(number)
                paused.remove(number)

    def _waiting(self) -> int:
        return sum(p.waiting for p in self._partitions.values())

    def _ends(self) -> dict[int, int]:
        return {p: self._log.bounds(p)[1] for p in self._partitions}

    def _caught_up(self, ends: dict[int, int]) -> bool:
        return all(w.next_offset >= ends[p] for p, w in self._partitions.items())
