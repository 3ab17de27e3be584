"""Data in memory as a batch source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow as pa

from noskew.errors import InputError, SchemaMismatchError
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.batches import chosen, considered, position_of_part, sliced
from noskew.stores.sources.digest import ContentDigest

_WHERE = "the frame"


class FrameSource(BatchSource):
    """A pandas or Polars frame, an Arrow table, batches of one, or any Arrow C stream.

    A pandas index is not data: reset it to make it a column. The one part's token is a
    digest of names, types and values, whatever the chunks. Streams are read once, at once.
    ``column_types``: columns that it does not name are left alone, whatever is in them.

    Raises SchemaMismatchError for a column name that appears twice, InputError for anything
    that is no frame.
    """

    is_in_memory = True

    def __init__(
        self, frame: Any, column_types: Mapping[str, pa.DataType | str] | None = None
    ) -> None:
        self._names, self._table = _to_arrow(frame, column_types)
        self._part: Part | None = None

    def schema(self) -> pa.Schema:
        return self._table.schema

    def parts(self) -> list[Part]:
        if self._part is None:
            digest = ContentDigest(self._table.schema)
            for batch in self._table.to_batches():
                digest.update(batch)
            rows, size = self._table.num_rows, self._table.nbytes
            self._part = Part(digest.token(), f"{_WHERE} of {rows} rows", rows, size)
        return [self._part]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        position_of_part(self.parts(), part, _WHERE)
        names = self._table.schema.names
        if columns is not None:
            names = chosen(self._names, columns, _WHERE)
        for batch in self._table.select(names).to_batches(max_chunksize=batch_rows):
            yield from sliced(batch, batch_rows)


def is_data_frame(data: Any) -> bool:
    """Whether it is a DataFrame of pandas or Polars.

    They are recognised, not imported: whoever has a frame of a library has it loaded.
    """
    library = type(data).__module__.partition(".")[0]
    return library in ("pandas", "polars") and type(data).__name__ == "DataFrame"


def _to_arrow(frame: Any, declared: Collection[str] | None) -> tuple[list[str], pa.Table]:
    """The names of all columns, and a table of those that matter."""
    try:
        names, table = _converted(frame, declared)
        table = table.select(considered(table.schema.names, declared, _WHERE))
    except (pa.ArrowException, ValueError, TypeError) as error:
        if isinstance(error, SchemaMismatchError):
            raise
        raise InputError(f"{_WHERE} cannot be turned into Arrow: {error}") from error
    return names, table.replace_schema_metadata(None)


def _converted(frame: Any, declared: Collection[str] | None) -> tuple[list[str], pa.Table]:
    # What nobody declared is left out before it is converted, which may fail.
    if is_data_frame(frame):
        names = [str(name) for name in frame.columns]
        at = considered(names, declared, _WHERE)
        if hasattr(frame, "iloc"):
            return names, pa.Table.from_pandas(frame.iloc[:, at], preserve_index=False)
        frame = frame.select([names[i] for i in at])
        return names, pa.RecordBatchReader.from_stream(frame).read_all()
    table = _table(frame)
    return table.schema.names, table


def _table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame).read_all()
    if isinstance(frame, (list, tuple)) and frame:
        return pa.Table.from_batches(frame)
    raise InputError(
        f"expected a pandas or Polars frame, an Arrow table or record batches, got "
        f"{type(frame).__name__}"
    )
