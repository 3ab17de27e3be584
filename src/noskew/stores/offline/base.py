"""The contract of an offline store: append-only tables of facts, in buckets, with snapshots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noskew.closing import Closing

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that every table of facts has, beside those of its schema.
EVENT_TIME = "_event_time"  # timestamp[us, UTC], not null: when it happened
KNOWN_TIME = "_known_time"  # timestamp[us, UTC], not null: when this store learned of it
SEQUENCE = "_sequence"  # int64, not null, assigned by `append`: arrival order, breaks ties
BUCKET = "_bucket"  # int32, not null: hash of the entity key modulo the bucket count
SYSTEM_COLUMNS = (EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET)

#: Called with the number of rows finished since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a table of facts looks like.

    ``name`` matches ``[a-z0-9_]{1,128}``. ``schema`` holds the key and value columns only
    (no system column). ``keys`` are the names of the key columns, in key order; rows of a
    file are sorted by them, then by event time, known time and sequence. ``buckets`` is fixed
    for the life of the table.
    """

    name: str
    schema: pa.Schema
    keys: tuple[str, ...]
    buckets: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One append that is in the table: the snapshot it made and the rows it brought."""

    snapshot: int
    rows: int
    token: str
    repeated: bool = False  # True: the token had been committed before; nothing was written


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table as of one snapshot."""

    spec: TableSpec
    snapshot: int | None  # None: nothing was ever committed
    snapshot_number: int  # grows by at least one with each commit; 0 for an empty table
    rows: int
    bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which facts a read needs; None = no bound. All bounds are closed.

    ``keys``: facts of any other key may be left out; the table has the spec's key columns,
    in key order, of the spec's types, and no duplicate rows. A filter is a permission to skip,
    applied exactly for times and best-effort for keys (a superset may come back).
    """

    event_from: int | None = None
    event_to: int | None = None
    known_from: int | None = None
    known_to: int | None = None
    keys: pa.Table | None = field(default=None, compare=False)


class OfflineStore(Closing, ABC):
    """Keeps tables of facts. It knows names, schemas and batches; it knows no definition.

    Facts are never changed or deleted, only appended; each append is one atomic commit and
    makes one snapshot. Every method raises StoreUnavailableError when the store cannot be
    reached, NotFoundError for a table that does not exist, CorruptDataError for files that
    cannot be read, and StoreFullError where there is no space left. Safe to share by threads.
    """

    @abstractmethod
    def create(self, spec: TableSpec) -> None:
        """Make the table; do nothing if one of the same spec is there.

        Raises SchemaMismatchError if a table of that name and another spec is there.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """The names of all tables, sorted."""

    @abstractmethod
    def info(self, table: str, *, snapshot: int | None = None) -> TableInfo:
        """The table as of a snapshot (default: the latest)."""

    @abstractmethod
    def committed(self, table: str, token: str) -> Commit | None:
        """The commit that carried ``token``, or None. ``repeated`` is True in it."""

    @abstractmethod
    def append(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        *,
        token: str,
        progress: Progress | None = None,
    ) -> Commit:
        """Add facts in one atomic commit, bounded in memory by the largest bucket.

        ``batches`` have the spec's columns plus event time, known time and bucket, in any
        column order; sequence is assigned in order of arrival, above every sequence already
        in the table. ``token`` names this piece of work (``[A-Za-z0-9_.:-]{1,128}``): if a
        commit with it is there, nothing is read or written and that commit is returned.

        Killed at any moment, the table holds all of it or nothing; files left behind by a
        killed append are never read, and are replaced by a repeated one or removed by
        ``compact``. No rows at all makes a commit, too: the token is then recorded.

        Raises SchemaMismatchError for batches of other columns or types, or with nulls in a
        key or system column; ConflictError if another append to the same table committed
        meanwhile (repeat the call).
        """

    @abstractmethod
    def read(
        self,
        table: str,
        columns: Sequence[str],
        *,
        bucket: int | None = None,
        where: Filter | None = None,
        snapshot: int | None = None,
    ) -> pa.Table:
        """The named columns (system columns may be named) of one bucket, or of all.

        Rows come as one run per file, each run sorted by (keys, event time, known time,
        sequence); there is no order between runs. Column order is that of ``columns``. Types
        are the schema's (no dictionary, no large_ variants unless declared).
        """

    def scan(
        self,
        table: str,
        columns: Sequence[str],
        *,
        bucket: int,
        where: Filter | None = None,
        snapshot: int | None = None,
    ) -> Iterator[pa.Table]:
        """The named columns of a bucket in slices: no key is in two of them.

        Memory is bounded by a few megabytes and the facts of one key, not by the bucket.
        ``where`` only serves to skip: any other facts of the bucket may come as well, and
        ``where.keys`` may be ignored.

        In a slice, rows come as one run per file, each sorted as in :meth:`read`. If the bucket
        may have several runs, the columns known time and sequence are there, asked for or not:
        they say how the runs interleave. So a slice without them is in order as it is.

        Errors are raised while the slices are read, those of :meth:`read`.
        """
        columns = list(dict.fromkeys([*columns, KNOWN_TIME, SEQUENCE]))
        yield self.read(table, columns, bucket=bucket, snapshot=snapshot)

    @abstractmethod
    def files(self, table: str, *, bucket: int | None = None) -> list[str]:
        """Paths or URIs of the Parquet files of the latest snapshot, for other engines."""

    @abstractmethod
    def compact(self, table: str, *, progress: Progress | None = None) -> int:
        """Rewrite each bucket of several files into one sorted file; values stay the same.

        Earlier snapshots stay readable. Returns how many files were replaced.
        """

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove the table and its files; an absent one is skipped."""

    @abstractmethod
    def close(self) -> None:
        """Release connections; a second call does nothing."""
