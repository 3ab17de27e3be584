"""Archive: takes the events of a stream to the offline store, each exactly once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from noskew.addresses import StateKeys, archive_space, origin_of
from noskew.definitions.view import FeatureView
from noskew.errors import FencedError, NoteMismatchError
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.log.base import EventLog, Messages
from noskew.stores.offline.base import OfflineStore, TableInfo, TableSpec
from noskew.stores.state.lmdb import Space, StateStore
from noskew.streaming.archive.archived_facts import ArchivedFacts
from noskew.streaming.archive.event_batches import event_batches
from noskew.streaming.decoding.base import Decoder
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.identities import Identities
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Quarantined
from noskew.streaming.quarantine.late_events import late_rows
from noskew.streaming.quarantine.schema import quarantine_batch, quarantine_spec


@dataclass
class _Part:
    """One partition: how far the table is, and what was read of it since."""

    number: int
    origin: str
    space: Space
    epoch: int
    identities: Identities
    archived: PartitionProgress
    note: str | None
    quarantine_note: str | None
    progress: PartitionProgress
    events: list[pa.Table] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    accepted: dict[bytes, int] = field(default_factory=dict)

    def seen(self, identities: Sequence[bytes | None]) -> Mapping[bytes, int]:
        """When events of identities were accepted, those not archived yet included."""
        return self.identities.seen(identities, self.accepted)

    def known_by(self, note: str | None) -> tuple[bytes, bytes]:
        """What says in the space of which events the identities are: of this log, up to a note."""
        return StateKeys(b"").progress, f"{self.origin}\n{note or ''}".encode()

    def advance(self, note: str) -> None:
        """The table has what was read, and this note; keep the identities.

        If that fails the note here is not the table's, and no later commit is taken: whoever
        opens the partition anew makes the identities from the table.
        """
        puts = [self.known_by(note), *self.identities.puts(self.accepted)]
        gone = self.identities.forgotten(self.progress)
        self.space.commit(puts, deletes=gone, epoch=self.epoch)
        self.archived, self.note = self.progress, note

    def rewind(self) -> None:
        """Drop what was read and not committed."""
        self.progress = self.archived
        self.events, self.quarantined, self.accepted = [], [], {}


class Archive:
    """Some partitions' events of one offline table, and its rows that are no events.

    It reads the log on its own, with a place of its own: what counts as an event is a function
    of the log alone, so it takes the very events that the rows are folded from, and it neither
    slows the processor down nor fails with it.

    How far a partition is stands in a note of the table, which changes in the commit that brings
    its events, and must be what this object last saw: killed at any moment, all of a commit is
    there or nothing, and whoever was overtaken adds nothing. The rows that are no events have a
    table and notes of their own; it is written first, and a repetition leaves out what is there.

    ``state`` holds the identities of events, made again from the table where they are not those
    of the note.
    """

    def __init__(
        self,
        view: FeatureView,
        log: EventLog,
        partitions: Iterable[int],
        *,
        decode: Decoder,
        state: StateStore,
        offline: OfflineStore,
        spec: TableSpec,
    ) -> None:
        self._view, self._log, self._pipeline = view, log, EventPipeline([view], decode)
        self._state, self._offline, self._spec = state, offline, spec
        self._quarantine = quarantine_spec(view)
        offline.create(self._quarantine)
        self._parts = {number: self._opened(number) for number in partitions}

    def follow(self, partitions: Collection[int]) -> None:
        """Archive these partitions from now on."""
        for number in self._parts.keys() - set(partitions):
            del self._parts[number]
        for number in sorted(set(partitions) - self._parts.keys()):
            self._parts[number] = self._opened(number)

    def behind(self, ends: Mapping[int, int]) -> bool:
        """Whether messages before these offsets, by partition, were not taken."""
        return any(p.archived.next_offset < ends[n] for n, p in self._parts.items())

    def step(self, max_rows: int) -> int:
        """Take events up to the end of the log, about ``max_rows`` at most, in one commit.

        Returns how many. Raises FencedError, having added nothing, if another process archives
        one of the partitions.
        """
        ends = {n: self._log.bounds(n)[1] for n in self._parts}
        new = [p for n, p in self._parts.items() if p.archived.next_offset < ends[n]]
        if not new:
            return 0
        try:
            self._read(new, ends, max_rows)
            self._append_quarantined(new)
            rows = self._append_events(new)
        except NoteMismatchError as error:
            raise FencedError(f"{error}; another process archives it now: stop") from error
        finally:
            for part in new:
                part.rewind()
        return rows

    def _opened(self, number: int) -> _Part:
        origin = origin_of(self._log.identity, number)
        name = archive_space(self._view.log_hash, number)
        space = self._state.space(name)
        info = self._offline.info(self._spec.name)
        note = (info.notes or {}).get(origin)
        quarantine_info = self._offline.info(self._quarantine.name)
        archived = (
            PartitionProgress.from_bytes(note.encode())
            if note
            else PartitionProgress(next_offset=self._log.bounds(number)[0])
        )
        part = _Part(
            number,
            origin,
            space,
            space.claim(),
            Identities(self._view, space, b""),
            archived,
            note,
            (quarantine_info.notes or {}).get(origin),
            progress=archived,
        )
        self._restore(part, info)
        return part

    def _restore(self, part: _Part, info: TableInfo) -> None:
        """Make the identities those of what is archived, if another process archived it."""
        if not self._view.source.event_id:
            return
        key, wanted = part.known_by(part.note)
        if part.space.read([key]) == [wanted]:
            return
        all_facts = StreamGeneration(0, self._log.identity, info.last_sequence)
        bounds = {part.number: part.archived}
        facts = ArchivedFacts(self._view, self._offline, info, all_facts, bounds)
        identified = facts.identified(part.identities.oldest(part.archived))
        part.identities.restore(identified, epoch=part.epoch)
        part.space.commit([(key, wanted)], epoch=part.epoch)

    def _read(self, new: Sequence[_Part], ends: Mapping[int, int], max_rows: int) -> None:
        """Take messages of several partitions, up to their ends."""
        rows = 0
        with self._log.reader({p.number: p.archived.next_offset for p in new}) as reader:
            left = {p.number for p in new}
            while left and rows < max_rows:
                for messages in reader.poll(1.0):
                    number = messages.partition
                    if number in left:
                        rows += self._take(self._parts[number], messages.until(ends[number]))
                        if self._parts[number].progress.next_offset >= ends[number]:
                            left.remove(number)
                            reader.pause(number)

    def _take(self, part: _Part, messages: Messages) -> int:
        (accepted,) = self._pipeline(messages, [part])
        part.events.append(accepted.table)
        part.accepted |= accepted.seen
        part.quarantined += accepted.quarantined
        if self._view.late == "table":
            part.quarantined += late_rows(accepted.late, part.number)
        part.progress = accepted.progress
        return len(accepted.table)

    def _append_quarantined(self, new: Sequence[_Part]) -> None:
        """The rows that are no events; those that an interrupted step added are left out."""
        batches, notes, expected = [], {}, {}
        for part in new:
            done = int(part.quarantine_note or 0)
            rows = [r for r in part.quarantined if r.offset >= done]
            if rows:
                batches.append(quarantine_batch(rows, part.origin))
                notes[part.origin] = str(part.progress.next_offset)
                expected[part.origin] = part.quarantine_note
        if batches:
            self._offline.append(self._quarantine.name, batches, notes=notes, expected=expected)
            for part in new:
                part.quarantine_note = notes.get(part.origin, part.quarantine_note)

    def _append_events(self, new: Sequence[_Part]) -> int:
        notes = {p.origin: p.progress.to_bytes().decode() for p in new}
        expected = {p.origin: p.note for p in new}
        batches = (
            batch
            for part in new
            for events in part.events
            for batch in event_batches(events, part.origin, self._spec)
        )
        commit = self._offline.append(self._spec.name, batches, notes=notes, expected=expected)
        for part in new:
            part.advance(notes[part.origin])
        return commit.rows
