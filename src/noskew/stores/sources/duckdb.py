"""A DuckDB query as a batch source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from noskew.duckdb_session import connect
from noskew.errors import InputError, StoreUnavailableError
from noskew.stores.sources.base import BatchSource, Part, first_rows
from noskew.stores.sources.batches import chosen, considered, sliced, verified
from noskew.stores.sources.cursor import (
    Cursor,
    Extent,
    SqlTimes,
    extent_of,
    extent_query,
    rows_between,
)
from noskew.stores.sources.digest import ContentDigest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB compares a time in nanoseconds, which pandas writes, with none of the others.
_TIMES = SqlTimes("CAST({} AS TIMESTAMPTZ)", "epoch_us(CAST({} AS TIMESTAMPTZ))")
_WHERE = "the DuckDB query"
_BATCH_ROWS = 131_072


class DuckDbQuery(BatchSource):
    """The result of one SELECT, as the only part.

    ``database`` is a file, opened read-only, or ``":memory:"`` for queries over files. Each
    call opens and closes a connection of its own, with one thread and UTC as time zone, so
    that the same data gives the same rows in the same order.

    The token is a digest of the result, so :meth:`parts` runs the query once, in bounded
    memory, and :meth:`read` runs it again; it fails at its end with ConflictError if the
    result was another by then. ``column_types``: only columns that it names matter.
    """

    def __init__(
        self,
        sql: str,
        database: str = ":memory:",
        column_types: Mapping[str, pa.DataType | str] | None = None,
    ) -> None:
        self._sql = sql
        self._database = database
        self._declared = column_types
        self._is_piece = False

    def schema(self) -> pa.Schema:
        with self._reader(1) as reader:
            return reader.schema

    def parts(self) -> list[Part]:
        rows = 0
        with self._reader(_BATCH_ROWS) as reader:
            digest = self._digest(reader.schema)
            for batch in reader:
                rows += batch.num_rows
                digest.update(batch)
        return [Part(digest.token(), f"{_WHERE} on {self._database}", rows)]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        with self._reader(batch_rows) as reader:
            names = chosen(reader.schema.names, columns, _WHERE)
            if self._is_piece:
                for batch in reader:
                    yield from sliced(batch.select(names), batch_rows)
                return
            for batch in verified(reader, self._digest(reader.schema), part, _WHERE):
                yield from sliced(batch.select(names), batch_rows)

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self._reader(max(1, rows)) as reader:
            names = chosen(reader.schema.names, columns, _WHERE)
            yield from (batch.select(names) for batch in first_rows(reader, rows))

    def extent(self, cursor: Cursor, below: Sequence[int] = ()) -> Extent:
        asked = self._over(extent_query(self._sql, cursor, below, _TIMES))
        with asked._reader(1) as reader:
            return extent_of(reader.read_all(), cursor, _WHERE)

    def between(self, cursor: Cursor, least: int | None, greatest: int) -> DuckDbQuery:
        return self._over(rows_between(self._sql, cursor, least, greatest, _TIMES))

    def _over(self, sql: str) -> DuckDbQuery:
        """Another query on the same database, which is read once."""
        other = DuckDbQuery(sql, self._database, self._declared)
        other._is_piece = True
        return other

    def _digest(self, schema: pa.Schema) -> ContentDigest:
        return ContentDigest(schema, considered(schema.names, self._declared, _WHERE))

    @contextmanager
    def _reader(self, batch_rows: int) -> Iterator[pa.RecordBatchReader]:
        if self._database != ":memory:" and not Path(self._database).is_file():
            raise InputError(f"there is no DuckDB database {self._database!r}")
        try:
            with self._connect() as connection:
                _check_select(connection, self._sql)
                yield connection.sql(self._sql).to_arrow_reader(batch_rows)
        except duckdb.IOException as error:
            raise StoreUnavailableError(f"{_WHERE} failed: {error}") from error
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            # While rows are streamed, Arrow reports DuckDB's errors as its own.
            raise InputError(f"{_WHERE} failed: {error}") from error

    def _connect(self) -> DuckDBPyConnection:
        in_memory = self._database == ":memory:"
        return connect(self._database, threads=1, read_only=not in_memory)


def _check_select(connection: DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InputError(f"{_WHERE} must be one SELECT, got {sql[:200]!r}")
