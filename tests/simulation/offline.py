"""An offline store in memory: the contract of tables of facts, without files.

What it takes and refuses is checked as the store on Iceberg does it; what it keeps, and when, is
its own. It passes the suite of offline stores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.clock import Clock
from noskew.errors import (
    ConflictError,
    InputError,
    KeyTypeError,
    NotFoundError,
    SchemaMismatchError,
    nearest,
)
from noskew.stores.offline import columns as layouts
from noskew.stores.offline import notes as texts
from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
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
from noskew.stores.offline.sorting import sorted_run
from noskew.stores.offline.tiers import small_run
from tests.simulation.calls import Calls

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """Facts of one bucket, sorted: what a file would hold."""

    path: str
    bucket: int
    facts: pa.Table

    @property
    def rows(self) -> int:
        """How many facts."""
        return len(self.facts)

    @property
    def bytes(self) -> int:
        """How large it is."""
        return int(self.facts.nbytes)


@dataclass(frozen=True)
class Snapshot:
    """A table at one moment."""

    runs: tuple[Run, ...] = ()
    next_sequence: int = 0
    committed_at: int = 0


@dataclass
class Table:
    """A table and its past. A snapshot's id is its number."""

    spec: TableSpec
    latest: int = 0
    snapshots: dict[int, Snapshot] = field(default_factory=lambda: {0: Snapshot()})
    notes: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    waiting: dict[str, pa.Table] = field(default_factory=dict)

    @property
    def layout(self) -> pa.Schema:
        """All columns."""
        return layouts.layout(self.spec).remove_metadata()

    def at(self, snapshot: int | None) -> Snapshot:
        """A snapshot; the latest for None. Raises NotFoundError."""
        number = self.latest if snapshot is None else snapshot
        if number not in self.snapshots or (number == 0 and snapshot is not None):
            raise NotFoundError(f"the table {self.spec.name!r} has no snapshot {snapshot}")
        return self.snapshots[number]

    def widen(self, spec: TableSpec) -> None:
        """Give the table columns that it lacks, null in all facts of all snapshots."""
        self.spec, layout = spec, layouts.layout(spec).remove_metadata()

        def wider(facts: pa.Table) -> pa.Table:
            return layouts.declared(facts, layout, layout.names)

        self.waiting = {name: wider(facts) for name, facts in self.waiting.items()}
        for number, snapshot in self.snapshots.items():
            runs = (replace(run, facts=wider(run.facts)) for run in snapshot.runs)
            self.snapshots[number] = replace(snapshot, runs=tuple(runs))

    def add(self, snapshot: Snapshot) -> int:
        """Make a snapshot the latest."""
        self.latest += 1
        self.snapshots[self.latest] = snapshot
        return self.latest


class OfflineServer:
    """The tables, which several processes share."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tables: dict[str, Table] = {}
        self.lock = Lock()
        self.names = count()

    def table(self, name: str) -> Table:
        """A table. Raises NotFoundError and InvalidNameError."""
        layouts.check_table_name(name)
        if name not in self.tables:
            raise NotFoundError(f"no table {name!r}; {nearest(name, self.tables)}")
        return self.tables[name]


class SimulatedOffline(OfflineStore):
    """The offline store as one process sees it."""

    def __init__(self, server: OfflineServer, calls: Calls, who: str) -> None:
        self._server, self._calls, self._who = server, calls, who

    def create(self, spec: TableSpec) -> None:
        layouts.check_spec(spec)
        with self._server.lock:
            table = self._server.tables.setdefault(spec.name, Table(spec))
            if layouts.lacks(table.spec, spec):
                table.widen(spec)
            held = table.spec
        if held != spec:
            raise SchemaMismatchError(f"the table {spec.name!r} is there with another spec")

    def tables(self) -> list[str]:
        return sorted(self._server.tables)

    def info(self, table: str, *, snapshot: int | None = None) -> TableInfo:
        return self._calls.around(self._who, "offline.info", lambda: self._info(table, snapshot))

    def _info(self, table: str, snapshot: int | None) -> TableInfo:
        held = self._server.table(table)
        found = held.at(snapshot)
        number = held.latest if snapshot is None else snapshot
        return TableInfo(
            spec=held.spec,
            snapshot=number or None,
            snapshot_number=number,
            rows=sum(len(run.facts) for run in found.runs),
            bytes=sum(run.facts.nbytes for run in found.runs),
            files=len(found.runs),
            last_sequence=found.next_sequence - 1,
            committed_at=found.committed_at if number else None,
            notes=dict(held.notes) if number == held.latest else None,
        )

    def committed(self, table: str, token: str) -> Commit | None:
        texts.check_note_name("token", token)
        found = self._server.table(table).commits.get(token)
        return None if found is None else replace(found, repeated=True)

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
        made, wanted = dict(notes or {}), dict(expected or {})
        texts.check_notes(made, wanted)
        held = self._server.table(table)
        if done := self._done(held, token, wanted):
            return done
        rows = _checked(held, batches)
        if progress and len(rows):
            progress(len(rows))

        def commit() -> Commit:
            with self._server.lock:
                return self._commit(held, rows, token, made, wanted)

        return self._calls.around(self._who, "offline.append", commit)

    def _done(
        self, held: Table, token: str | None, expected: Mapping[str, str | None]
    ) -> Commit | None:
        done = held.commits.get(token) if token else None
        if done is None:
            texts.check_expected(held.spec.name, held.notes, expected)
            return None
        return replace(done, repeated=True)

    def _commit(
        self,
        held: Table,
        rows: pa.Table,
        token: str | None,
        notes: Mapping[str, str],
        expected: Mapping[str, str | None],
    ) -> Commit:
        if done := self._done(held, token, expected):
            return done
        first = held.at(None).next_sequence
        facts = _numbered(held, rows, np.arange(first, first + len(rows)))
        return self._add(held, [facts], first + len(rows), token, notes)

    def _add(
        self,
        held: Table,
        parts: Sequence[pa.Table],
        next_sequence: int,
        token: str | None,
        notes: Mapping[str, str],
    ) -> Commit:
        """Make facts, each part in runs of its own, the latest snapshot."""
        before = held.at(None)
        names = (f"{held.latest + 1}-{i}" for i in range(len(parts)))
        runs = [
            r for facts, name in zip(parts, names, strict=True) for r in _runs(held, facts, name)
        ]
        last = max(next_sequence, before.next_sequence)
        number = held.add(Snapshot((*before.runs, *runs), last, self._server.clock.now()))
        held.notes |= notes
        done = Commit(number, sum(map(len, parts)), token)
        if token:
            held.commits[token] = done
        return done

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
        held = self._server.table(table)
        rows = _checked(held, batches, numbered=numbered)
        numbers = np.arange(len(rows))
        if numbered:
            numbers = rows.column(SEQUENCE).to_numpy()
            rows = rows.drop_columns([SEQUENCE])
        if (numbers < 0).any():
            raise SchemaMismatchError(f"files of {table!r}: {SEQUENCE} must be 0 or more")
        name = f"waiting-{next(self._server.names)}"
        with self._server.lock:
            held.waiting[name] = _numbered(held, rows, first + numbers)
        if progress and len(rows):
            progress(len(rows))
        return WrittenFacts(table, len(rows), first, first + int(numbers.max(initial=-1)) + 1, name)

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
        if any(part.table != table for part in written):
            raise InputError(f"files of {written[0].table!r} cannot be added to {table!r}")
        made, wanted = dict(notes or {}), dict(expected or {})
        texts.check_notes(made, wanted)
        held = self._server.table(table)

        def commit() -> Commit:
            with self._server.lock:
                return self._commit_files(held, written, token, made, wanted)

        return self._calls.around(self._who, "offline.append", commit)

    def _commit_files(
        self,
        held: Table,
        written: Sequence[WrittenFacts],
        token: str,
        notes: Mapping[str, str],
        expected: Mapping[str, str | None],
    ) -> Commit:
        if done := self._done(held, token, expected):
            return done
        now = held.at(None).next_sequence
        there = all(part.files in held.waiting for part in written)
        parts = [held.waiting.pop(part.files, None) for part in written]
        if not there or now > min((part.first for part in written), default=now):
            raise ConflictError(f"the table {held.spec.name!r} changed; write the files again")
        end = max((part.end for part in written), default=now)
        return self._add(held, parts, end, token, notes)

    def read(
        self,
        table: str,
        columns: Sequence[str],
        *,
        bucket: int | None = None,
        where: Filter | None = None,
        snapshot: int | None = None,
    ) -> pa.Table:
        return self._calls.around(
            self._who, "offline.read", lambda: self._read(table, columns, bucket, where, snapshot)
        )

    def _read(
        self,
        table: str,
        columns: Sequence[str],
        bucket: int | None,
        where: Filter | None,
        snapshot: int | None,
    ) -> pa.Table:
        held = self._server.table(table)
        _check_columns(held, columns)
        if bucket is not None and not 0 <= bucket < held.spec.buckets:
            raise InputError(f"table {table!r} has the buckets 0 to {held.spec.buckets - 1}")
        if where is not None and where.keys is not None:
            _check_keys(held, where.keys)
        runs = [r for r in held.at(snapshot).runs if bucket is None or r.bucket == bucket]
        runs.sort(key=lambda run: run.bucket)
        fields = pa.schema([held.layout.field(name) for name in columns])
        pieces = [_filtered(run.facts, where).select(columns) for run in runs]
        return pa.concat_tables([fields.empty_table(), *pieces])

    def files(self, table: str, *, bucket: int | None = None) -> list[str]:
        runs = self._server.table(table).at(None).runs
        return [run.path for run in runs if bucket is None or run.bucket == bucket]

    def compact(
        self, table: str, *, small: bool = False, progress: RowProgress | None = None
    ) -> int:
        return self._calls.around(
            self._who, "offline.compact", lambda: self._compact(table, small, progress)
        )

    def _compact(self, table: str, small: bool, progress: RowProgress | None) -> int:
        held = self._server.table(table)
        found = held.at(None).runs
        buckets = [[r for r in found if r.bucket == b] for b in range(held.spec.buckets)]
        merges = [small_run(runs) if small else runs for runs in buckets]  # type: ignore[arg-type]
        gone = {run.path for runs in merges if len(runs) > 1 for run in runs}
        if not gone:
            return 0
        added = []
        for runs in merges:
            if len(runs) > 1:
                together = pa.concat_tables([run.facts for run in runs])
                added += _runs(held, together, f"{held.latest}-merged")
                if progress:
                    progress(len(together))
        with self._server.lock:
            self._replace(held, gone, added)
        return len(gone)

    def _replace(self, held: Table, gone: Collection[str], added: Sequence[Run]) -> None:
        latest = held.at(None)
        kept = [run for run in latest.runs if run.path not in gone]
        if len(kept) + len(gone) != len(latest.runs):
            raise ConflictError(f"somebody else compacted the table {held.spec.name!r} meanwhile")
        runs = (*kept, *added)
        held.waiting.clear()
        held.add(Snapshot(runs, latest.next_sequence, self._server.clock.now()))

    def expire(self, table: str, *, before: int, keep: Collection[int] = ()) -> int:
        with self._server.lock:
            held = self._server.table(table)
            numbers = sorted(held.snapshots)
            gone = [
                number
                for number, later in pairwise(numbers)
                if number and number not in keep and held.snapshots[later].committed_at < before
            ]
            for number in gone:
                del held.snapshots[number]
            held.waiting.clear()
        return len(gone)

    def drop(self, table: str) -> None:
        layouts.check_table_name(table)
        with self._server.lock:
            self._server.tables.pop(table, None)

    def close(self) -> None: ...


def _numbered(held: Table, rows: pa.Table, numbers: Index) -> pa.Table:
    """Rows as facts, with their sequences."""
    made = rows.append_column(SEQUENCE, pa.array(numbers, pa.int64()))
    return made.select(held.layout.names).cast(held.layout)


def _checked(held: Table, batches: Iterable[pa.RecordBatch], *, numbered: bool = False) -> pa.Table:
    """The rows of an append, in order of arrival. Raises SchemaMismatchError.

    ``numbered``: they have a column of sequences.
    """
    layout = held.layout
    incoming = layout if numbered else layout.remove(layout.get_field_index(SEQUENCE))
    taken = [layouts.conform_batch(batch, held.spec, incoming) for batch in batches]
    for batch in taken:
        if len(batch) and not 0 <= pc.min(batch[BUCKET]).as_py() <= pc.max(
            batch[BUCKET]
        ).as_py() < (held.spec.buckets):
            raise SchemaMismatchError(f"append to {held.spec.name!r}: a bucket is out of range")
    return pa.Table.from_batches(taken, incoming)


def _runs(held: Table, facts: pa.Table, name: str) -> list[Run]:
    """Facts in a sorted run for each bucket."""
    found = facts.column(BUCKET).unique().to_pylist()
    made = []
    for bucket in sorted(found):
        chosen = facts.filter(pc.equal(facts.column(BUCKET), bucket))
        run = sorted_run(chosen.combine_chunks(), held.spec.keys, arrival=False)
        made.append(Run(f"memory:{held.spec.name}/{name}/{bucket}", bucket, run))
    return made


def _check_columns(held: Table, columns: Sequence[str]) -> None:
    names = held.layout.names
    for name in columns:
        if name not in names:
            raise SchemaMismatchError(f"no column {name!r}; {nearest(name, names)}")
    if len(set(columns)) != len(columns):
        raise SchemaMismatchError(f"columns named twice: {list(columns)}")


def _check_keys(held: Table, keys: pa.Table) -> None:
    wanted = [(name, held.layout.field(name).type) for name in held.spec.keys]
    if [(f.name, f.type) for f in keys.schema] != wanted:
        raise KeyTypeError(f"the keys of a filter must be {wanted}, got {keys.schema}")


def _filtered(facts: pa.Table, where: Filter | None) -> pa.Table:
    """Exactly by times; keys are only a permission to skip."""
    if where is None:
        return facts
    bounds = (
        (EVENT_TIME, pc.greater_equal, where.event_from),
        (EVENT_TIME, pc.less_equal, where.event_to),
        (KNOWN_TIME, pc.greater_equal, where.known_from),
        (KNOWN_TIME, pc.less_equal, where.known_to),
    )
    for name, keeps, bound in bounds:
        if bound is not None:
            times = facts.column(name).cast(pa.int64())
            facts = facts.filter(keeps(times, pa.scalar(bound, pa.int64())))
    return facts
