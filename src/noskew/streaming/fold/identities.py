"""Identities: which events a view has accepted, for as long as a repetition counts as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import pyarrow as pa

from noskew.addresses import StateKeys, time_bytes, time_of
from noskew.definitions.view import FeatureView
from noskew.kernel.events import KNOWN_TIME
from noskew.kernel.keys import integers
from noskew.stores.state.lmdb import Space
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import identities_of

#: Identities forgotten in one step; more than a step adds, so that they never pile up.
_FORGET = 200_000


class Identities:
    """The identities of one view's events in a space, each with the known time it came at.

    They stand there twice: by identity, and in the order of time to find the oldest.
    """

    def __init__(self, view: FeatureView, space: Space, prefix: bytes) -> None:
        self._horizon = view.source.event_id_horizon if view.source.event_id else None
        self._view, self._space, self._prefix = view, space, prefix

    def seen(
        self, identities: Sequence[bytes | None], also: Mapping[bytes, int] | None = None
    ) -> dict[bytes, int]:
        """When identities of a batch were accepted before; ``also``: what is not stored yet."""
        wanted = list({i for i in identities if i is not None})
        if not wanted:
            return {}
        times = self._space.read([StateKeys(self._prefix).seen(i) for i in wanted])
        stored = {i: time_of(v) for i, v in zip(wanted, times, strict=True) if v is not None}
        return stored | {i: also[i] for i in wanted if i in also} if also else stored

    def puts(self, new: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
        """What to store for identities that were accepted."""
        items = []
        for identity, known in new.items():
            items.append((StateKeys(self._prefix).seen(identity), time_bytes(known)))
            items.append((StateKeys(self._prefix).expiry(known, identity), b""))
        return items

    def forgotten(self, progress: PartitionProgress) -> list[bytes]:
        """The keys of identities that are older than the horizon, the oldest first."""
        if self._horizon is None:
            return []
        start = StateKeys(self._prefix).expiries
        oldest = self.oldest(progress)
        gone: list[tuple[bytes, bytes, bytes]] = []
        for key, _ in self._space.scan(start):
            known, identity = key[len(start) : len(start) + 8], key[len(start) + 8 :]
            if time_of(known) >= oldest or len(gone) >= _FORGET:
                break
            gone.append((key, known, StateKeys(self._prefix).seen(identity)))
        times = self._space.read([seen for _, _, seen in gone])
        # An identity may have been accepted again since; then its entry is not this one.
        over = [g[2] for g, now in zip(gone, times, strict=True) if now == g[1]]
        return [key for key, _, _ in gone] + over

    def oldest(self, progress: PartitionProgress) -> int:
        """The least known time of an identity that a message not read yet may repeat."""
        return progress.known - (self._horizon or 0)

    def restore(self, facts: Iterable[pa.Table], *, epoch: int) -> None:
        """Make them those of facts, with the columns of keys, id and known time."""
        self._clear(epoch)
        columns = list(self._view.entity.keys)
        for table in facts:
            known = integers(table.column(KNOWN_TIME).combine_chunks()).tolist()
            newest: dict[bytes, int] = {}
            for identity, at in zip(identities_of(table, columns), known, strict=True):
                if identity is not None:
                    newest[identity] = max(at, newest.get(identity, at))
            self._space.commit(self.puts(newest), epoch=epoch)

    def _clear(self, epoch: int) -> None:
        for start in (StateKeys(self._prefix).expiries, StateKeys(self._prefix).seen(b"")):
            stored = (key for key, _ in self._space.scan(start))
            while batch := list(islice(stored, _FORGET)):
                self._space.commit(deletes=batch, epoch=epoch)
