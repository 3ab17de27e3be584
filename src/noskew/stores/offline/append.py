"""Adding facts to an Iceberg table in one commit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.manifest import DataFile

from noskew.errors import ConflictError, SchemaMismatchError, StoreError
from noskew.stores.offline import columns
from noskew.stores.offline.base import BUCKET, SEQUENCE, Progress, TableSpec
from noskew.stores.offline.catalog import NEXT_SEQUENCE, ROWS, TOKEN, TableState
from noskew.stores.offline.faults import faults
from noskew.stores.offline.files import Attempt, local_directory
from noskew.stores.offline.sorting import sorted_run
from noskew.stores.offline.spool import MEMORY_BYTES, BucketSpool


def append(
    state: TableState,
    batches: Iterable[pa.RecordBatch],
    token: str,
    progress: Progress | None,
) -> tuple[int, int]:
    """Append and commit on top of ``state``; give the snapshot and the rows.

    1. Batches are checked, numbered and spooled by bucket (bounded memory).
    2. Each bucket is sorted and written to a file of its own, and flushed to disk.
    3. One commit names all files, if ``state`` is still the latest; else ConflictError.
    4. Files that killed tries with the same token left behind are removed.

    Killed before 3, there are files that nothing refers to; killed after it, everything is in
    the table. The catalog's transaction in 3 is the one moment of change.
    """
    attempt = Attempt(state, token)
    spool = BucketSpool(
        _spooled_schema(state.spec),
        state.spec.buckets,
        local_directory(state),
        memory_bytes=MEMORY_BYTES,
    )
    try:
        rows = _spool_all(state, batches, spool)  # 1
        files = _write_all(state, attempt, spool, progress)  # 2
    except BaseException:
        attempt.discard()
        raise
    finally:
        spool.close()
    summary = {
        TOKEN: token,
        ROWS: str(rows),
        NEXT_SEQUENCE: str(state.next_sequence + rows),
    }
    snapshot = commit(state, attempt, files, [], summary)  # 3
    attempt.remove_stale()  # 4
    return snapshot, rows


def commit(
    state: TableState,
    attempt: Attempt,
    added: Iterable[DataFile],
    replaced: Iterable[DataFile],
    summary: dict[str, str],
) -> int:
    """Make a snapshot on top of ``state`` that has ``added`` and has not ``replaced``.

    Raises ConflictError, having removed the attempt's files, if ``state`` is not the latest.
    """
    name = state.spec.name
    replaced = list(replaced)
    try:
        with faults(f"committing to the table {name!r}"):
            transaction = state.for_commit().transaction()
            update = transaction.update_snapshot(snapshot_properties=summary)
            with update.overwrite() if replaced else update.merge_append() as producer:
                for file in added:
                    producer.append_data_file(file)
                for file in replaced:
                    producer.delete_data_file(file)
            transaction.commit_transaction()
    except (CommitFailedException, NoSuchTableError) as error:
        attempt.discard()
        raise ConflictError(
            f"the table {name!r} changed while this call was working on it; nothing was added: "
            f"repeat the call"
        ) from error
    except StoreError as error:
        # File errors come before the catalog's transaction, so nothing can refer to our files.
        # After anything else the commit may have happened and the files must stay; if it has
        # not, a repeated append or `compact` removes them.
        if isinstance(error.__cause__, OSError):
            attempt.discard()
        raise
    return producer.snapshot_id


def _spool_all(state: TableState, batches: Iterable[pa.RecordBatch], spool: BucketSpool) -> int:
    spec = state.spec
    expected = _spooled_schema(spec)
    incoming = expected.remove(expected.get_field_index(SEQUENCE))
    first = next_sequence = state.next_sequence
    for batch in batches:
        checked = columns.conform(batch, spec, incoming)
        if checked.num_rows:
            _check_buckets(checked, spec)
            numbers = np.arange(next_sequence, next_sequence + checked.num_rows, dtype=np.int64)
            next_sequence += checked.num_rows
            with faults(f"spooling rows for the table {spec.name!r}"):
                spool.add(_numbered(checked, numbers, expected))
    with faults(f"spooling rows for the table {spec.name!r}"):
        spool.finish()
    return next_sequence - first


def _write_all(
    state: TableState, attempt: Attempt, spool: BucketSpool, progress: Progress | None
) -> list[DataFile]:
    def sorted_bucket(bucket: int) -> pa.Table:
        with faults(f"reading spooled rows of the table {state.spec.name!r}"):
            rows = spool.bucket(bucket)
        run = sorted_run(rows, state.spec.keys, arrival=True)
        return run.cast(state.stored)

    return attempt.write(np.flatnonzero(spool.rows).tolist(), sorted_bucket, progress)


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
