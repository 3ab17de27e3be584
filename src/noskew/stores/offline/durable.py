"""Files that are on disk before the catalog names them."""

from __future__ import annotations

import os
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
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class _DurableFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        if not overwrite and self.exists():
            raise FileExistsError(f"{self.location} is there already")
        return DurableStream(Path(self._path))
