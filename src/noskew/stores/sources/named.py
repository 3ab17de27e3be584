"""A source whose columns go by other names than in its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.cursor import Cursor, Extent


class NamedSource(BatchSource):
    """A source with some columns under names of one's own; ``names``: what the data calls them.

    Other columns are called as in the data, but for one that would be hidden by such a name.
    Tokens are of the names, too: under other names the same data has other rows.
    """

    def __init__(self, source: BatchSource, names: Mapping[str, str]) -> None:
        self._source = source
        self._names = dict(names)
        text = repr(sorted(names.items())).encode()
        self._suffix = f".{hashlib.blake2b(text, digest_size=8).hexdigest()}"
        self.is_in_memory = source.is_in_memory

    def schema(self) -> pa.Schema:
        own = {name: given for given, name in self._names.items()}
        fields = [
            field.with_name(own.get(field.name, field.name))
            for field in self._source.schema()
            if field.name in own or field.name not in self._names
        ]
        return pa.schema(fields)

    def parts(self) -> list[Part]:
        return [replace(part, token=part.token + self._suffix) for part in self._source.parts()]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        names = self.schema().names if columns is None else columns
        own = replace(part, token=part.token.removesuffix(self._suffix))
        for batch in self._source.read(own, self._theirs(names), batch_rows=batch_rows):
            yield batch.rename_columns(names)

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = self.schema().names if columns is None else columns
        for batch in self._source.sample(rows, self._theirs(names)):
            yield batch.rename_columns(names)

    def extent(self, cursor: Cursor, below: Sequence[int] = ()) -> Extent:
        return self._source.extent(self._their_cursor(cursor), below)

    def between(self, cursor: Cursor, least: int | None, greatest: int) -> BatchSource:
        rows = self._source.between(self._their_cursor(cursor), least, greatest)
        return NamedSource(rows, self._names)

    def _their_cursor(self, cursor: Cursor) -> Cursor:
        return replace(cursor, column=self._names.get(cursor.column, cursor.column))

    def _theirs(self, names: list[str]) -> list[str]:
        return [self._names.get(name, name) for name in names]
