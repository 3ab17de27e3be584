"""Adding facts to an Iceberg table in one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.errors import ConflictError, SchemaMismatchError
from noskew.stores.offline import columns, notes
from noskew.stores.offline.base import (
    BUCKET,
    SEQUENCE,
    Commit,
    RowProgress,
    TableSpec,
    WrittenFacts,
)
from noskew.stores.offline.catalog import NEXT_SEQUENCE, ROWS, TOKEN, TableState
from noskew.stores.offline.commit import TRIES, commit, overtaken
from noskew.stores.offline.faults import faults
from noskew.stores.offline.files import (
    Attempt,
    files_of_work,
    local_directory,
    remove_files,
    work_directory,
)
from noskew.stores.offline.records import FileRecord, Files
from noskew.stores.offline.sorting import sorted_run
from noskew.stores.offline.spool import MEMORY_BYTES, BucketSpool
from noskew.stores.offline.sweep import unreferenced

#: The directory of files of appends without a token. One for all: a directory for each, empty
#: once its files are compacted, would be a million after a year.
_UNNAMED = "append"


@dataclass(frozen=True, slots=True)
class Work:
    """What an append is beside its rows."""

    token: str | None
    notes: Mapping[str, str]
    expected: Mapping[str, str | None]

    @property
    def directory(self) -> str:
        """Where its files go."""
        return work_directory(self.token) if self.token else _UNNAMED

    def done(self, state: TableState) -> Commit | None:
        """The commit, if it was done before.

        Raises NoteMismatchError if it was not, and the notes say that it must not be.
        """
        done = state.committed(self.token) if self.token else None
        if done is None:
            notes.check_expected(state.spec.name, state.notes, self.expected)
        return done

    def summary(self, rows: int, end: int) -> dict[str, str]:
        """What the snapshot says about itself; ``end``: above every sequence in it."""
        said = {ROWS: str(rows), NEXT_SEQUENCE: str(end)}
        return said if self.token is None else {TOKEN: self.token, **said}


@dataclass(frozen=True, slots=True)
class _Written:
    """Files of an append, and the table that they were written for."""

    state: TableState
    first: int  # the sequence of the first row
    files: list[FileRecord]

    def fit(self, state: TableState) -> bool:
        """Whether they can be committed on top of ``state``: in order, and all there."""
        return state.next_sequence <= self.first and state.sweeps == self.state.sweeps


def append(
    load: Callable[[], TableState],
    batches: Iterable[pa.RecordBatch],
    work: Work,
    progress: RowProgress | None,
) -> Commit:
    """Append and commit on top of whatever the table is by then.

    1. The work is looked up: it may be done, or its notes may forbid it.
    2. Batches are checked, numbered from 0 and spooled by bucket (bounded memory).
    3. Each bucket is sorted, numbered on from the table's sequences, written to a file of its
       own, and flushed to disk.
    4. One commit names all files and sets the notes, if the latest snapshot is still the one
       that was looked at. If not, it is 1 again, and 3 if somebody added rows.
    5. Files that killed tries with the same token left behind are removed.

    Killed before 4, there are files that nothing refers to; killed after it, everything is in
    the table. The catalog's transaction in 4 is the one moment of change.
    """
    state = load()
    if done := work.done(state):  # 1
        return done
    spool = _spool_for(state)
    try:
        stale = files_of_work(state, work.token) if work.token else []
        _spool_all(state.spec, batches, spool)  # 2
        with Attempt(state, work.directory) as attempt:
            written = _write(state, attempt, spool, state.next_sequence, progress)  # 3
            done = _commit_written(load, attempt, spool, written, work)
    finally:
        spool.close()
    if not done.repeated:
        # Those tries have failed or must fail: they look the token up before they go on. If it
        # is repeated, one of them has committed since they were listed.
        remove_files(state, stale)  # 5
    return done


def write_files(
    load: Callable[[], TableState],
    batches: Iterable[pa.RecordBatch],
    token: str,
    first: int,
    progress: RowProgress | None,
    *,
    numbered: bool,
) -> WrittenFacts:
    """Steps 2 and 3 of :func:`append`, for somebody else to do 4."""
    state = load()
    spool = _spool_for(state)
    try:
        end = first + _spool_all(state.spec, batches, spool, numbered=numbered)  # 2
        with Attempt(state, work_directory(token)) as attempt:
            written = _write(state, attempt, spool, first, progress, numbered=numbered)  # 3
            attempt.release()
    finally:
        spool.close()
    files = Files.of(state, written.files)
    return WrittenFacts(state.spec.name, int(spool.rows.sum()), first, end, files.to_text())


def commit_files(
    load: Callable[[], TableState], written: Sequence[WrittenFacts], work: Work
) -> Commit:
    """Step 4 of :func:`append`, for files of any number of :func:`write_files`.

    Nothing is written again: if it would have to be, the files are removed.
    """
    parts = [Files.from_text(part.files) for part in written]
    records = [record for part in parts for record in part.records]
    rows, state = sum(part.rows for part in written), load()
    for _ in range(TRIES):
        state = load()
        if done := work.done(state):  # 1
            # An earlier call may have committed these very files, and not have heard of it.
            remove_files(state, unreferenced(state, [record.path for record in records]))
            return done
        first = min((part.first for part in written), default=state.next_sequence)
        end = max((part.end for part in written), default=state.next_sequence)
        if state.next_sequence > first or not all(part.are_there(state) for part in parts):
            remove_files(state, [record.path for record in records])
            raise overtaken(state.spec.name)
        try:
            snapshot = commit(  # 4
                state,
                None,
                added=[record.data_file(state) for record in records],
                summary=work.summary(rows, max(end, state.next_sequence)),
                properties=notes.to_properties(work.notes),
            )
        except ConflictError:
            continue
        return Commit(snapshot, rows, work.token)
    raise overtaken(state.spec.name)


def _spool_for(state: TableState) -> BucketSpool:
    schema, directory = _spooled_schema(state.spec), local_directory(state)
    return BucketSpool(schema, state.spec.buckets, directory, memory_bytes=MEMORY_BYTES)


def _commit_written(
    load: Callable[[], TableState],
    attempt: Attempt,
    spool: BucketSpool,
    written: _Written,
    work: Work,
) -> Commit:
    state, rows = written.state, int(spool.rows.sum())
    for number in range(1, TRIES + 1):
        # Looked at anew, for writing may have taken long, and the snapshot be expired by now.
        state = _again(load, state)
        if done := work.done(state):  # 1
            attempt.discard()
            return done
        if not written.fit(state):
            attempt.discard()
            # With room for as many rows of others, twice as many each time: whoever takes
            # long to write must not have to do it again for every small append of others.
            first = state.next_sequence + (rows << number)
            written = _write(state, attempt, spool, first, None)  # 3
            continue
        try:
            snapshot = commit(  # 4
                state,
                attempt,
                added=[file.data_file(state) for file in written.files],
                summary=work.summary(rows, written.first + rows),
                properties=notes.to_properties(work.notes),
            )
        except ConflictError:
            continue
        return Commit(snapshot, rows, work.token)
    raise overtaken(state.spec.name)


def _again(load: Callable[[], TableState], before: TableState) -> TableState:
    state = load()
    if state.table.metadata.table_uuid != before.table.metadata.table_uuid:
        raise overtaken(before.spec.name)
    return state


def _spool_all(
    spec: TableSpec,
    batches: Iterable[pa.RecordBatch],
    spool: BucketSpool,
    *,
    numbered: bool = False,
) -> int:
    """Spool the batches; gives a number above that of every row.

    Rows are numbered as they come, unless they are ``numbered`` already.
    """
    expected = _spooled_schema(spec)
    incoming = expected
    if not numbered:
        incoming = expected.remove(expected.get_field_index(SEQUENCE))
    end = 0
    for batch in batches:
        checked = columns.conform_batch(batch, spec, incoming)
        if checked.num_rows:
            _check_buckets(checked, spec)
            if numbered:
                end = max(end, _last_number(checked, spec) + 1)
            else:
                numbers = np.arange(end, end + checked.num_rows, dtype=np.int64)
                end += checked.num_rows
                checked = _numbered(checked, numbers, expected)
            with faults(f"spooling rows for the table {spec.name!r}"):
                spool.add(checked)
    with faults(f"spooling rows for the table {spec.name!r}"):
        spool.finish()
    return end


def _last_number(batch: pa.RecordBatch, spec: TableSpec) -> int:
    numbers = batch.column(SEQUENCE).to_numpy()
    if numbers.min() < 0:
        raise SchemaMismatchError(
            f"files of {spec.name!r}: {SEQUENCE} must be 0 or more, got {numbers.min()}"
        )
    return int(numbers.max())


def _write(
    state: TableState,
    attempt: Attempt,
    spool: BucketSpool,
    first: int,
    progress: RowProgress | None,
    *,
    numbered: bool = False,
) -> _Written:
    """Write what is spooled, the row of number 0 having the sequence ``first``."""

    def sorted_bucket(bucket: int) -> pa.Table:
        with faults(f"reading spooled rows of the table {state.spec.name!r}"):
            rows = spool.bucket(bucket)
        run = sorted_run(rows, state.spec.keys, arrival=not numbered)
        place = run.schema.get_field_index(SEQUENCE)
        numbers = pc.add(run.column(place), pa.scalar(first, pa.int64()))
        return run.set_column(place, run.schema.field(place), numbers).cast(state.stored)

    buckets = np.flatnonzero(spool.rows).tolist()
    return _Written(state, first, attempt.write(buckets, sorted_bucket, progress))


def _spooled_schema(spec: TableSpec) -> pa.Schema:
    return columns.layout(spec).remove_metadata()


def _numbered(batch: pa.RecordBatch, numbers: np.ndarray, expected: pa.Schema) -> pa.RecordBatch:
    arrays = [
        pa.array(numbers) if name == SEQUENCE else batch.column(name) for name in expected.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=expected)


def _check_buckets(batch: pa.RecordBatch, spec: TableSpec) -> None:
    buckets = batch.column(BUCKET).to_numpy()
    if buckets.min() < 0 or buckets.max() >= spec.buckets:
        raise SchemaMismatchError(
            f"append to {spec.name!r}: {BUCKET} must be 0 to {spec.buckets - 1}, got "
            f"{buckets.min()} to {buckets.max()}"
        )
