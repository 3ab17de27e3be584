"""Parquet files as a batch source: one part per file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.errors import CorruptDataError, NoskewError, SchemaMismatchError
from noskew.stores.sources.base import BatchSource, Part, beginnings
from noskew.stores.sources.batches import check_unique, chosen, sliced
from noskew.stores.sources.digest import SIZE
from noskew.stores.sources.paths import FileParts, opening

#: Files up to this size are digested whole. Of larger ones, the footer and samples are.
WHOLE_BYTES = 32 * 1024 * 1024
_SAMPLES = 256
_SAMPLE_BYTES = 4096
_MAGIC = b"PAR1"
_SUFFIXES = (".parquet", ".pq")


class ParquetSource(BatchSource):
    """A Parquet file, a directory of them (recursive), or a glob.

    A part's token comes from the file's content alone: neither its path nor its times. Files
    of at most 32 MiB are digested whole. Of larger ones, size, footer (which holds every
    page's place, every column chunk's size, bounds and null count) and 256 evenly spaced
    blocks are, so that listing a large lake stays cheap; an edit in place of one value in
    between, to one of the same width within the same bounds, would go unseen. Writers of
    Parquet do not edit in place. A copy of another file is no part.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._files = FileParts(self._path, _SUFFIXES, _token, _rows)

    def schema(self) -> pa.Schema:
        """The schema of the first file; the others must have its columns, in its types."""
        first = self._files.files()[0]
        with _reading(first), pq.ParquetFile(first) as file:
            schema = file.schema_arrow
        check_unique(schema.names, str(first))
        return schema.remove_metadata()

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

    def _batches(
        self, path: Path, columns: list[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        expected = self.schema()
        # Buffered ahead, all of the file would be held until its last batch is read.
        with _reading(path), pq.ParquetFile(path, pre_buffer=False) as file:
            schema = file.schema_arrow
            names = chosen(schema.names, columns, str(path))
            for name in names:
                if name in expected.names and schema.field(name).type != expected.field(name).type:
                    raise SchemaMismatchError(
                        f"{path}: column {name!r} is {schema.field(name).type}, but in the first "
                        f"file of {self._path!r} it is {expected.field(name).type}"
                    )
            for batch in file.iter_batches(batch_size=batch_rows, columns=names):
                ordered = batch.select(names).replace_schema_metadata(None)
                yield from sliced(ordered, batch_rows)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    with opening(path):
        try:
            yield
        except NoskewError:
            raise
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise CorruptDataError(f"{path} is not a whole Parquet file: {error}") from error


def _rows(path: Path) -> int:
    with _reading(path), pq.ParquetFile(path) as file:
        rows: int = file.metadata.num_rows
        return rows


def _token(path: Path) -> str:
    with _reading(path), path.open("rb") as file:
        size = path.stat().st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=SIZE)
        if size <= WHOLE_BYTES:
            digest.update(file.read())
            return digest.hexdigest()
        file.seek(max(0, size - 8))
        tail = file.read(8)
        footer = int.from_bytes(tail[:4], "little") + 8
        if tail[4:] != _MAGIC or footer > size:
            raise CorruptDataError(f"{path} is not a whole Parquet file: it has no footer")
        file.seek(size - footer)
        digest.update(file.read(footer))
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
        return digest.hexdigest()
