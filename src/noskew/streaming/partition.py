"""Partition: one partition of a stream, its state, and the views that are folded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noskew.definitions.view import FeatureView
from noskew.kernel.rows import version_bytes
from noskew.stores.log.base import Messages
from noskew.stores.state.lmdb import StateStore
from noskew.streaming import keys
from noskew.streaming.decode import Decoded, Decoder
from noskew.streaming.identities import Identities
from noskew.streaming.mark import Mark
from noskew.streaming.publisher import Publisher
from noskew.streaming.quarantine import encode
from noskew.streaming.sorting_out import SortingOut
from noskew.streaming.view_fold import Accepted, ViewFold


@dataclass
class _View:
    fold: ViewFold
    sorting: SortingOut
    identities: Identities
    mark: Mark
    published: bytes  # as in the state; what the publisher knows may be further


class Partition:
    """Folds the messages of one partition into rows, with everything they need in one place.

    A step changes the state by one atomic commit: rows, how far each view has read, identities
    seen, quarantine. Killed at any moment, the next owner goes on from there; messages that are
    read again change nothing. Rows go to the online store after the commit, by version; what a
    kill left unpublished is found by its version when the partition is opened.
    """

    def __init__(
        self,
        views: Sequence[FeatureView],
        project: str,
        *,
        decode: Decoder,
        state: StateStore,
        publisher: Publisher,
    ) -> None:
        self._decode = decode
        self._state, self._publisher = state, publisher
        self._epoch = state.claim()
        self._views = [self._opened(ViewFold(v, project)) for v in views]

    @property
    def next_offset(self) -> int:
        """The first message that some view has not read."""
        return min(v.mark.next_offset for v in self._views)

    @property
    def marks(self) -> dict[str, Mark]:
        """How far each view is, by its name."""
        return {v.fold.view.name: v.mark for v in self._views}

    def step(self, messages: Messages) -> None:
        """Fold messages, commit, and hand the changed rows to the publisher.

        Raises FencedError, having changed nothing, if somebody else works on the state now.
        """
        decoded = self._decode(messages.payloads)
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        done = []
        for view in self._views:
            accepted = self._accept(view, messages, decoded)
            stored = [keys.row_key(k) for k in accepted.keys]
            rows = view.fold.rows(accepted, self._state.read(stored))
            puts += zip(stored, rows, strict=True)
            puts += self._told(view, accepted)
            deletes += view.identities.forgotten(accepted.mark)
            done.append((view, accepted, rows))
        self._state.commit(puts, deletes=deletes, epoch=self._epoch)
        for view, accepted, rows in done:
            view.mark = accepted.mark
            self._publisher.add(view.fold.prefix, accepted.keys, rows, _version(view.mark))

    def close(self) -> None:
        """Note what was published, and close the state."""
        puts = [p for view in self._views for p in self._published(view)]
        self._state.commit(puts, epoch=self._epoch)
        self._state.close()

    def _opened(self, fold: ViewFold) -> _View:
        held, published = self._state.read(
            [keys.mark_key(fold.prefix), keys.published_key(fold.prefix)]
        )
        mark = Mark.from_bytes(held) if held else Mark()
        identities = Identities(fold.view.source, self._state, fold.prefix)
        view = _View(fold, SortingOut(fold.view), identities, mark, published or b"")
        self._publish_rest(view)
        return view

    def _publish_rest(self, view: _View) -> None:
        """Hand the publisher every row that may be newer than what is known to be published."""
        prefix = view.fold.prefix
        rest = [
            (keys.store_key(key), row)
            for key, row in self._state.scan(keys.row_key(prefix))
            if row[:16] >= view.published
        ]
        if rest or view.published:
            found, rows = [k for k, _ in rest], [r for _, r in rest]
            self._publisher.add(prefix, found, rows, _version(view.mark))

    def _accept(self, view: _View, messages: Messages, decoded: Decoded) -> Accepted:
        out = view.sorting(messages, decoded, view.mark)
        return view.fold.accept(out, view.identities.seen(out))

    def _told(self, view: _View, accepted: Accepted) -> list[tuple[bytes, bytes]]:
        prefix = view.fold.prefix
        puts = [(keys.mark_key(prefix), accepted.mark.to_bytes()), *self._published(view)]
        puts += view.identities.puts(accepted.seen)
        for bad in accepted.quarantined:
            puts.append((keys.quarantine_key(prefix, bad.offset, bad.place), encode(bad)))
        return puts

    def _published(self, view: _View) -> list[tuple[bytes, bytes]]:
        version = self._publisher.published(view.fold.prefix)
        if version is None or version == view.published:
            return []
        view.published = version
        return [(keys.published_key(view.fold.prefix), version)]


def _version(mark: Mark) -> bytes:
    """No row of the view up to the mark has a greater version."""
    return version_bytes(mark.known, mark.next_offset)
