"""Files as a batch source: one part a file, whatever is in them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from noskew.stores.sources.base import BatchSource, Part, beginnings
from noskew.stores.sources.paths import FileParts


class FileSource(BatchSource):
    """A file, a directory of them (recursive), or a glob; ``files`` finds them."""

    def __init__(self, files: FileParts) -> None:
        self._files = files

    def parts(self) -> list[Part]:
        return self._files.parts()

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        yield from self._batches(self._files.file(part), columns, batch_rows)

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        def read(path: Path, each: int) -> Iterator[pa.RecordBatch]:
            return self._batches(path, columns, each)

        return beginnings(self._files.files(), read, rows)

    @abstractmethod
    def _batches(
        self, path: Path, columns: list[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file; None: all columns."""
