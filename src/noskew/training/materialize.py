"""Materialize: from offline events to versioned rows in the online store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.view import FeatureView
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE, Events
from noskew.kernel.keys import integers
from noskew.kernel.online_keys import heartbeat_key, heartbeat_row, view_prefix
from noskew.kernel.plan import compile_view
from noskew.kernel.rows import RowLayout, pack, version_bytes, version_of
from noskew.kernel.state import fold
from noskew.stores.offline.base import Filter, OfflineStore, Progress
from noskew.stores.online.base import OnlineStore
from noskew.training.keys import positions
from noskew.training.tables import has_table, table_name

#: Rows handed to the online store in one call.
WRITE_ROWS = 10_000


@dataclass(frozen=True)
class Since:
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


def materialize(
    view: FeatureView,
    offline: OfflineStore,
    online: OnlineStore,
    *,
    project: str,
    until: int,
    since: Since | None = None,
    progress: Progress | None = None,
) -> Materialized:
    """Write the state of every entity, of the facts known by ``until``, to the online store.

    With ``since`` only entities that have facts learned after it are written: those known
    later than its ``until``, and those that were ingested after it whatever their known time,
    so late and corrected rows are never missed. Writes are versioned by ``until`` and the
    table's snapshot: repeating a run, or running it after a kill, changes nothing that is
    right already, and readers are never blocked. An online store that does not say that it
    holds what ``since`` covers (another one, or one that was emptied) is filled whole.
    """
    prefix = view_prefix(project, view.definition_hash)
    if since is not None and not _covers(online, prefix, since):
        since = None
    number, entities, changed, sequence = 0, 0, 0, since.sequence if since else -1
    if has_table(offline, view):
        info = offline.info(table_name(view))
        number = info.snapshot_number
        job = _Job(view, offline, until, since, info.snapshot)
        for bucket in range(info.spec.buckets):
            events, seen, scanned = job.bucket(bucket)
            sequence = max(sequence, seen)
            for keys, rows in job.rows(events, prefix, version_bytes(until, number)):
                changed += online.write(keys, rows)
                entities += len(keys)
            if progress:
                progress(scanned)
    online.write([heartbeat_key(prefix)], [heartbeat_row(until, number)])
    online.sync()
    return Materialized(view.name, until, number, sequence, entities, changed)


def _covers(online: OnlineStore, prefix: bytes, since: Since) -> bool:
    """Whether this very store holds an earlier run: its heartbeat is as late as ``since``."""
    (row,) = online.read([heartbeat_key(prefix)])
    return row is not None and version_of(row)[0] >= since.until


class _Job:
    def __init__(
        self,
        view: FeatureView,
        offline: OfflineStore,
        until: int,
        since: Since | None,
        snapshot: int | None,
    ) -> None:
        self._keys = list(view.entity.keys)
        self._plan = compile_view(view)
        self._layout = RowLayout(self._plan)
        self._table, self._offline = table_name(view), offline
        self._until, self._since, self._snapshot = until, since, snapshot
        values = [c for c in self._plan.columns if c not in view.entity.keys]
        ids = [EVENT_ID] if view.source.event_id else []
        self._columns = [*self._keys, EVENT_TIME, KNOWN_TIME, SEQUENCE, *values, *ids]

    def bucket(self, bucket: int) -> tuple[Events, int, int]:
        """Events of the entities to write, the greatest sequence, and events looked at."""
        where = Filter(known_to=self._until)
        if self._since is not None:
            changed, sequence, scanned = self._changed_keys(bucket)
            if len(changed) == 0:
                empty = self._read(bucket, Filter(known_to=self._until, known_from=self._until + 1))
                return Events.from_table(empty, self._keys), sequence, scanned
            where = Filter(known_to=self._until, keys=changed)
            events = Events.from_table(_only(self._read(bucket, where), changed), self._keys)
            return events, sequence, scanned
        table = self._read(bucket, where)
        return Events.from_table(table, self._keys), _greatest(table), len(table)

    def _read(self, bucket: int, where: Filter) -> pa.Table:
        return self._offline.read(
            self._table, self._columns, bucket=bucket, where=where, snapshot=self._snapshot
        )

    def _changed_keys(self, bucket: int) -> tuple[pa.Table, int, int]:
        """The distinct keys that have facts the earlier run did not see."""
        assert self._since is not None
        table = self._offline.read(
            self._table, [*self._keys, KNOWN_TIME, SEQUENCE], bucket=bucket,
            where=Filter(known_to=self._until), snapshot=self._snapshot,
        )  # fmt: skip
        known, sequence = _numbers(table, KNOWN_TIME), _numbers(table, SEQUENCE)
        new = (known > self._since.until) | (sequence > self._since.sequence)
        keys = table.filter(pa.array(new)).select(self._keys)
        return keys.group_by(self._keys).aggregate([]), _greatest(table), len(table)

    def rows(
        self, events: Events, prefix: bytes, version: bytes
    ) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Keys and packed rows, at most WRITE_ROWS at a time."""
        state = fold(self._plan, events, self._until)
        keys = [prefix + k for k in events.encoded_keys().to_list()]
        rows = pack(self._layout, state, version).to_list()
        for i in range(0, len(keys), WRITE_ROWS):
            yield keys[i : i + WRITE_ROWS], rows[i : i + WRITE_ROWS]


def _only(table: pa.Table, keys: pa.Table) -> pa.Table:
    """Rows of the wanted keys; a read may bring a superset."""
    held = table.select(keys.column_names)
    return table.filter(pa.array(positions(held, keys) >= 0))


def _numbers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return integers(table.column(name).combine_chunks())


def _greatest(table: pa.Table) -> int:
    return int(_numbers(table, SEQUENCE).max()) if len(table) else -1
