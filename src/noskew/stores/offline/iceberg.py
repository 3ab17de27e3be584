"""The offline store on Apache Iceberg tables, readable by every engine that knows Iceberg."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from noskew.errors import (
    CorruptDataError,
    InputError,
    KeyTypeError,
    NotFoundError,
    SchemaMismatchError,
    nearest,
)
from noskew.stores.offline import columns as layouts
from noskew.stores.offline import notes as texts
from noskew.stores.offline.append import Work, append, commit_files, write_files
from noskew.stores.offline.base import (
    KNOWN_TIME,
    SEQUENCE,
    Commit,
    Filter,
    OfflineStore,
    RowProgress,
    TableInfo,
    TableSpec,
    WrittenFacts,
)
from noskew.stores.offline.catalog import NEXT_SEQUENCE, IcebergCatalog, TableState, summary_of
from noskew.stores.offline.compaction import compact, compact_small
from noskew.stores.offline.expiry import expire
from noskew.stores.offline.faults import faults
from noskew.stores.offline.parquet import batch_rows, read_file, scan_file
from noskew.stores.offline.plan import ReadPlan, read_plan
from noskew.stores.offline.slices import orderly, slices

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot

#: Plans kept in memory; a training set reads a few tables, each at one snapshot.
_MOST_PLANS = 64


class IcebergStore(OfflineStore):
    """Iceberg tables in a SQL catalog, their files in a directory or an object store.

    Each table is partitioned by ``_bucket`` itself, not by Iceberg's bucket transform, which
    knows no compound keys. A file holds one bucket of one append, sorted. The catalog is opened
    by the first call.

    Parameters
    ----------
    catalog_uri
        The database of the catalog: ``sqlite:///path/catalog.db`` or
        ``postgresql://user:password@host/database`` (needs the extra ``postgres``).
    warehouse
        Where the files go: a local path, or the URI of an object store.
    namespace
        The tables' namespace in the catalog.
    properties
        Further pyiceberg settings, such as ``s3.endpoint`` or ``s3.access-key-id``.
    """

    def __init__(
        self,
        catalog_uri: str,
        warehouse: str,
        *,
        namespace: str = "noskew",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        layouts.check_table_name(namespace)
        self._catalog = IcebergCatalog(catalog_uri, warehouse, namespace, properties or {})
        self._plans: OrderedDict[tuple[str, int | None], ReadPlan] = OrderedDict()
        self._plans_lock = threading.Lock()

    def create(self, spec: TableSpec) -> None:
        layouts.check_spec(spec)
        with self._faults(f"creating the table {spec.name!r}"):
            try:
                stored = self._catalog.load(spec.name).spec
            except NotFoundError:
                stored = self._catalog.create(spec).spec
            if layouts.lacks(stored, spec):
                stored = self._catalog.add_columns(spec).spec
                self._forget_plans(spec.name)
        if stored != spec:
            raise SchemaMismatchError(
                f"the table {spec.name!r} is there with another spec: keys {list(stored.keys)}, "
                f"{stored.buckets} buckets, {_text(stored.schema)}; asked for keys "
                f"{list(spec.keys)}, {spec.buckets} buckets, {_text(spec.schema)}"
            )

    def tables(self) -> list[str]:
        with self._faults("listing the tables"):
            return self._catalog.names()

    def has(self, table: str) -> bool:
        layouts.check_table_name(table)
        with self._faults(f"looking up the table {table!r}"):
            return self._catalog.has(table)

    def info(self, table: str, *, snapshot: int | None = None) -> TableInfo:
        state = self._state(table)
        chosen = state.snapshot(snapshot)
        totals = summary_of(chosen)
        return TableInfo(
            spec=state.spec,
            snapshot=chosen.snapshot_id if chosen else None,
            snapshot_number=(chosen.sequence_number or 0) if chosen else 0,
            rows=int(totals.get("total-records", 0)),
            bytes=int(totals.get("total-files-size", 0)),
            files=int(totals.get("total-data-files", 0)),
            committed_at=chosen.timestamp_ms * 1_000 if chosen else None,
            last_sequence=int(totals.get(NEXT_SEQUENCE, 0)) - 1,
            notes=state.notes if chosen == state.snapshot(None) else None,
        )

    def committed(self, table: str, token: str) -> Commit | None:
        texts.check_note_name("token", token)
        return self._state(table).committed(token)

    def append(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        *,
        token: str | None = None,
        notes: Mapping[str, str] | None = None,
        expected: Mapping[str, str | None] | None = None,
        progress: RowProgress | None = None,
    ) -> Commit:
        if token is not None:
            texts.check_note_name("token", token)
        work = Work(token, dict(notes or {}), dict(expected or {}))
        texts.check_notes(work.notes, work.expected)
        return append(lambda: self._state(table), batches, work, progress)

    def write_files(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        *,
        token: str,
        first: int,
        numbered: bool = False,
        progress: RowProgress | None = None,
    ) -> WrittenFacts:
        texts.check_note_name("token", token)
        if first < 0:
            raise InputError(f"files of {table!r}: the first sequence must not be {first}")
        return write_files(
            lambda: self._state(table), batches, token, first, progress, numbered=numbered
        )

    def commit_files(
        self,
        table: str,
        written: Sequence[WrittenFacts],
        *,
        token: str,
        notes: Mapping[str, str] | None = None,
        expected: Mapping[str, str | None] | None = None,
    ) -> Commit:
        texts.check_note_name("token", token)
        if foreign := sorted({part.table for part in written} - {table}):
            raise InputError(f"files of the table {foreign[0]!r} cannot be added to {table!r}")
        work = Work(token, dict(notes or {}), dict(expected or {}))
        texts.check_notes(work.notes, work.expected)
        return commit_files(lambda: self._state(table), written, work)

    def read(
        self,
        table: str,
        columns: Sequence[str],
        *,
        bucket: int | None = None,
        where: Filter | None = None,
        snapshot: int | None = None,
    ) -> pa.Table:
        plan = self._plan(table, snapshot)
        _check_columns(columns, plan.layout, table)
        keys = plan.spec.keys
        if where is not None and where.keys is not None:
            _check_keys(where.keys, plan)
        pieces = []
        with self._reading(plan):
            for file in plan.files(bucket, where):
                piece = read_file(plan.io, file, columns, where, keys)
                if piece is not None:
                    pieces.append(layouts.declared(piece, plan.layout, columns))
        if pieces:
            return pa.concat_tables(pieces)
        fields = [plan.layout.field(name).remove_metadata() for name in columns]
        return pa.schema(fields).empty_table()

    def scan(
        self,
        table: str,
        columns: Sequence[str],
        *,
        bucket: int,
        where: Filter | None = None,
        snapshot: int | None = None,
    ) -> Iterator[pa.Table]:
        plan = self._plan(table, snapshot)
        keys = plan.spec.keys
        _check_columns(columns, plan.layout, table)
        files = list(plan.files(bucket, where))
        if len(files) > 1:
            columns = list(dict.fromkeys([*columns, KNOWN_TIME, SEQUENCE]))
        if not all(orderly(plan.layout.field(key).type) for key in keys):
            yield self.read(table, columns, bucket=bucket, snapshot=snapshot)
            return
        needed = list(dict.fromkeys([*keys, *columns]))
        rows = batch_rows([plan.layout.field(name).type for name in needed], len(files))

        def as_declared(batch: pa.Table) -> pa.Table:
            return layouts.declared(batch, plan.layout, needed)

        def as_asked(table: pa.Table) -> pa.Table:
            return table.select(columns)

        # By map: the variable of a loop would hold a table while the next one is read.
        runs = [
            map(as_declared, scan_file(plan.io, file, needed, where, keys, rows=rows))
            for file in files
        ]
        with self._reading(plan):
            yield from map(as_asked, slices(runs, keys, least=rows // 2))

    def files(self, table: str, *, bucket: int | None = None) -> list[str]:
        return [file.path for file in self._plan(table, None).files(bucket)]

    def compact(
        self, table: str, *, small: bool = False, progress: RowProgress | None = None
    ) -> int:
        layouts.check_table_name(table)
        merge = compact_small if small else compact
        with self._faults(f"compacting the table {table!r}"):
            return merge(lambda: self._catalog.load(table), self._plan_of, progress)

    def expire(self, table: str, *, before: int, keep: Collection[int] = ()) -> int:
        layouts.check_table_name(table)
        with self._faults(f"expiring snapshots of the table {table!r}"):
            forgotten = expire(lambda: self._catalog.load(table), before=before, keep=keep)
        self._forget_plans(table)
        return forgotten

    def drop(self, table: str) -> None:
        layouts.check_table_name(table)
        with self._faults(f"dropping the table {table!r}"):
            self._catalog.drop(table)
        self._forget_plans(table)

    def close(self) -> None:
        self._catalog.close()
        with self._plans_lock:
            self._plans.clear()

    def _state(self, table: str) -> TableState:
        layouts.check_table_name(table)
        with self._faults(f"looking up the table {table!r}"):
            return self._catalog.load(table)

    def _plan(self, table: str, snapshot: int | None) -> ReadPlan:
        """The plan of a snapshot; the catalog is not asked for one that was planned before."""
        if snapshot is not None:
            with self._plans_lock:
                plan = self._plans.get((table, snapshot))
            if plan is not None:
                return plan
        state = self._state(table)
        with self._faults(f"planning a read of the table {table!r}"):
            return self._plan_of(state, state.snapshot(snapshot))

    def _plan_of(self, state: TableState, snapshot: Snapshot | None) -> ReadPlan:
        key = (state.spec.name, snapshot.snapshot_id if snapshot else None)
        with self._plans_lock:
            plan = self._plans.get(key)
        if plan is None or plan.spec != state.spec:
            layout = layouts.layout(state.spec)
            plan = read_plan(state.spec, layout, state.io, snapshot, state.bounded_ids)
            with self._plans_lock:
                self._plans[key] = plan
                while len(self._plans) > _MOST_PLANS:
                    self._plans.popitem(last=False)
        return plan

    def _forget_plans(self, table: str) -> None:
        with self._plans_lock:
            for key in [key for key in self._plans if key[0] == table]:
                del self._plans[key]

    @contextmanager
    def _reading(self, plan: ReadPlan) -> Iterator[None]:
        """Tell files that went with their snapshot from files that are lost."""
        try:
            yield
        except CorruptDataError:
            self._forget_plans(plan.spec.name)
            self._state(plan.spec.name).snapshot(plan.snapshot)  # NotFoundError: it was expired
            raise

    @staticmethod
    def _faults(doing: str) -> AbstractContextManager[None]:
        return faults(doing)


def _check_columns(columns: Sequence[str], layout: pa.Schema, table: str) -> None:
    for name in columns:
        if name not in layout.names:
            raise SchemaMismatchError(
                f"table {table!r} has no column {name!r}; {nearest(name, layout.names)}"
            )
    if len(set(columns)) != len(columns):
        raise SchemaMismatchError(f"columns named twice in a read of {table!r}: {list(columns)}")


def _check_keys(wanted: pa.Table, plan: ReadPlan) -> None:
    expected = [(name, plan.layout.field(name).type) for name in plan.spec.keys]
    given = [(field.name, field.type) for field in wanted.schema]
    if given != expected:
        raise KeyTypeError(
            f"the keys of a filter on {plan.spec.name!r} must be "
            f"{[f'{name}: {kind}' for name, kind in expected]}, got "
            f"{[f'{name}: {kind}' for name, kind in given]}"
        )


def _text(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
