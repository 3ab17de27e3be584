"""Known rows: those of an extract that are in the table of events already.

Equal rows of one extract are as many events, and the same rows tomorrow are the same events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.kernel.arrays import Mask, Words
from noskew.kernel.events import EVENT_ID, EVENT_TIME, IDENTITY, ORIGIN, PART
from noskew.kernel.keys import integers
from noskew.kernel.row_hashes import Identities, row_hashes, row_identities
from noskew.kernel.row_pool import RowPool
from noskew.kernel.values import valid_of, whole
from noskew.stores.offline.base import Filter, OfflineStore
from noskew.training.relation.doors import Door, path_number

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
    ids
        Hashes of keys and ids of events, sorted; empty where an id says nothing.
    """

    own: RowPool = field(default_factory=RowPool)
    given: RowPool = field(default_factory=RowPool)
    unmarked: RowPool = field(default_factory=RowPool)
    ids: Words = field(default_factory=lambda: np.zeros(0, np.uint64))

    def take(self, identities: pa.FixedSizeBinaryArray) -> Mask:
        """Which rows are known; each is taken out once."""
        rows = Identities.of(identities)
        known = self.own.take(rows)
        rest = np.flatnonzero(~known)
        known[rest] = self.given.take(rows[rest])
        return known

    def take_events(self, view: FeatureView, events: pa.Table) -> tuple[Mask, Mask]:
        """Which events are known by their values, and which of the others by their ids."""
        by_value = by_id = np.zeros(len(events), bool)
        if len(self.unmarked) and len(events):
            values = events.select(_values(view))
            by_value = self.unmarked.take(Identities.of(row_identities(values)))
        if len(self.ids) and len(events):
            ids = whole(events.column(EVENT_ID))
            by_id = ~by_value & valid_of(ids) & np.isin(_ids(view, events), self.ids)
        return by_value, by_id


@dataclass(frozen=True)
class Ledger:
    """The marks of the events of a table, as of one snapshot."""

    view: FeatureView
    offline: OfflineStore
    table: str
    snapshot: int | None
    buckets: int

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
            rows = Identities.of(identities)
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
            values = events.filter(pa.array(before)).select(_values(self.view))
            known.unmarked.add(Identities.of(row_identities(values)))
        if ids:
            known.ids = np.unique(np.concatenate(ids))
        return known

    def left_over(self, own: RowPool, paths: Sequence[str] | None) -> Iterator[pa.Table]:
        """Events of own rows that nobody took: keys and event time.

        ``paths``: only of parts that are there still, with other content; None: of all.
        """
        numbers = None if paths is None else np.array([path_number(p) for p in paths], np.int64)
        keys = list(self.view.entity.keys)
        for _, events in self._read([*keys, EVENT_TIME, IDENTITY, PART]):
            identities = whole(events.column(IDENTITY))
            mine = valid_of(identities) & (_doors(events) == Door.OWN)
            at = np.flatnonzero(mine)
            lost = np.zeros(len(events), bool)
            lost[at] = own.take(Identities.of(identities)[at])
            if numbers is not None:
                lost &= np.isin(_parts(events) & _LOW, numbers)
            if lost.any():
                yield events.filter(pa.array(lost)).select([*keys, EVENT_TIME])

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
        """The columns of each bucket in turn."""
        for bucket in range(self.buckets) if buckets is None else buckets:
            yield (
                bucket,
                self.offline.read(
                    self.table, columns, bucket=bucket, where=where, snapshot=self.snapshot
                ),
            )


def _streamed(events: pa.Table) -> Mask:
    if ORIGIN not in events.column_names:
        return np.zeros(len(events), bool)
    return valid_of(whole(events.column(ORIGIN)))


def _values(view: FeatureView) -> list[str]:
    """The columns that say which event one is, where nothing else does."""
    ids = [EVENT_ID] if view.source.event_id else []
    columns = [name for name in view.columns if name not in view.entity.keys]
    return [*view.entity.keys, EVENT_TIME, *columns, *ids]


def _ids(view: FeatureView, events: pa.Table) -> Words:
    return row_hashes(events.select([*view.entity.keys, EVENT_ID]), 1)[0]


def _parts(events: pa.Table) -> np.ndarray:
    return integers(whole(events.column(PART)))


def _doors(events: pa.Table) -> np.ndarray:
    return _parts(events) >> _HALF
