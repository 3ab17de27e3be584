"""Parquet files as a batch source: one part per file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.errors import CorruptDataError, NoskewError, SchemaMismatchError, nearest
from noskew.stores.sources.batches import check_unique, chosen, joined, sliced
from noskew.stores.sources.digest import SIZE
from noskew.stores.sources.file_source import FileSource
from noskew.stores.sources.partitions import Partitions
from noskew.stores.sources.paths import FileParts, opening
from noskew.types import dtype

#: Files up to this size are digested whole. Of larger ones, the footer and samples are.
WHOLE_BYTES = 32 * 1024 * 1024
_SAMPLES = 256
_READ_ROWS = 16_384
_SAMPLE_BYTES = 4096
_MAGIC = b"PAR1"
_SUFFIXES = (".parquet", ".pq")


class ParquetSource(FileSource):
    """A Parquet file, a directory of them (recursive), or a glob.

    ``column_types`` declares columns by name (Arrow types, or text such as ``"int64"``). Each file
    is read by itself, in its own types, whichever are those of the others: what it has is
    compared with what is declared, by whom it is read. A column that a file lacks is

    - the value in the name of its folder, where that is ``column=value`` (see ``Partitions``);
    - null, where another file of the same path has the column: the file is an older one;
    - else refused, unless the file has no rows.

    A part's token comes from the file's content and from what its folders say of declared
    columns: neither the rest of its path nor its times. Files of at most 32 MiB are digested
    whole. Of larger ones, size, footer (which holds every page's place, every column chunk's
    size, bounds and null count) and 256 evenly spaced blocks are, so that listing a large lake
    stays cheap; an edit in place of one value in between, to one of the same width within the
    same bounds, would go unseen. Writers of Parquet do not edit in place. A copy of another file
    is no part.
    """

    def __init__(
        self, path: str | Path, column_types: Mapping[str, pa.DataType | str] | None = None
    ) -> None:
        self._path = str(path)
        self._types = {name: dtype(kind).to_arrow() for name, kind in (column_types or {}).items()}
        super().__init__(FileParts(self._path, _SUFFIXES, self._token, _rows))
        self._names_of: dict[Path, list[str]] = {}

    def schema(self) -> pa.Schema:
        """The columns of all files, each as in the first that has it, and what folders declare."""
        fields: dict[str, pa.Field] = {}
        for path in self._files.files():
            for field in _schema(path):
                fields.setdefault(field.name, field)
            folders = Partitions(path, self._types)
            for name in self._types.keys() & folders.texts.keys():
                fields.setdefault(name, pa.field(name, folders.column(name, 0).type))
        return pa.schema(list(fields.values()))

    def _batches(
        self, path: Path, columns: list[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        folders = Partitions(path, self._types)
        # Buffered ahead, all of the file would be held until its last batch is read.
        with _reading(path), pq.ParquetFile(path, pre_buffer=False) as file:
            if not file.metadata.num_rows:
                return
            own = file.schema_arrow.names
            if columns is None:
                columns = self.schema().names
            self._check_known(columns, [*own, *folders.texts], path)
            names = chosen(own, [name for name in columns if name in own], str(path))
            # A few at a time: how many bytes a row has is not known before it is read.
            few = file.iter_batches(batch_size=min(batch_rows, _READ_ROWS), columns=names)
            for batch in joined(few, batch_rows):
                rows = [self._column(name, batch, folders) for name in columns]
                whole = pa.RecordBatch.from_arrays(rows, columns)
                yield from sliced(whole, batch_rows)

    def _column(self, name: str, batch: pa.RecordBatch, folders: Partitions) -> pa.Array:
        if name in batch.schema.names:
            if name in folders.texts:
                folders.check(name, batch.column(name))
            return batch.column(name)
        if name in folders.texts:
            return folders.column(name, batch.num_rows)
        return pa.nulls(batch.num_rows, self._types.get(name))

    def _check_known(self, columns: Sequence[str], own: Sequence[str], path: Path) -> None:
        """Raise SchemaMismatchError for a column that no file has, this one or another."""
        check_unique(columns, f"the columns asked of {path}")
        for column in columns:
            if column in own or any(column in self._names(other) for other in self._others()):
                continue
            names = sorted({*own, *(name for f in self._others() for name in self._names(f))})
            raise SchemaMismatchError(
                f"{path} has no column {column!r}, nor has any other file of {self._path!r}; "
                f"{nearest(column, names)}"
            )

    def _others(self) -> list[Path]:
        """All files; the newest by name, which has most columns, first."""
        return self._files.files()[::-1]

    def _names(self, path: Path) -> list[str]:
        if path not in self._names_of:
            folders = Partitions(path, self._types)
            self._names_of[path] = [*_schema(path).names, *folders.texts]
        return self._names_of[path]

    def _token(self, path: Path) -> str:
        return Partitions(path, self._types).token(_token(path))


def _schema(path: Path) -> pa.Schema:
    with _reading(path), pq.ParquetFile(path) as file:
        return file.schema_arrow.remove_metadata()


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
