"""The files of one append or compaction: written, added to a commit, or removed again."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.fs as pafs

from noskew.stores.offline.base import RowProgress
from noskew.stores.offline.catalog import TableState
from noskew.stores.offline.durable import sync_files
from noskew.stores.offline.faults import faults
from noskew.stores.offline.parquet import is_local, write_file
from noskew.stores.offline.records import FileRecord, FileRecorder

#: Buckets sorted and written at once. More threads would hold more buckets in memory.
WORKERS = min(2, os.cpu_count() or 1)


class Attempt:
    """The files of one piece of work, in a directory below that of the table's data.

    They have names that nothing else ever uses, so one attempt can never overwrite what another
    one committed. In a ``with``, an error removes them, unless they were released before.
    """

    def __init__(self, state: TableState, directory: str) -> None:
        self._state = state
        self._directory = f"{state.table.location()}/data/{directory}"
        self._written: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.discard()

    def write(
        self,
        buckets: Iterable[int],
        sorted_bucket: Callable[[int], pa.Table],
        progress: RowProgress | None,
        *,
        at_once: int = WORKERS,
    ) -> list[FileRecord]:
        """Write one file per bucket, some ``at_once``: as many are in memory.

        All of them are durable on return. They are flushed together, which takes a disk a small
        part of the time that one after the other does.
        """
        name, recorder = uuid.uuid4().hex, FileRecorder(self._state)

        def write_one(bucket: int) -> FileRecord:
            table = sorted_bucket(bucket)
            path = f"{self._directory}/{name}-{bucket:05d}.parquet"
            self._written.append(path)
            with faults(f"writing {path}"):
                metadata = write_file(self._state.io, path, table, self._state.spec.keys)
                return recorder.record(path, bucket, metadata)

        written = []
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="noskew-offline")
        try:
            for file in pool.map(write_one, buckets):
                written.append(file)
                if progress is not None:
                    progress(file.record_count)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        with faults(f"flushing the files of the table {self._state.spec.name!r}"):
            sync_files([file.path for file in written if is_local(file.path)])
        return written

    def release(self) -> None:
        """Never remove what was written until now: it is committed, or may be."""
        self._written = []

    def discard(self) -> None:
        """Remove what was written and not released."""
        remove_files(self._state, self._written)
        self._written = []


def work_directory(token: str) -> str:
    """The directory of a named piece of work; tokens may hold characters that paths may not."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def files_of_work(state: TableState, token: str) -> list[str]:
    """What earlier tries at a named piece of work left behind, if none of them committed."""
    directory = f"{state.table.location()}/data/{work_directory(token)}"
    with faults(f"listing {directory}"):
        return list_files(state, directory)


def list_files(state: TableState, directory: str) -> list[str]:
    """All files under a directory, as locations that manifests use; [] if it is absent."""
    filesystem, path = _resolve(state, directory)
    selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
    prefix = directory.removesuffix(path)
    return [
        prefix + info.path
        for info in filesystem.get_file_info(selector)
        if info.type == pafs.FileType.File
    ]


def remove_files(state: TableState, locations: Iterable[str]) -> None:
    """Remove files that nothing refers to. One that stays is only a waste of space."""
    for location in locations:
        filesystem, path = _resolve(state, location)
        with suppress(OSError):
            filesystem.delete_file(path)


def local_directory(state: TableState) -> Path | None:
    """Where the table is, if that is a local directory; temporary files go beside it."""
    location = state.table.location()
    if not location.startswith("/"):
        return None
    Path(location).mkdir(parents=True, exist_ok=True)
    return Path(location)


def referenced_files(state: TableState) -> Iterator[str]:
    """Every file that some snapshot of the table needs, of data and of metadata."""
    metadata = state.table.metadata
    yield state.table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    manifests = {}
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        manifests.update({m.manifest_path: m for m in snapshot.manifests(state.io)})
    for path, manifest in manifests.items():
        yield path
        for entry in manifest.fetch_manifest_entry(state.io, discard_deleted=True):
            yield entry.data_file.file_path


def _resolve(state: TableState, location: str) -> tuple[Any, str]:
    scheme, netloc, path = state.io.parse_location(location, state.io.properties)
    return state.io.fs_by_scheme(scheme, netloc), path
