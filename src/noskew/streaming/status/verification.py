"""Verification: a view's rows beside those that are computed anew from what is archived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noskew.addresses import PREFIX_BYTES, StateKeys, Tenant, is_entity_key, origin_of
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, StoreError
from noskew.kernel.hashing import hash_slices
from noskew.kernel.ragged import Ragged
from noskew.kernel.rows.codec import VERSION_BYTES
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, RowProgress
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.archive.archived_facts import ArchivedFacts
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold
from noskew.streaming.publish.lost_log import is_of_lost_log, replace_online

#: Keys of rows that differ, kept of each kind.
_EXAMPLES = 5


@dataclass
class Verified:
    """What was found of one view.

    Attributes
    ----------
    rows
        How many rows were computed anew and compared, bit for bit.
    different
        Rows of the state that are not as computed; ``missing``: those that it lacks; ``foreign``:
        those that it has and the facts do not give. ``behind``: rows of which the online store
        holds none, or an earlier one, or another one of the same version, or one of a log that
        is gone.
    examples
        Keys, without the view's prefix, of some of them.
    repaired
        Rows that were written again.
    """

    view: str
    rows: int = 0
    different: int = 0
    missing: int = 0
    foreign: int = 0
    behind: int = 0
    repaired: int = 0
    examples: list[bytes] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether everything was as it should be."""
        return not (self.different or self.missing or self.foreign or self.behind)

    def note(self, faulty: Sequence[bytes]) -> int:
        """Keep some of the keys; how many there are."""
        room = _EXAMPLES - len(self.examples)
        self.examples += [key[PREFIX_BYTES:] for key in faulty[: max(0, room)]]
        return len(faulty)


@dataclass(frozen=True)
class Verification:
    """Compares the rows of one view with those of its archived facts.

    The state is looked at in one moment, with the progress of each partition. Of the log's events
    the archive must hold those that were read by then; then they, and they alone, are folded in
    bulk, by another way than the stream's. A stream may run meanwhile.
    """

    source: str
    tenant: Tenant
    log: EventLog
    offline: OfflineStore
    online: OnlineStore
    state: StateStore

    def run(
        self,
        view: FeatureView,
        table: str,
        *,
        repair: bool = False,
        progress: RowProgress | None = None,
    ) -> Verified:
        """Compare every row. ``repair``: write again what the online store has otherwise.

        Rows of the state that are wrong are not repaired here: make them anew (``rebuild``).
        ``progress`` is told of events. Raises ConflictError while the archive is behind the rows.
        """
        prefix = self.tenant.rows(view).prefix
        state_rows = self._state_rows(view, prefix)
        info = self.offline.info(table)
        for number, bound in state_rows.bounds.items():
            note = (info.notes or {}).get(origin_of(self.log.identity, number))
            archived = PartitionProgress.from_bytes(note.encode()).next_offset if note else 0
            if archived < bound.next_offset and bound.consumed:
                raise ConflictError(
                    f"feature view {view.name!r}, partition {number}: archived up to message "
                    f"{archived}, and its rows are at {bound.next_offset}; the archive follows "
                    f"within a minute, repeat the call then"
                )
        generation = state_rows.generation
        facts = ArchivedFacts(view, self.offline, info, generation, state_rows.bounds, progress)
        out = Verified(view.name)
        for names, rows in facts.rows(ViewFold(view, self.tenant, generation.number)):
            state_rows.compare(names, rows, out)
            if self.online.embedded_at is None:
                self._compare_online(names.to_list(), rows.to_list(), generation, out, repair)
        out.foreign = int((~state_rows.met).sum())
        return out

    def _state_rows(self, view: FeatureView, prefix: bytes) -> _StateRows:
        """Rows and progress of one moment."""
        pieces: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []

        def take(items: list[tuple[bytes, bytes]]) -> None:
            mine = [(key, row) for key, row in items if is_entity_key(key)]
            pieces.append(_hashes([k for k, _ in mine], [r for _, r in mine]))

        spaces = [
            self.state.space(self.tenant.stream_space(self.source, number))
            for number in range(self.log.partitions)
        ]
        view_space = self.state.space(self.tenant.views_space(self.source))
        progress_key = StateKeys(prefix).progress
        wanted = [
            view_space.key(StateKeys(prefix).generation),
            *(space.key(progress_key) for space in spaces),
        ]
        generation, *progress = self.state.at_once(wanted, prefix, take)
        if not generation or b"" in progress:  # somebody was interrupted while rows were made
            raise StoreError(
                f"feature view {view.name!r}: its rows are not whole here; run 'noskew stream "
                f"{self.source}' first"
            )
        bounds = {
            number: PartitionProgress.from_bytes(data)
            for number, data in enumerate(progress)
            if data is not None
        }
        return _StateRows(StreamGeneration.from_bytes(generation), bounds, pieces)

    def _compare_online(
        self,
        names: list[bytes],
        rows: list[bytes],
        generation: StreamGeneration,
        out: Verified,
        repair: bool,
    ) -> None:
        """Rows that the online store should have, or later ones."""
        behind = [
            key
            for key, row, there in zip(names, rows, self.online.read(names), strict=True)
            if there is None
            or there[:VERSION_BYTES] < row[:VERSION_BYTES]
            or (there[:VERSION_BYTES] == row[:VERSION_BYTES] and there != row)
            or is_of_lost_log(there, generation)
        ]
        out.behind += out.note(behind)
        if repair and behind:
            out.repaired += replace_online(self.online, self.state, behind)


class _StateRows:
    """The rows of a state, as hashes in the order of those of the keys."""

    def __init__(
        self,
        generation: StreamGeneration,
        bounds: dict[int, PartitionProgress],
        pieces: Sequence[tuple[NDArray[np.uint64], NDArray[np.uint64]]],
    ) -> None:
        self.generation, self.bounds = generation, bounds
        none = np.zeros(0, np.uint64)
        names = np.concatenate([none, *(k for k, _ in pieces)])
        order = np.argsort(names, kind="stable")
        self._names = names[order]
        self._rows = np.concatenate([none, *(r for _, r in pieces)])[order]
        self.met = np.zeros(len(names), bool)

    def compare(self, keys: Ragged, rows: Ragged, out: Verified) -> None:
        """Computed rows beside those of the state."""
        names, contents = _hashed(keys), _hashed(rows)
        at = np.minimum(np.searchsorted(self._names, names), max(len(self._names) - 1, 0))
        there = self._names[at] == names if len(self._names) else np.zeros(len(names), bool)
        same = there & (self._rows[at] == contents) if len(self._names) else there
        self.met[at[there]] = True
        out.rows += len(names)
        listed = keys.to_list() if not same.all() else []
        out.missing += out.note([listed[i] for i in np.flatnonzero(~there)])
        out.different += out.note([listed[i] for i in np.flatnonzero(there & ~same)])


def _hashes(names: list[bytes], rows: list[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return _hashed(Ragged.from_list(names)), _hashed(Ragged.from_list(rows))


def _hashed(pieces: Ragged) -> NDArray[np.uint64]:
    return hash_slices(pieces.data, pieces.offsets)
