"""The contract of an offline store: append-only tables of facts, in buckets, with snapshots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noskew.resources import Closing

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that every table of facts has, beside those of its schema.
EVENT_TIME = "_event_time"  # timestamp[us, UTC], not null: when it happened
KNOWN_TIME = "_known_time"  # timestamp[us, UTC], not null: when this store learned of it
SEQUENCE = "_sequence"  # int64, not null, assigned by `append`: arrival order, breaks ties
BUCKET = "_bucket"  # int32, not null: hash of the entity key modulo the bucket count
SYSTEM_COLUMNS = (EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET)

#: Called with the number of rows finished since the last call.
RowProgress = Callable[[int], None]


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
    """One append that is in the table: the snapshot it made and the rows it brought.

    The snapshot of an append of long ago may have been expired; its rows are there.
    """

    snapshot: int
    rows: int
    token: str | None
    repeated: bool = False  # True: the token had been committed before; nothing was written


@dataclass(frozen=True, slots=True)
class WrittenFacts:
    """Facts in files that no commit names yet; plain data, for another process to commit.

    Every sequence in them is at least ``first`` and less than ``end``. ``files`` is the store's
    own text about them.
    """

    table: str
    rows: int
    first: int
    end: int
    files: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table as of one snapshot.

    ``notes`` are those of this very snapshot, text by name, if it was the latest when it was
    looked up. Of a note only the latest text is kept, so they are None for an earlier snapshot.
    """

    spec: TableSpec
    snapshot: int | None  # None: nothing was ever committed
    snapshot_number: int  # grows by at least one with each commit; 0 for an empty table
    rows: int
    bytes: int
    files: int
    last_sequence: int  # the greatest in the table; −1 while it is empty
    committed_at: int | None  # microseconds, by the clock of whoever committed the snapshot
    notes: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which facts a read needs; None = no bound. All bounds are closed.

    ``sequence_from`` serves to skip files that were written before: any lesser facts may come.
    ``keys``: facts of any other key may be left out; the table has the spec's key columns,
    in key order, of the spec's types, and no duplicate rows. A filter is a permission to skip,
    applied exactly for times and best-effort for others (a superset may come back).
    """

    event_from: int | None = None
    event_to: int | None = None
    known_from: int | None = None
    known_to: int | None = None
    sequence_from: int | None = None
    keys: pa.Table | None = field(default=None, compare=False)


class OfflineStore(Closing, ABC):
    """Keeps tables of facts. It knows names, schemas and batches; it knows no definition.

    Facts are never changed or deleted, only appended; each append is one atomic commit and
    makes one snapshot. Every method raises StoreUnavailableError when the store cannot be
    reached, NotFoundError for a table that does not exist, CorruptDataError for files that
    cannot be read, and StoreFullError where there is no space left. Safe to share by threads.

    A table also has *notes*: short texts by name, which change with an append and in no other
    way, atomically with its facts. They let a writer keep its place in the table itself: what
    it writes next is told by the note, and ``expected`` keeps out whoever was overtaken.

    Snapshots and files add up. Whoever appends often calls ``compact(table, small=True)`` every
    few appends and ``expire`` every hundred or so; any process may do that at any time.
    """

    @abstractmethod
    def create(self, spec: TableSpec) -> None:
        """Make the table; do nothing if one of the same spec is there.

        A table that only lacks some nullable columns of the spec gets them: they are null in the
        rows that it has, in earlier snapshots too. Raises SchemaMismatchError if a table of that
        name and another spec is there.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """The names of all tables, sorted."""

    def has(self, table: str) -> bool:
        """Whether there is a table of this name; need not list all of them."""
        return table in self.tables()

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
        token: str | None = None,
        notes: Mapping[str, str] | None = None,
        expected: Mapping[str, str | None] | None = None,
        progress: RowProgress | None = None,
    ) -> Commit:
        """Add facts in one atomic commit, bounded in memory by the largest bucket.

        ``batches`` have the spec's columns plus event time, known time and bucket, in any
        column order; sequence is assigned in order of arrival, above every sequence already
        in the table. ``token`` names this piece of work (``[A-Za-z0-9_.:-]{1,128}``): if a
        commit with it is there, nothing is read, written or compared, and that commit is
        returned. None: nothing tells the work from another.

        ``notes`` become the table's in the same commit; notes of other names stay. ``expected``
        are texts that the named notes must have up to that very moment, None meaning that there
        is no such note. Names are as tokens are, and a text takes 8,192 bytes of UTF-8 at most.

        Killed at any moment, the table holds all of it or nothing; files left behind by a
        killed append are never read, and are replaced by a repeated one of the same token or
        removed by ``compact`` or ``expire``. No rows at all makes a commit, too: the token and
        the notes are then recorded.

        An append that others overtake is numbered after theirs and committed on top of them;
        ``batches`` are read once. ``progress`` is told of each row once.

        Raises SchemaMismatchError for batches of other columns or types, or with nulls in a
        key or system column; NoteMismatchError if a note is not as expected, which leaves
        the table as it is (repeating cannot help; if it has the text that this append gives it,
        an earlier call that failed to hear of it has committed); ConflictError if others
        committed again and again meanwhile, or the table was dropped (repeat the call);
        InvalidNameError, InputError and LimitError for a token or notes that cannot be.
        """

    @abstractmethod
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
        """The first half of an append: write facts that nobody sees until they are committed.

        Any number of processes may do so for one commit, which has their ``token``. Batches, and
        the errors they raise, are those of :meth:`append`. The sequence of a fact is ``first``
        plus its place among ``batches``; if they are ``numbered``, ``first`` plus what their
        column of sequences has (int64, 0 or more). No two facts of a commit may have the same.

        Files that are never committed are never read; ``compact`` or ``expire`` removes them.
        """

    @abstractmethod
    def commit_files(
        self,
        table: str,
        written: Sequence[WrittenFacts],
        *,
        token: str,
        notes: Mapping[str, str] | None = None,
        expected: Mapping[str, str | None] | None = None,
    ) -> Commit:
        """The second half: add what was written under ``token`` in one atomic commit.

        As :meth:`append` does at its end, with the same ``notes`` and ``expected``. A token that
        is there already is returned, and the files are dropped; repeating a call whose answer
        was lost is safe.

        Raises ConflictError, and drops the files, if they cannot be added as they are: others
        have added facts with sequences from ``first`` on, or files that nothing refers to were
        removed meanwhile. Write them again, with ``first`` above the table's last sequence.
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
    def compact(
        self, table: str, *, small: bool = False, progress: RowProgress | None = None
    ) -> int:
        """Rewrite each bucket of several files into one sorted file; values stay the same.

        Earlier snapshots stay readable, tokens and notes stay. Returns how many files were
        replaced. Files that killed calls left behind are removed.

        ``small``: merge only files that are small beside the rest of their bucket, at most one
        run of them a bucket, and leave alone what was left behind. It suits being called after
        every append: a bucket then has at most 4 + log2(its rows) files, not counting those too
        large to be merged so, and over the years a row is written again at most log2(rows of
        its bucket) times.

        Appends meanwhile go on, here and there. Raises ConflictError if somebody else compacted
        the same files meanwhile, or others committed again and again; what was rewritten before
        stays so. ``progress`` is told of the rows that are rewritten.
        """

    @abstractmethod
    def expire(self, table: str, *, before: int, keep: Collection[int] = ()) -> int:
        """Forget snapshots that a later one had replaced before a time; returns how many.

        ``before`` is in microseconds and compared with when the next snapshot was committed, so
        what was the latest at that time, or since, stays; the latest of all always does.
        ``keep`` are snapshots that stay whatever their age, such as those of saved training
        sets; unknown ones are skipped.

        Facts, tokens and notes stay. Files are removed that only forgotten snapshots needed, and
        those that killed calls left behind. To look at a forgotten snapshot raises NotFoundError;
        a reader that is at it may finish, or fails with that error.

        Raises ConflictError if others committed again and again meanwhile; nothing that is
        needed is lost then, and what was forgotten stays so.
        """

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove the table and its files; an absent one is skipped."""

    @abstractmethod
    def close(self) -> None:
        """Release connections; a second call does nothing."""
