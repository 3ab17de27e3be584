"""Partition: one partition of a stream, and the views that are folded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noskew.clock import MIN_TIME
from noskew.kernel.online_keys import heartbeat_row, parts_key, progress_key
from noskew.stores.log.base import Messages
from noskew.stores.state.lmdb import Space, StateStore
from noskew.streaming.decoding.base import Decoded, Decoder
from noskew.streaming.fold import keys
from noskew.streaming.fold.identities import Identities
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Screening
from noskew.streaming.fold.view_fold import Accepted, ViewFold


@dataclass(frozen=True)
class ViewStep:
    """What a step made of one view: rows by key, and the row that says how far it is."""

    prefix: bytes
    partition: int
    keys: list[bytes]
    rows: list[bytes]
    progress: bytes
    version: bytes


@dataclass
class _View:
    fold: ViewFold
    sorting: Screening
    identities: Identities
    mark: PartitionProgress


class PartitionFold:
    """Folds the messages of one partition into rows, with everything they need in one place.

    A step changes the state by one atomic commit: rows, how far each view has read, identities
    seen. Killed at any moment, the next owner goes on from there; messages that are read again
    change nothing. Where the state is that of the online store the rows are online with the
    commit; else they are published after it, by version.
    """

    def __init__(
        self,
        folds: Sequence[ViewFold],
        number: int,
        *,
        decode: Decoder,
        state: StateStore,
        space: Space,
    ) -> None:
        self.number = number
        self._decode, self._state, self._space = decode, state, space
        self._epoch = space.claim()
        self._views = [self._opened(fold) for fold in folds]

    @property
    def next_offset(self) -> int:
        """The first message that some view has not read."""
        return min(v.mark.next_offset for v in self._views)

    @property
    def marks(self) -> dict[str, PartitionProgress]:
        """How far each view is, by its name."""
        return {v.fold.view.name: v.mark for v in self._views}

    def versions(self) -> dict[bytes, bytes]:
        """Of each view, by its prefix: no row that this partition changed is later."""
        return {v.fold.prefix: v.fold.version(v.mark) for v in self._views}

    def parts(self) -> dict[bytes, bytes]:
        """What must be online before rows are: that there are those of this partition, too."""
        row = heartbeat_row(MIN_TIME, self.number + 1)
        return {parts_key(v.fold.prefix): row for v in self._views if v.fold.view.has_partial_rows}

    def step(self, messages: Messages) -> list[ViewStep]:
        """Fold messages and commit; what changed, for a store that the state is not part of.

        Raises FencedError, having changed nothing, if somebody else works on the partition now.
        """
        decoded = self._decode(messages.payloads)
        puts: list[tuple[bytes, bytes]] = []
        rows: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        changes = []
        for view in self._views:
            accepted = self._accept(view, messages, decoded)
            change = self._changed(view, accepted)
            rows += zip(change.keys, change.rows, strict=True)
            rows.append((progress_key(change.prefix, self.number), change.progress))
            puts.append((keys.mark_key(change.prefix), accepted.mark.to_bytes()))
            puts += view.identities.puts(accepted.seen)
            deletes += view.identities.forgotten(accepted.mark)
            changes.append((view, accepted.mark, change))
        self._space.commit(puts, rows=rows, deletes=deletes, epoch=self._epoch)
        for view, mark, _ in changes:
            view.mark = mark
        return [change for _, _, change in changes]

    def _opened(self, fold: ViewFold) -> _View:
        (held,) = self._space.read([keys.mark_key(fold.prefix)])
        mark = PartitionProgress.from_bytes(held) if held else PartitionProgress()
        identities = Identities(fold.view, self._space, fold.prefix)
        return _View(fold, Screening(fold.view), identities, mark)

    def _accept(self, view: _View, messages: Messages, decoded: Decoded) -> Accepted:
        out = view.sorting(messages, decoded, view.mark)
        return view.fold.accept(out, view.identities.seen(out))

    def _changed(self, view: _View, accepted: Accepted) -> ViewStep:
        fold, mark = view.fold, accepted.mark
        found = fold.keys(accepted, self.number)
        rows = fold.rows(accepted, self._state.rows(found))
        version = fold.version(mark)
        return ViewStep(fold.prefix, self.number, found, rows, mark.to_row(version), version)
