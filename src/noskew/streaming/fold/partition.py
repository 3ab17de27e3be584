"""Partition: one partition of a stream, and the views that are folded from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noskew.addresses import OnlineRows, StateKeys
from noskew.clock import MIN_TIME
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.stores.log.base import Messages
from noskew.stores.state.lmdb import Space, StateStore
from noskew.streaming.fold.acceptance import Accepted
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.identities import Identities
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold


@dataclass(frozen=True)
class ViewStep:
    """What a step changed of one view: rows by key, and the row that says how far it is."""

    prefix: bytes
    partition: int
    keys: list[bytes]
    rows: list[bytes]
    progress_row: bytes
    version: bytes


@dataclass
class _View:
    fold: ViewFold
    identities: Identities
    progress: PartitionProgress

    def seen(self, identities: Sequence[bytes | None]) -> Mapping[bytes, int]:
        return self.identities.seen(identities)


class PartitionFold:
    """Folds the messages of one partition into rows, with everything they need in one place.

    A step changes the state by one atomic commit: rows, how far each view has read, identities
    seen. Killed at any moment, the next owner goes on from there; messages that are read again
    change nothing. Where the state is that of the online store the rows are online with the
    commit; else they are published after it, by version.

    ``pipeline``: that of the views of ``folds``, in their order.
    """

    def __init__(
        self,
        folds: Sequence[ViewFold],
        number: int,
        *,
        pipeline: EventPipeline,
        state: StateStore,
        space: Space,
    ) -> None:
        self.number = number
        self._pipeline, self._state, self._space = pipeline, state, space
        self._epoch = space.claim()
        self._views = [self._opened(fold) for fold in folds]

    @property
    def next_offset(self) -> int:
        """The first message that some view has not read."""
        return min(v.progress.next_offset for v in self._views)

    @property
    def progress(self) -> dict[str, PartitionProgress]:
        """How far each view is, by its name."""
        return {v.fold.view.name: v.progress for v in self._views}

    def versions(self) -> dict[bytes, bytes]:
        """Of each view, by its prefix: no row that this partition changed is later."""
        return {v.fold.prefix: v.fold.version(v.progress) for v in self._views}

    def parts(self) -> dict[bytes, bytes]:
        """What must be online before rows are: that there are those of this partition, too."""
        row = heartbeat_row(MIN_TIME, self.number + 1)
        return {
            OnlineRows(v.fold.prefix).parts: row
            for v in self._views
            if v.fold.view.has_partial_rows
        }

    def step(self, messages: Messages) -> list[ViewStep]:
        """Fold messages and commit; what changed, for a store that the state is not part of.

        Raises FencedError, having changed nothing, if somebody else works on the partition now.
        """
        puts: list[tuple[bytes, bytes]] = []
        rows: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        changes = []
        pipelined = self._pipeline(messages, self._views)
        for view, accepted in zip(self._views, pipelined, strict=True):
            change = self._changed(view.fold, accepted)
            rows += zip(change.keys, change.rows, strict=True)
            rows.append((OnlineRows(change.prefix).progress(self.number), change.progress_row))
            puts.append((StateKeys(change.prefix).progress, accepted.progress.to_bytes()))
            puts += view.identities.puts(accepted.seen)
            deletes += view.identities.forgotten(accepted.progress)
            changes.append((view, accepted.progress, change))
        self._space.commit(puts, rows=rows, deletes=deletes, epoch=self._epoch)
        for view, progress, _ in changes:
            view.progress = progress
        return [change for _, _, change in changes]

    def _opened(self, fold: ViewFold) -> _View:
        (stored,) = self._space.read([StateKeys(fold.prefix).progress])
        progress = PartitionProgress.from_bytes(stored) if stored else PartitionProgress()
        return _View(fold, Identities(fold.view, self._space, fold.prefix), progress)

    def _changed(self, fold: ViewFold, accepted: Accepted) -> ViewStep:
        changed = fold.keys(accepted, self.number)
        rows = fold.rows(accepted, self._state.rows(changed))
        version = fold.version(accepted.progress)
        progress_row = accepted.progress.to_row(version)
        return ViewStep(fold.prefix, self.number, changed, rows, progress_row, version)
