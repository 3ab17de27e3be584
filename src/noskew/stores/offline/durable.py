"""Files that are on disk before the catalog names them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from noskew.resources import Closing

if TYPE_CHECKING:
    from pyiceberg.io import OutputStream


class DurableFileIO(PyArrowFileIO):
    """Like PyArrowFileIO, but local files reach the disk before ``close`` returns.

    The catalog's commit is flushed by its database. If the files it points at were still in
    the page cache at a power cut, the table would be lost although the commit survived.
    """

    def new_output(self, location: str) -> PyArrowFile:
        scheme, netloc, path = self.parse_location(location, self.properties)
        kind = _DurableFile if scheme == "file" else PyArrowFile
        return kind(location=location, path=path, fs=self.fs_by_scheme(scheme, netloc))


#: Files flushed at once: the disk then writes its journal once for many of them.
_AT_ONCE = 16


def sync_files(paths: Sequence[str]) -> None:
    """Flush local files to disk, with their directory entries. Raises OSError.

    Files that are gone by then are left out: a compaction takes those of an append under way for
    left behind, and the append's commit notices.
    """
    with ThreadPoolExecutor(min(_AT_ONCE, len(paths) or 1), "noskew-sync") as pool:
        _wait(pool.map(_sync_if_there, paths))
    _wait(map(_sync_if_there, {str(Path(path).parent) for path in paths}))


def _wait(calls: Iterable[None]) -> None:
    for _ in calls:
        pass


def _sync_if_there(path: str) -> None:
    with suppress(FileNotFoundError):
        _sync(path)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DurableStream(Closing):
    """A local file for writing that ``close`` flushes to disk, with its directory entry."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: BinaryIO = path.open("wb")

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
        _sync(str(self._path.parent))


class _DurableFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        if not overwrite and self.exists():
            raise FileExistsError(f"{self.location} is there already")
        return DurableStream(Path(self._path))
