"""Processor: runs the views of a streaming source, from its log to the online store."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Protocol

from noskew.addresses import Tenant
from noskew.definitions.source import Source
from noskew.errors import (
    ConfigError,
    FencedError,
    NoskewError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.resources import Closing
from noskew.stores.log.base import EventLog, LogReader, Messages
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.decoding.factory import decoder
from noskew.streaming.fault_log import FaultLog
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.partition import PartitionFold
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.publish.freshness import Freshness
from noskew.streaming.publish.publisher import Publishing
from noskew.streaming.workers.fold_base import FoldBase

_logger = logging.getLogger(__name__)

#: Rows that may wait for the online store before the log is read no further.
_MOST_WAITING = 500_000
#: How long a poll waits, and so how often an idle processor looks whether it shall stop.
_POLL_S = 0.1
#: How often readers are told how fresh the rows are, and the assignment is looked at.
_TELL_S = 1.0
_LOOK_S = 1.0
#: How often a watcher is told: the log is asked for its end each time.
_WATCH_S = 0.05
#: How long to wait before messages are decoded again.
_RETRY_S = 1.0


@dataclass(frozen=True)
class PartitionPosition:
    """How far a partition is. ``end``: the offset after the log's last message.

    The rest is of all partitions together: rows that wait for the online store, those that were
    published again since it may have lost them, and why it, and the archive, failed last (None:
    they did not).
    """

    partition: int
    next_offset: int
    end: int
    progress: dict[str, PartitionProgress]
    waiting: int
    published_again: int = 0
    fault: StoreError | None = None
    archive_fault: NoskewError | None = None

    @property
    def lag(self) -> int:
        """Offsets that were not read yet."""
        return max(0, self.end - self.next_offset)


#: Told now and then how far each partition is.
StreamWatcher = Callable[[list[PartitionPosition]], None]


class Assignment(Protocol):
    """Says which partitions to work on; they come and go."""

    def look(self) -> frozenset[int]:
        """The partitions to work on now."""

    def release(self, numbers: Sequence[int]) -> None:
        """Partitions that are worked on no more."""


@dataclass
class _Turn:
    """What the turns of one run share. ``ends``: up to where, in the end; None: for ever."""

    reader: LogReader
    ends: dict[int, int] | None
    watcher: StreamWatcher | None
    watched: float = -math.inf
    paused: set[int] = field(default_factory=set)


class Processor(Closing):
    """Folds partitions of one source's log into rows, and publishes them.

    One thread does it all, step by step: poll, fold, commit, publish. Memory is bounded: a
    portion of messages for each partition, and the rows that wait for an online store that is
    down; when those are many, reading pauses.

    Parameters
    ----------
    base
        The rows of the online views of ``source``.
    state
        Where rows are kept, and how far each partition is; closed with the processor.
    partitions
        Those to work on; None: all.
    assignment
        Says in their place, again and again, which ones to work on.
    """

    def __init__(
        self,
        source: Source,
        base: FoldBase,
        log: EventLog,
        *,
        tenant: Tenant,
        state: StateStore,
        publishing: Publishing,
        freshness: Freshness,
        partitions: Sequence[int] | None = None,
        assignment: Assignment | None = None,
    ) -> None:
        if source.stream is None:
            raise ConfigError(f"source {source.name!r} has no stream; give it stream=ns.Kafka(…)")
        self._log, self._state, self._base = log, state, base
        self._tenant, self._source = tenant, source.name
        self._publishing, self._freshness = publishing, freshness
        self._pipeline = EventPipeline([f.view for f in base.folds], decoder(source))
        self._assignment = assignment
        self._partitions: dict[int, PartitionFold] = {}
        self._freshness_told = self._looked = -math.inf
        self._tell_fault: StoreError | None = None
        self._turn_fault: StoreError | None = None
        self._turn_log = FaultLog(_logger, f"stream {source.name}: reading the log")
        self._last_ends: dict[int, int] = {}
        #: Partitions that the reader is still to be told of.
        self._to_assign: set[int] = set()
        #: Commits that were refused, for another worker had taken the partition over.
        self.refused = 0
        if assignment is None:
            self._take(range(log.partitions) if partitions is None else partitions)

    @property
    def fault(self) -> StoreError | None:
        """Why no messages could be read or decoded, or the online store not take their rows."""
        return self._turn_fault or self._publishing.fault or self._tell_fault

    @property
    def published_again(self) -> int:
        """Rows that were published again because the online store may have lost them."""
        return self._publishing.published_again

    def run(
        self,
        stop: Event,
        *,
        until_caught_up: bool = False,
        watcher: StreamWatcher | None = None,
    ) -> None:
        """Work until ``stop`` is set, or until everything appended so far is published.

        The log, and what messages are decoded with, may be out of reach for a while: then it is
        tried again, or, until caught up, StoreUnavailableError is raised. Raises OffsetLostError,
        with the exact gap, when the log no longer holds what comes next; FencedError when somebody
        else took a partition over that was given for good; RebuiltError when rows were made anew,
        or are to be, and a new processor has to go on.
        """
        ends = {p: self._log.bounds(p)[1] for p in range(self._log.partitions)}
        self._to_assign = set(self._partitions)
        _logger.info("stream %s: started", self._source)
        with self._log.reader({}) as reader:
            turn = _Turn(reader, ends if until_caught_up else None, watcher)
            while not stop.is_set():
                try:
                    if self._turn(turn):
                        break
                    self._note_turn(None)
                except StoreUnavailableError as error:
                    if until_caught_up:
                        raise
                    self._note_turn(error)
                    self._publishing.work()  # what was folded before does not wait for the log
                    if watcher:
                        watcher(self._positions(self._last_ends))
                    stop.wait(_RETRY_S)
            self._publishing.work(now=True)
        _logger.info("stream %s: stopped", self._source)
        if watcher:
            watcher(self.positions())

    def positions(self) -> list[PartitionPosition]:
        """How far each partition is that is worked on. Raises what asking the log does."""
        return self._positions(self._ends())

    def _positions(self, ends: Mapping[int, int]) -> list[PartitionPosition]:
        """As :meth:`positions`, by ends of the log that were heard of."""
        waiting, again, fault = self._publishing.waiting, self.published_again, self.fault
        return [
            PartitionPosition(
                p, w.next_offset, ends.get(p, w.next_offset), w.progress, waiting, again, fault
            )
            for p, w in self._partitions.items()
        ]

    def close(self) -> None:
        """Let go of the state."""
        self._state.close()

    def _take(self, numbers: Sequence[int]) -> None:
        """Work on partitions: whoever did before cannot commit any more."""
        for number in numbers:
            self._base.prepare(number)
        taken = {
            number: PartitionFold(
                self._base.folds,
                number,
                pipeline=self._pipeline,
                state=self._state,
                space=self._state.space(self._tenant.stream_space(self._source, number)),
            )
            for number in numbers
        }
        self._base.check_state()
        self._publishing.open(taken.values())
        self._partitions |= taken
        for number, partition in taken.items():
            _logger.info(
                "stream %s: partition %d taken over at message %d",
                self._source,
                number,
                partition.next_offset,
            )

    def _note_turn(self, fault: StoreUnavailableError | None) -> None:
        self._turn_fault = fault
        self._turn_log.note(fault)

    def _turn(self, turn: _Turn) -> bool:
        """Read, fold, commit and publish once; whether everything up to the ends is done.

        Raises StoreUnavailableError when the log, or what it takes to decode its messages, cannot
        be reached; the next turn goes on from there.
        """
        reader, ends = turn.reader, turn.ends
        self._follow(reader)
        for number in sorted(self._to_assign):
            reader.assign(number, self._partitions[number].next_offset)
            self._to_assign.remove(number)
        if turn.watcher and monotonic() - turn.watched >= _WATCH_S:
            turn.watched = monotonic()
            turn.watcher(self.positions())
        last = ends is not None and self._caught_up(ends)
        for messages in reader.poll(0.0 if last else _POLL_S):
            self._step(messages, reader)
        done = self._publishing.work(now=last) and self._tell(now=last)
        self._hold(reader, turn.paused)
        return last and done and ends is not None and self._others_caught_up(ends)

    def _follow(self, reader: LogReader) -> None:
        """Take over, and give up, what the assignment says."""
        if self._assignment is None or monotonic() - self._looked < _LOOK_S:
            return
        self._base.check_registry()
        wanted = self._assignment.look()
        self._looked = monotonic()
        surplus = sorted(self._partitions.keys() - wanted)
        if surplus and self._publishing.work(now=True):
            for number in surplus:
                self._drop(number, reader)
            self._assignment.release(surplus)
            _logger.info("stream %s: partitions %s handed over", self._source, surplus)
        missing = sorted(wanted - self._partitions.keys())
        self._take(missing)
        self._to_assign.update(missing)

    def _step(self, messages: Messages, reader: LogReader) -> None:
        """Fold messages, and keep what changed for publishing."""
        partition = self._partitions.get(messages.partition)
        if partition is None or messages.partition in self._to_assign:
            return  # dropped in this very turn, or to be read again
        try:
            self._publishing.add(partition.step(messages))
        except FencedError:
            self.refused += 1
            if self._assignment is None:
                raise
            _logger.warning(
                "stream %s: partition %d was taken over by another worker",
                self._source,
                messages.partition,
            )
            self._drop(messages.partition, reader)
        except StoreUnavailableError:
            # Of what this poll gave, the rest may be of the same partition: read all of it again.
            self._to_assign.update(self._partitions)
            raise

    def _drop(self, number: int, reader: LogReader) -> None:
        reader.drop(number)
        self._publishing.drop(number)
        self._to_assign.discard(number)
        del self._partitions[number]

    def _tell(self, *, now: bool) -> bool:
        """Tell readers how fresh the rows are, now and then; False if the store took it not."""
        if not now and monotonic() - self._freshness_told < _TELL_S:
            return True
        asked = self._freshness.now()
        ends = self._ends()
        caught_up = [p for p, w in self._partitions.items() if w.next_offset >= ends[p]]
        try:
            self._freshness.tell(asked, [] if self._publishing.waiting else caught_up)
        except (StoreUnavailableError, StoreFullError) as error:
            self._tell_fault = error
            return False
        self._freshness_told, self._tell_fault = monotonic(), None
        return True

    def _hold(self, reader: LogReader, paused: set[int]) -> None:
        """Read no further while rows pile up; go on when they are through."""
        waiting = self._publishing.waiting
        if waiting > _MOST_WAITING:
            for number in self._partitions.keys() - paused:
                reader.pause(number)
                paused.add(number)
        elif paused and not waiting:
            for number in paused & self._partitions.keys():
                reader.resume(number)
            paused.clear()

    def _ends(self) -> dict[int, int]:
        self._last_ends = {p: self._log.bounds(p)[1] for p in list(self._partitions)}
        return self._last_ends

    def _caught_up(self, ends: dict[int, int]) -> bool:
        return all(w.next_offset >= ends[p] for p, w in self._partitions.items())

    def _others_caught_up(self, ends: dict[int, int]) -> bool:
        """Whether the partitions of other workers are as far, by what the store says of them."""
        others = ends.keys() - self._partitions.keys()
        return all(self._freshness.reached(number) >= ends[number] for number in others)
