"""CSV files as a batch source: one part per file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from noskew.errors import InputError, SchemaMismatchError, nearest
from noskew.read_ahead import read_ahead
from noskew.stores.sources.batches import check_unique, sliced
from noskew.stores.sources.csv.encoding import Utf8File
from noskew.stores.sources.csv.layout import Layout, find_layout
from noskew.stores.sources.csv.options import CsvOptions
from noskew.stores.sources.csv.reading import PieceReader, line_in_piece
from noskew.stores.sources.csv.rows import BadRowError, pieces
from noskew.stores.sources.digest import SIZE
from noskew.stores.sources.file_source import FileSource
from noskew.stores.sources.paths import FileParts, opening
from noskew.types import DType, dtype

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_BLOCK_BYTES = 4 * 1024 * 1024
_TEXT = DType("string")


class CsvSource(FileSource):
    """A CSV file, a directory of them (recursive), or a glob.

    ``column_types`` gives the type of columns by name (Arrow types, or text such as
    ``"int64"``); every other column is text. No type is guessed from the values: a guess made
    from the first rows would change with them. Empty fields are null, except in text, where
    they are empty text; NaN is a value. ``options`` are those of :class:`CsvOptions`.

    A part's token is a digest of the file's bytes, of the types they are read as, and of the
    options that are said.
    """

    def __init__(
        self,
        path: str | Path,
        column_types: Mapping[str, pa.DataType | str] | None = None,
        *,
        delimiter: str | None = None,
        timezone: str | None = None,
        timestamp_format: str | None = None,
        null_values: Sequence[str] | None = None,
        encoding: str | None = None,
        header: bool = True,
        decimal: str = ".",
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        self._path = str(path)
        self._block_bytes = block_bytes
        self._kinds = {name: dtype(kind) for name, kind in (column_types or {}).items()}
        self._options = CsvOptions(
            delimiter, timezone, timestamp_format, null_values, encoding, header, decimal
        )
        if not header and not self._kinds:
            raise InputError(
                f"{self._path}: header=False needs the types of all columns, in the file's order"
            )
        super().__init__(FileParts(self._path, SUFFIXES, self._token, lambda path: None))

    def schema(self) -> pa.Schema:
        """The columns of the first file; what is there twice and not declared is left out."""
        path = self._files.files()[0]
        names = self._layout(path).names
        kept = [name for name in names if names.count(name) == 1 or name in self._kinds]
        check_unique(kept, str(path))
        return pa.schema([(name, self._kinds.get(name, _TEXT).to_arrow()) for name in kept])

    def _batches(
        self, path: Path, columns: list[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        with opening(path), Utf8File(path, self._options.encoding) as file:
            layout = self._layout_of(file, path)
            chosen = self._chosen(layout, columns, path)
            kinds = {name: self._kinds.get(name, _TEXT) for name in chosen}
            reader = PieceReader(layout, self._options, chosen, kinds)
            delimiter, at = layout.delimiter.encode(), layout.offset
            cut = pieces(file, delimiter, layout.newline, self._block_bytes, layout.rows)
            try:
                with closing(read_ahead(cut)) as ahead:
                    for piece in ahead:
                        yield from sliced(self._batch(reader, piece), batch_rows)
                        at += len(piece)
            except BadRowError as error:
                line = 1 + self._lines(path, at, layout.newline) + error.row
                raise SchemaMismatchError(f"{path}, line {line:,}: {error.reason}") from None

    def _batch(self, reader: PieceReader, piece: bytes) -> pa.RecordBatch:
        """The rows of a piece. Raises BadRowError with a line in the place of the row."""
        try:
            return reader.batch(piece)
        except BadRowError as error:
            lines = line_in_piece(piece, error.row, reader.layout)
            raise BadRowError(lines, error.reason) from None

    def _layout(self, path: Path) -> Layout:
        with opening(path), Utf8File(path, self._options.encoding) as file:
            return self._layout_of(file, path)

    def _layout_of(self, file: Utf8File, path: Path) -> Layout:
        try:
            layout = find_layout(file, self._options, list(self._kinds), str(path))
        except BadRowError as error:
            raise SchemaMismatchError(f"{path}, line 1: {error.reason}") from None
        for name in self._kinds:
            if name not in layout.names:
                raise SchemaMismatchError(
                    f"{path} has no column {name!r}; {nearest(name, layout.names)} (read as "
                    f"{layout}; set delimiter=, encoding= or header=False if that is not right)"
                )
        return layout

    def _chosen(self, layout: Layout, columns: list[str] | None, path: Path) -> list[str]:
        chosen = list(layout.names) if columns is None else columns
        check_unique(chosen, str(path) if columns is None else f"the columns asked of {path}")
        for name in chosen:
            if name not in layout.names:
                raise SchemaMismatchError(
                    f"{path} has no column {name!r}; {nearest(name, layout.names)}"
                )
        check_unique([name for name in layout.names if name in chosen], str(path))
        return chosen

    def _lines(self, path: Path, before: int, newline: bytes) -> int:
        """The lines in front of a position: counted only when an error is to be told."""
        lines = 0
        with Utf8File(path, self._options.encoding) as file:
            while before > 0 and (block := file.read(self._block_bytes)):
                lines += block.count(newline, 0, before)
                before -= len(block)
        return lines

    def _token(self, path: Path) -> str:
        kinds = repr(sorted((name, str(kind.to_arrow())) for name, kind in self._kinds.items()))
        digest = hashlib.blake2b(kinds.encode(), digest_size=SIZE)
        if said := self._options.said():
            digest.update(repr(said).encode())
        if not self._options.header:
            digest.update(repr(list(self._kinds)).encode())
        with opening(path), path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()
