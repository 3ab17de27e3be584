"""Materialize: from offline events to versioned rows in the online store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.addresses import OnlineRows, Tenant
from noskew.clock import to_text
from noskew.definitions.view import FeatureView
from noskew.intake.retracted import retraction_columns
from noskew.intake.tables import has_table, table_name
from noskew.kernel.bulk import bulk_rows
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE, Events
from noskew.kernel.keys import integers
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, version_bytes, version_of
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.kernel.values import whole
from noskew.stores.offline.base import Filter, OfflineStore, RowProgress, TableInfo
from noskew.stores.online.base import OnlineStore
from noskew.training.keys import positions

_Batches = Iterator[pa.RecordBatch]
#: Up to so many events, in files of up to so many bytes, are folded at once, not a bucket at a
#: time: what a fold costs whatever it holds is then paid once for each view.
_WHOLE_EVENTS = 65_536
_WHOLE_BYTES = 16 * 1024 * 1024
#: Facts of fewer than so many events are put together before they are folded.
_WORTH_WHILE = 32_768


@dataclass(frozen=True)
class EarlierRun:
    """What an earlier run covered: facts known by ``until`` in ``snapshot_number``'s table."""

    until: int
    sequence: int


@dataclass(frozen=True)
class Materialized:
    """What a run did. ``sequence``: the greatest sequence it saw, for the next run."""

    view: str
    until: int
    snapshot_number: int
    sequence: int
    entities: int
    changed: int

    def __repr__(self) -> str:
        return (
            f"<Materialized {self.view} until {to_text(self.until)}: {self.entities:,} rows, "
            f"{self.changed:,} changed>"
        )


@dataclass(frozen=True)
class Filled:
    """What filling did: rows made, rows that changed, and the greatest sequence looked at."""

    entities: int
    changed: int
    sequence: int


def materialize(
    view: FeatureView,
    offline: OfflineStore,
    online: OnlineStore,
    *,
    tenant: Tenant,
    until: int,
    since: EarlierRun | None = None,
    progress: RowProgress | None = None,
    fill: Fill | None = None,
) -> Materialized:
    """Write the state of every entity, of the facts known by ``until``, to the online store.

    With ``since`` only entities that have facts learned after it are written: those known
    later than its ``until``, and those that were ingested after it whatever their known time,
    so late and corrected rows are never missed. Writes are versioned by ``until`` and the
    table's snapshot: repeating a run, or running it after a kill, changes nothing that is
    right already, and readers are never blocked. An online store that does not say that it
    holds what ``since`` covers (another one, or one that was emptied) is filled whole.

    ``fill`` does the writing; :func:`fill_here` by default. The store is said to hold the view
    once it has returned.
    """
    prefix = tenant.rows(view).prefix
    if since is not None and not _covers(online, prefix, since):
        since = None
    number, done = 0, Filled(0, 0, since.sequence if since else -1)
    if has_table(offline, view):
        info = offline.info(table_name(view))
        job = MaterializeJob(view, tenant, info, until, since)
        done = (fill or fill_here)(job, offline, online, progress)
        number = info.snapshot_number
    online.write([OnlineRows(prefix).heartbeat], [heartbeat_row(until, number)])
    online.sync()
    return Materialized(view.name, until, number, done.sequence, done.entities, done.changed)


def fill_here(
    job: MaterializeJob,
    offline: OfflineStore,
    online: OnlineStore,
    progress: RowProgress | None = None,
    buckets: Iterable[int] | None = None,
) -> Filled:
    """Write the rows of some buckets (default: all) in this process.

    One bucket after the other, or all at once if the table is small.
    """
    filling = _Filling(job, offline)
    batches = filling.batches(_parts(job.table) if buckets is None else buckets)
    changed = online.load(batches if progress is None else _told(filling, batches, progress))
    return Filled(filling.entities, changed, filling.sequence)


def _parts(table: TableInfo) -> Iterable[int | None]:
    """The buckets to read in turn; None: all in one."""
    if table.rows <= _WHOLE_EVENTS and table.bytes <= _WHOLE_BYTES:
        return (None,)
    return range(table.spec.buckets)


def _covers(online: OnlineStore, prefix: bytes, since: EarlierRun) -> bool:
    """Whether this very store holds an earlier run: its heartbeat is as late as ``since``."""
    (row,) = online.read([OnlineRows(prefix).heartbeat])
    return row is not None and version_of(row)[0] >= since.until


def _told(filling: _Filling, batches: _Batches, progress: RowProgress) -> _Batches:
    """The batches; the events folded for each are reported when its rows were taken."""
    reported = 0
    for batch in batches:
        yield batch
        progress(filling.scanned - reported)
        reported = filling.scanned
    progress(filling.scanned - reported)


@dataclass(frozen=True)
class MaterializeJob:
    """What is to be written: the rows of a view, as of one snapshot of its table."""

    view: FeatureView
    tenant: Tenant
    table: TableInfo
    until: int
    since: EarlierRun | None


#: Writes the rows of a job: as :func:`fill_here`, of all buckets.
Fill = Callable[[MaterializeJob, OfflineStore, OnlineStore, RowProgress | None], Filled]


class _Filling:
    """The rows of a job: read, folded and packed some entities at a time.

    While :meth:`batches` is read, ``scanned`` counts the events that were folded,
    ``sequence`` is the greatest that was seen, and ``entities`` counts the rows that were made.
    """

    def __init__(self, job: MaterializeJob, offline: OfflineStore) -> None:
        view, since = job.view, job.since
        self.scanned, self.entities = 0, 0
        self.sequence = since.sequence if since else -1
        self._snapshot = job.table.snapshot
        self._prefix = job.tenant.rows(view).prefix
        self._version = version_bytes(job.until, job.table.snapshot_number)
        self._keys = list(view.entity.keys)
        self._plan = compile_view(view)
        self._layout = RowLayout(self._plan)
        self._table, self._offline = table_name(view), offline
        self._until, self._since = job.until, since
        self._id_horizon = view.source.event_id_horizon
        values = [c for c in self._plan.columns if c not in view.entity.keys]
        ids = [EVENT_ID] if view.source.event_id else []
        clocks = dict.fromkeys([EVENT_TIME, KNOWN_TIME, SEQUENCE, *retraction_columns(job.table)])
        self._columns = [*self._keys, *clocks, *values, *ids]

    def batches(self, buckets: Iterable[int | None]) -> _Batches:
        """Keys and packed rows of the entities to write, of some buckets; None: of all."""
        stamp = self._until, self._version
        facts = (table for bucket in buckets for table in self._facts(bucket))
        for table in _gathered(facts):
            known = Events.from_table(table, self._keys, id_horizon=self._id_horizon)
            events = known.known_at(None)  # what was known later was not read
            for keys, rows in bulk_rows(self._layout, events, self._prefix, lambda _: stamp):
                self.entities += len(keys)
                columns = [r.to_arrow(pa.large_binary()) for r in (keys, rows)]
                yield pa.RecordBatch.from_arrays(columns, ["key", "row"])

    def _facts(self, bucket: int | None) -> Iterator[pa.Table]:
        """All facts known by then of some entities to write, and of some more, in turn."""
        changed = None
        if self._since is not None:
            changed = self._changed_keys(bucket, self._since)
            if len(changed) == 0:
                return
        where = Filter(known_to=self._until, keys=changed)
        for table in self._scan(bucket, self._columns, where):
            if changed is None:
                self._note_sequence(table)
                wanted = table
            else:
                here = positions(table.select(self._keys), changed) >= 0
                wanted = table.filter(pa.array(here))
            self.scanned += len(wanted)
            if len(wanted):
                yield wanted

    def _changed_keys(self, bucket: int | None, since: EarlierRun) -> pa.Table:
        """The distinct keys that have facts the earlier run did not see.

        Files that hold none of them are not opened, so this costs by what came since.
        """
        later = Filter(known_from=since.until + 1, known_to=self._until)
        arrived = Filter(sequence_from=since.sequence + 1, known_to=self._until)
        changed = []
        for where in (later, arrived):
            for table in self._scan(bucket, [*self._keys, KNOWN_TIME, SEQUENCE], where):
                known, sequence = _numbers(table, KNOWN_TIME), _numbers(table, SEQUENCE)
                new = table.filter(pa.array((known > since.until) | (sequence > since.sequence)))
                self._note_sequence(new)
                changed.append(new.group_by(self._keys).aggregate([]).select(self._keys))
        if not changed:
            return pa.table({})
        return pa.concat_tables(changed).group_by(self._keys).aggregate([])

    def _scan(self, bucket: int | None, columns: list[str], where: Filter) -> Iterator[pa.Table]:
        """The facts that were known by then, some entities at a time; None: all at once."""
        snapshot = self._snapshot
        tables: Iterable[pa.Table]
        if bucket is None:
            tables = [self._offline.read(self._table, columns, where=where, snapshot=snapshot)]
        else:
            tables = self._offline.scan(
                self._table, columns, bucket=bucket, where=where, snapshot=snapshot
            )
        for table in tables:
            known = _numbers(table, KNOWN_TIME) <= self._until
            yield table if known.all() else table.filter(pa.array(known))

    def _note_sequence(self, table: pa.Table) -> None:
        if len(table):
            self.sequence = max(self.sequence, int(_numbers(table, SEQUENCE).max()))


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables, small ones put together: what a fold costs whatever it holds is paid once."""
    some: list[pa.Table] = []
    for table in tables:
        some.append(table)
        if sum(map(len, some)) >= _WORTH_WHILE:
            yield pa.concat_tables(some)
            some.clear()
    if some:
        yield pa.concat_tables(some)


def _numbers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return integers(whole(table.column(name)))
