"""Known rows: those of an extract that are in the table of events already.

Equal rows of one extract are as many events, and the same rows tomorrow are the same events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.kernel.arrays import Index, Mask, Words
from noskew.kernel.events import (
    CURSOR,
    EVENT_ID,
    EVENT_TIME,
    IDENTITY,
    ORIGIN,
    PART,
    RETRACTS,
    SEQUENCE,
)
from noskew.kernel.keys import integers
from noskew.kernel.row_hashes import RowIdentities, row_hashes, row_identities
from noskew.kernel.row_pool import RowPool
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.kernel.values import valid_of, whole
from noskew.kernel.visible import lasting
from noskew.stores.offline.base import Filter, OfflineStore
from noskew.training.relation.doors import Door, path_number
from noskew.training.relation.marks import known_cursors

_HALF = 32
_LOW = (1 << _HALF) - 1


@dataclass
class KnownRows:
    """What rows and events that come are compared with.

    Attributes
    ----------
    own
        Rows of the source's own data.
    given
        Rows that were given.
    unmarked
        Events of before rows were marked, by their values.
    ids, id_counts
        Hashes of keys and ids of events, sorted, and how many have each; empty where an id says
        nothing.
    """

    own: RowPool = field(default_factory=RowPool)
    given: RowPool = field(default_factory=RowPool)
    unmarked: RowPool = field(default_factory=RowPool)
    ids: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    id_counts: Index = field(default_factory=lambda: np.zeros(0, np.int64))

    def take(self, identities: pa.FixedSizeBinaryArray) -> Mask:
        """Which rows are known; each is taken out once."""
        rows = RowIdentities.of(identities)
        known = self.own.take(rows)
        rest = np.flatnonzero(~known)
        known[rest] = self.given.take(rows[rest])
        return known

    def take_events(self, view: FeatureView, events: pa.Table) -> tuple[Mask, Mask]:
        """Which events are known by their values, and which of the others by their ids."""
        by_value = by_id = np.zeros(len(events), bool)
        if len(self.unmarked) and len(events):
            by_value = self.unmarked.take(RowIdentities.of(event_identities(view, events)))
        if len(self.ids) and len(events):
            ids = whole(events.column(EVENT_ID))
            by_id = ~by_value & valid_of(ids) & np.isin(_ids(view, events), self.ids)
        return by_value, by_id

    def ids_of(self, view: FeatureView, events: Sequence[pa.Table]) -> Words:
        """The hashes of keys and ids of events."""
        some = [_ids(view, table) for table in events]
        return np.unique(np.concatenate(some)) if some else np.zeros(0, np.uint64)

    def freed(self, view: FeatureView, gone: pa.Table, events: pa.Table) -> Mask:
        """Which of the events that are known by their ids are not once others are ``gone``."""
        has_id = pa.array(valid_of(whole(gone.column(EVENT_ID))))
        ids, counts = np.unique(_ids(view, gone.filter(has_id)), return_counts=True)
        at = np.searchsorted(self.ids, ids)
        return np.isin(_ids(view, events), ids[self.id_counts[at] == counts])


@dataclass(frozen=True)
class Ledger:
    """The marks of the events of a table that were not taken back, as of one snapshot.

    ``retractions``: columns that tell which were, see :func:`retraction_columns`.
    """

    view: FeatureView
    offline: OfflineStore
    table: str
    snapshot: int | None
    buckets: int
    retractions: Sequence[str] = ()

    def known(
        self,
        *,
        with_own: bool = True,
        where: Filter | None = None,
        besides: Sequence[int] = (),
        buckets: Sequence[int] | None = None,
    ) -> KnownRows:
        """What rows are compared with.

        ``with_own``: with the source's own rows, too, and with events of before rows were marked.
        ``where``: which events may be equal to any of the rows, and ``buckets`` where these are.
        ``besides``: numbers of parts whose rows are none of these.
        """
        known, ids, unmarked = KnownRows(), [], []
        for bucket, events in self._read(self._marks(), buckets, where):
            identities = whole(events.column(IDENTITY))
            marked = valid_of(identities)
            own = marked & (_doors(events) == Door.OWN)
            rows = RowIdentities.of(identities)
            given = marked & ~own & ~np.isin(_parts(events), besides)
            known.given.add(rows[given])
            if with_own:
                known.own.add(rows[own])
            if with_own and (~marked & ~_streamed(events)).any():
                unmarked.append(bucket)
            if self.has_ids:
                has_id = valid_of(whole(events.column(EVENT_ID)))
                ids.append(_ids(self.view, events)[has_id])
        values_too = [IDENTITY, *self._origin(), *_values(self.view)]
        for _, events in self._read(values_too, unmarked, where):
            before = ~valid_of(whole(events.column(IDENTITY))) & ~_streamed(events)
            found = event_identities(self.view, events.filter(pa.array(before)))
            known.unmarked.add(RowIdentities.of(found))
        if ids:
            known.ids, known.id_counts = np.unique(np.concatenate(ids), return_counts=True)
        return known

    def left_over(
        self,
        rows: RowPool,
        door: Door,
        paths: Sequence[str],
        *,
        others_too: bool,
        window: tuple[int, int] | None = None,
        where: Filter | None = None,
        besides: Words | None = None,
    ) -> Iterator[pa.Table]:
        """Events of rows that came by a door and that nobody took: what tells them apart.

        Keys, event time, bucket, sequence, cursor, and id, if it has one. Of equal ones those of
        parts that are gone, then those that came last. ``paths`` of the parts that are there still;
        ``others_too``: events of other parts, too. ``window``: only events whose cursor is known
        and not less, see :class:`CursorRead`, none of which ``where`` leaves out; and besides, of
        the others, events of some ids.
        """
        numbers = np.array([path_number(p) for p in paths], np.int64)
        ids = [EVENT_ID] if self.has_ids else []
        told = [*self.view.entity.keys, EVENT_TIME, BUCKET, SEQUENCE, CURSOR, *ids]
        for _, events in self._read([*told, IDENTITY, PART], where=where):
            identities = whole(events.column(IDENTITY))
            at = np.flatnonzero(valid_of(identities) & (_doors(events) == door))
            is_there = np.isin(_parts(events)[at] & _LOW, numbers)
            order = np.lexsort((-integers(whole(events.column(SEQUENCE)))[at], is_there))
            at, is_there = at[order], is_there[order]
            is_left = rows.take(RowIdentities.of(identities)[at])
            chosen = is_left if others_too else is_left & is_there
            if window is not None:
                least, first = window
                later = known_cursors(events, first)[at] >= least
                chosen &= later
                if besides is not None and len(besides):
                    chosen |= ~later & np.isin(_ids(self.view, events)[at], besides)
            lost = at[chosen]
            if len(lost):
                yield events.select(told).take(pa.array(np.sort(lost)))

    @property
    def has_ids(self) -> bool:
        """Whether an id that comes again is the same event, however long ago it came.

        Where a column says when an event became known, the horizon of ids decides (SPEC §5).
        """
        source = self.view.source
        return source.event_id is not None and source.created is None

    def _marks(self) -> list[str]:
        ids = [*self.view.entity.keys, EVENT_ID] if self.has_ids else []
        return [IDENTITY, PART, *self._origin(), *ids]

    def _origin(self) -> list[str]:
        return [ORIGIN] if self.view.source.stream else []

    def _read(
        self,
        columns: Sequence[str],
        buckets: Sequence[int] | None = None,
        where: Filter | None = None,
    ) -> Iterator[tuple[int, pa.Table]]:
        """The columns of each bucket in turn, of events that were not taken back."""
        names = list(dict.fromkeys([*columns, *self.retractions]))
        for bucket in range(self.buckets) if buckets is None else buckets:
            table = self.offline.read(
                self.table, names, bucket=bucket, where=where, snapshot=self.snapshot
            )
            yield bucket, lasting(table, sequence=SEQUENCE, retracts=RETRACTS)


def _streamed(events: pa.Table) -> Mask:
    if ORIGIN not in events.column_names:
        return np.zeros(len(events), bool)
    return valid_of(whole(events.column(ORIGIN)))


def _values(view: FeatureView) -> list[str]:
    """The columns that say which event one is, where nothing else does."""
    ids = [EVENT_ID] if view.source.event_id else []
    columns = [name for name in view.columns if name not in view.entity.keys]
    return [*view.entity.keys, EVENT_TIME, *columns, *ids]


def event_identities(view: FeatureView, events: pa.Table) -> pa.FixedSizeBinaryArray:
    """What events are known again by of which an engine may have run the SELECT.

    Its rows never come here, and the same rows by another way must be known as the same: so these
    events are known by their own values, whoever has made them.
    """
    return row_identities(events.select(_values(view)))


def _ids(view: FeatureView, events: pa.Table) -> Words:
    return row_hashes(events.select([*view.entity.keys, EVENT_ID]), 1)[0]


def _parts(events: pa.Table) -> np.ndarray:
    return integers(whole(events.column(PART)))


def _doors(events: pa.Table) -> np.ndarray:
    return _parts(events) >> _HALF
