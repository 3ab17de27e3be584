"""CSV files as a batch source: one part per file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from noskew.errors import CorruptDataError, SchemaMismatchError, nearest
from noskew.stores.sources.base import BatchSource, Part, beginnings
from noskew.stores.sources.batches import chosen, sliced
from noskew.stores.sources.digest import SIZE
from noskew.stores.sources.paths import FileParts, opening
from noskew.types import dtype

_SUFFIXES = (".csv", ".csv.gz", ".tsv")
_BLOCK_BYTES = 4 * 1024 * 1024


class CsvSource(BatchSource):
    """A CSV file with a header, a directory of them (recursive), or a glob.

    ``column_types`` gives the type of columns by name (Arrow types, or text such as
    ``"int64"``); every other column is text. Nothing is guessed from the values: a guess made
    from the first rows would change with them. Empty fields are null, except in text, where
    they are empty text. Timestamps must carry an offset or ``Z``.

    A part's token is a digest of the file's bytes and of the types they are read as.
    """

    def __init__(
        self, path: str | Path, column_types: Mapping[str, pa.DataType | str] | None = None
    ) -> None:
        self._path = str(path)
        self._types = {name: dtype(kind).to_arrow() for name, kind in (column_types or {}).items()}
        self._files = FileParts(self._path, _SUFFIXES, self._token, lambda path: None)

    def schema(self) -> pa.Schema:
        return self._schema(self._files.files()[0])

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
        schema = self._schema(path)
        names = chosen(schema.names, columns, str(path))
        convert = pacsv.ConvertOptions(
            column_types={name: schema.field(name).type for name in schema.names},
            include_columns=names,
            strings_can_be_null=False,
        )
        with opening(path):
            try:
                read = pacsv.ReadOptions(block_size=_BLOCK_BYTES)
                with pacsv.open_csv(path, read_options=read, convert_options=convert) as reader:
                    for batch in reader:
                        yield from sliced(batch, batch_rows)
            except pa.ArrowInvalid as error:
                raise SchemaMismatchError(
                    f"{path} does not hold what its columns are declared to: {error}"
                ) from error

    def _schema(self, path: Path) -> pa.Schema:
        with opening(path):
            try:
                # All as text, so that the header is read whatever the first rows hold.
                text = pacsv.ConvertOptions(check_utf8=False)
                with pacsv.open_csv(path, convert_options=text) as reader:
                    names = reader.schema.names
            except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                raise CorruptDataError(f"{path} is not a CSV file: {error}") from error
        names = chosen(names, None, str(path))
        for name in self._types:
            if name not in names:
                raise SchemaMismatchError(f"{path} has no column {name!r}; {nearest(name, names)}")
        return pa.schema([(name, self._types.get(name, pa.string())) for name in names])

    def _token(self, path: Path) -> str:
        kinds = repr(sorted((name, str(kind)) for name, kind in self._types.items()))
        digest = hashlib.blake2b(kinds.encode(), digest_size=SIZE)
        with opening(path), path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()
