"""Bootstrap: the rows of a view that starts to be streamed, in bulk from what is archived."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from noskew.addresses import OnlineRows, StateKeys, Tenant, origin_of
from noskew.definitions.view import FeatureView
from noskew.errors import NoskewError, OffsetLostError, RebuiltError
from noskew.kernel.ragged import Ragged
from noskew.kernel.rows.codec import OFFSET_BITS, version_of
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, RowProgress, TableInfo
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import Space, StateStore
from noskew.streaming.archive.archived_facts import ArchivedFacts
from noskew.streaming.fold.generation import StreamGenerations
from noskew.streaming.fold.identities import Identities
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold

#: Bytes of rows of one commit.
_COMMIT_BYTES = 64 << 20
#: A partition is made anew from the archive if that is so many messages ahead.
_FAR = 1_000_000
#: Stands in the place of a generation, or of a progress, while rows are made.
_NOT_WHOLE = b""


@dataclass(frozen=True)
class _Part:
    """A partition that nobody else works on; ``archived``: how far the table is."""

    number: int
    archived: PartitionProgress
    space: Space
    epoch: int


@dataclass(frozen=True)
class Bootstrap:
    """Makes the rows of views in a state, where they are not there as the project wants them.

    1. The generation is agreed on: the registry's, or the first one, of what the table holds now.
    2. The state is told that its rows of the view are not whole, and its partitions are claimed,
       so that nobody folds them meanwhile.
    3. Rows are folded in bulk from a snapshot of the table, identities and the progress of each
       partition put beside them; it is that of the snapshot, so that the log is read on exactly
       where the facts end.
    4. Rows of earlier generations that have no successor are removed.
    5. The state is told that its rows are whole, and of which generation.

    Killed at any moment, the next one begins again at 2. Readers see rows all the time: those
    that are there until the ones that come after them.
    """

    source: str
    tenant: Tenant
    log: EventLog
    offline: OfflineStore
    online: OnlineStore
    state: StateStore
    generations: StreamGenerations

    def ready(
        self, view: FeatureView, table: str, *, progress: RowProgress | None = None
    ) -> ViewFold:
        """The fold of a view whose rows are in the state, made now if they were not.

        ``table``: the name of its offline table; ``progress`` is told of its events. Raises
        OffsetLostError if the log is another one than the rows are of, or no longer holds what
        comes after them.
        """
        generation = self._agreed(view, table)
        fold = ViewFold(view, self.tenant, generation.number)
        space = self.state.space(self.tenant.views_space(self.source))
        key = StateKeys(fold.prefix).generation
        with _alone(self.state.path):
            (stored,) = space.read([key])
            if stored != generation.to_bytes():
                self._make(fold, generation, table, space, progress)
        return fold

    def advance(self, fold: ViewFold, number: int, table: str) -> None:
        """Bring a partition that this machine takes over to where the archive is, if that is far.

        Another machine may have worked on it for long: then reading the log again takes longer
        than folding its archived events in bulk, and the log may not hold them any more.
        """
        space = self.state.space(self.tenant.stream_space(self.source, number))
        key = StateKeys(fold.prefix).progress
        (stored,) = space.read([key])
        here = PartitionProgress.from_bytes(stored).next_offset if stored else -1
        info = self._info(table)
        there = self._archived(number, info).next_offset
        if here >= self.log.bounds(number)[0] and there - here < _FAR:
            return
        if here >= there:
            return
        part = self._claimed(number, info)
        generation = self.generation(fold)
        (stored,) = space.read([key])  # another process may have gone on until the claim
        if stored and PartitionProgress.from_bytes(stored).next_offset >= there:
            return
        space.commit([(key, _NOT_WHOLE)], epoch=part.epoch)
        if info is not None:
            bounds = {number: part.archived}
            facts = ArchivedFacts(fold.view, self.offline, info, generation, bounds)
            self._put_rows(facts.rows_of_log(fold), space, part.epoch)
        self._put_partition(fold, generation, part, info)

    def check_registry(self, folds: Iterable[ViewFold]) -> None:
        """Raises RebuiltError if another generation than that of a fold has been agreed on.

        As long as the registry cannot be asked, they go on as they are.
        """
        try:
            agreed = self.generations.all()
        except NoskewError:
            return
        for fold in folds:
            generation = agreed.get(DefinitionKey.of(fold.view))
            if generation is None or generation.number != fold.generation:
                raise _rebuilt(fold)

    def generation(self, fold: ViewFold) -> StreamGeneration:
        """The generation of the state's rows.

        Raises RebuiltError if they are no longer of the fold's generation. Whoever has claimed a
        partition and is then given one need not look again: rows that are made anew take the
        partition away.
        """
        space = self.state.space(self.tenant.views_space(self.source))
        (stored,) = space.read([StateKeys(fold.prefix).generation])
        if stored:
            generation = StreamGeneration.from_bytes(stored)
            if generation.number == fold.generation:
                return generation
        raise _rebuilt(fold)

    def _agreed(self, view: FeatureView, table: str) -> StreamGeneration:
        agreed = self.generations.of(view)
        if agreed is None:
            first = StreamGeneration(0, self.log.identity, self._history(table))
            agreed = self.generations.put(view, first, before=None)
        if agreed.log != self.log.identity:
            raise OffsetLostError(
                f"the log of the source {self.source!r} is another one than the rows of the view "
                f"{view.name!r} were folded from (it is {self.log.identity}, that was "
                f"{agreed.log}): it was removed and made anew. Bring the old one back, or run "
                f"'noskew stream rebuild {self.source}' to go on from what is archived of it",
                partition=0,
                offset=-1,
                begin=0,
                end=self.log.bounds(0)[1],
            )
        return agreed

    def renew(self, view: FeatureView, table: str) -> StreamGeneration:
        """Agree on a new generation: everything that the table holds now, and the present log."""
        before = self.generations.of(view)
        number, log, since = 0, self.log.identity, 0
        if before is not None:
            number = before.number + 1
            since = before.log_since if before.log == log else number
        new = StreamGeneration(number, log, self._history(table), since)
        return self.generations.put(view, new, before=before)

    def _history(self, table: str) -> int:
        """The greatest sequence in the table; facts of the log are told by their origin."""
        info = self._info(table)
        return info.last_sequence if info else -1

    def _info(self, table: str) -> TableInfo | None:
        return self.offline.info(table) if table in self.offline.tables() else None

    def _make(
        self,
        fold: ViewFold,
        generation: StreamGeneration,
        table: str,
        space: Space,
        progress: RowProgress | None,
    ) -> None:
        epoch = space.claim()
        key = StateKeys(fold.prefix).generation
        (stored,) = space.read([key])
        # Rows that were put there by another way than a stream are none of ours.
        clear = [fold.prefix] if stored is None else []
        space.commit([(key, _NOT_WHOLE)], clear=clear, epoch=epoch)  # 2
        info = self._info(table)
        parts = [self._claimed(number, info) for number in range(self.log.partitions)]
        if info is not None:
            bounds = {part.number: part.archived for part in parts}
            facts = ArchivedFacts(fold.view, self.offline, info, generation, bounds, progress)
            self._put_rows(facts.rows(fold), space, epoch)  # 3
        for part in parts:
            self._put_partition(fold, generation, part, info)
        if stored is not None:
            self._remove_older(fold, generation, space, epoch)  # 4
        space.commit([(key, generation.to_bytes())], epoch=epoch)  # 5

    def _claimed(self, number: int, info: TableInfo | None) -> _Part:
        space = self.state.space(self.tenant.stream_space(self.source, number))
        epoch = space.claim()
        return _Part(number, self._archived(number, info), space, epoch)

    def _archived(self, number: int, info: TableInfo | None) -> PartitionProgress:
        """How far the table is in a partition; else where the log begins."""
        notes: Mapping[str, str] = (info.notes or {}) if info else {}
        note = notes.get(origin_of(self.log.identity, number))
        if note:
            return PartitionProgress.from_bytes(note.encode())
        return PartitionProgress(next_offset=self.log.bounds(number)[0])

    def _put_rows(self, pieces: Iterable[tuple[Ragged, Ragged]], space: Space, epoch: int) -> None:
        batch: list[tuple[bytes, bytes]] = []
        size = 0
        for names, rows in pieces:
            batch += zip(names.to_list(), rows.to_list(), strict=True)
            size += len(rows.data)
            if size >= _COMMIT_BYTES:
                space.commit(rows=batch, epoch=epoch)
                batch, size = [], 0
        space.commit(rows=batch, epoch=epoch)

    def _put_partition(
        self, fold: ViewFold, generation: StreamGeneration, part: _Part, info: TableInfo | None
    ) -> None:
        if fold.view.source.event_id:
            identities = Identities(fold.view, part.space, fold.prefix)
            identified: Iterable[pa.Table] = []
            if info is not None:
                facts = ArchivedFacts(
                    fold.view, self.offline, info, generation, {part.number: part.archived}
                )
                identified = facts.identified(identities.oldest(part.archived))
            identities.restore(identified, epoch=part.epoch)
        row = part.archived.to_row(fold.version(part.archived))
        stored = (StateKeys(fold.prefix).progress, part.archived.to_bytes())
        part.space.commit(
            [stored], rows=[(OnlineRows(fold.prefix).progress(part.number), row)], epoch=part.epoch
        )
        if self.online.embedded_at is None and self.online.may_lose_writes:
            for turn in (0, 1):  # whatever it says it holds is of other rows
                self.online.delete(OnlineRows(fold.prefix).frontier(part.number, turn))

    def _remove_older(
        self, fold: ViewFold, generation: StreamGeneration, space: Space, epoch: int
    ) -> None:
        older = [
            key
            for key, row in self.state.scan(fold.prefix)
            if version_of(row)[1] >> OFFSET_BITS < generation.number
        ]
        space.commit(removed=older, epoch=epoch)
        if self.online.embedded_at is None:
            self.online.delete(older)


def _rebuilt(fold: ViewFold) -> RebuiltError:
    return RebuiltError(
        f"the rows of the feature view {fold.view.name!r} were made anew, or are being made, since "
        f"this stream started: start it again"
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other processes of this machine from doing the same; a killed one lets go."""
    descriptor = os.open(directory / "bootstrap.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
