"""Partition: one partition of a stream, its state, and the views that are folded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noskew.definitions.view import FeatureView
from noskew.kernel.rows import version_bytes
from noskew.stores.log.base import Messages
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming import keys
from noskew.streaming.decode import Decoded, Decoder
from noskew.streaming.identities import Identities
from noskew.streaming.mark import Mark
from noskew.streaming.publisher import NOTHING, Publisher
from noskew.streaming.quarantine import encode, late_rows
from noskew.streaming.sorting_out import SortingOut
from noskew.streaming.view_fold import Accepted, ViewFold


@dataclass
class _View:
    fold: ViewFold
    sorting: SortingOut
    identities: Identities
    publisher: Publisher
    mark: Mark


class Partition:
    """Folds the messages of one partition into rows, with everything they need in one place.

    A step changes the state by one atomic commit: rows, how far each view has read, identities
    seen, quarantine. Killed at any moment, the next owner goes on from there; messages that are
    read again change nothing. Rows go to the online store after the commit, by version; what it
    does not hold, for a kill came between or because it lost something, is found by its version.
    """

    def __init__(
        self,
        views: Sequence[FeatureView],
        project: str,
        *,
        decode: Decoder,
        state: StateStore,
        online: OnlineStore,
        number: int,
    ) -> None:
        self._decode, self._state, self._number = decode, state, number
        self._epoch = state.claim()
        self._views = [
            self._opened(fold, Publisher(online, fold.prefix, number))
            for fold in (ViewFold(v, project) for v in views)
        ]

    @property
    def next_offset(self) -> int:
        """The first message that some view has not read."""
        return min(v.mark.next_offset for v in self._views)

    @property
    def marks(self) -> dict[str, Mark]:
        """How far each view is, by its name."""
        return {v.fold.view.name: v.mark for v in self._views}

    @property
    def waiting(self) -> int:
        """Rows that the online store does not have yet."""
        return sum(v.publisher.waiting for v in self._views)

    def step(self, messages: Messages) -> None:
        """Fold messages, commit, and let the changed rows wait for :meth:`publish`.

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
            view.publisher.add(accepted.keys, rows, _version(view.mark))

    def publish(self) -> None:
        """Write the rows that wait to the online store."""
        for view in self._views:
            view.publisher.write()

    def confirm(self, moved: bool) -> int:
        """Find what the online store lost since the last call, and let it wait again.

        ``moved``: another server holds the rows now, so everything since then may be lost.
        Where nothing is, tell the store how far it is. Returns how many rows wait again.
        """
        again = 0
        for view in self._views:
            confirmed = view.publisher.confirmed
            held = view.publisher.held() if confirmed else confirmed
            if moved or held < confirmed:
                again += self._publish_since(view, min(held, confirmed))
            else:
                view.publisher.confirm()
        return again

    def publish_all(self) -> int:
        """Let every row wait for :meth:`publish`; returns how many."""
        return sum(self._publish_since(view, NOTHING) for view in self._views)

    def close(self) -> None:
        """Close the state."""
        self._state.close()

    def _opened(self, fold: ViewFold, publisher: Publisher) -> _View:
        (held,) = self._state.read([keys.mark_key(fold.prefix)])
        mark = Mark.from_bytes(held) if held else Mark()
        identities = Identities(fold.view.source, self._state, fold.prefix)
        view = _View(fold, SortingOut(fold.view), identities, publisher, mark)
        if held:
            self._publish_since(view, publisher.held())
        return view

    def _publish_since(self, view: _View, version: bytes) -> int:
        """Let every row wait that the online store may lack if it is at ``version``."""
        prefix = view.fold.prefix
        rows = {
            keys.store_key(key): row
            for key, row in self._state.scan(keys.row_key(prefix))
            if row[: len(version)] >= version
        }
        view.publisher.add(list(rows), list(rows.values()), _version(view.mark))
        return len(rows)

    def _accept(self, view: _View, messages: Messages, decoded: Decoded) -> Accepted:
        out = view.sorting(messages, decoded, view.mark)
        return view.fold.accept(out, view.identities.seen(out))

    def _told(self, view: _View, accepted: Accepted) -> list[tuple[bytes, bytes]]:
        prefix = view.fold.prefix
        puts = [(keys.mark_key(prefix), accepted.mark.to_bytes())]
        puts += view.identities.puts(accepted.seen)
        aside = list(accepted.quarantined)
        if view.fold.view.late == "table":
            aside += late_rows(accepted.late, self._number)
        for bad in aside:
            puts.append((keys.quarantine_key(prefix, bad.offset, bad.place), encode(bad)))
        return puts


def _version(mark: Mark) -> bytes:
    """No row of the view up to the mark has a greater version."""
    return version_bytes(mark.known, mark.next_offset)
