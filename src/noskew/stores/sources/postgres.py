"""A PostgreSQL query as a batch source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noskew.errors import ConfigError, InputError, StoreUnavailableError, missing_extra
from noskew.stores.sources.base import BatchSource, Part, first_rows
from noskew.stores.sources.batches import chosen, sliced, verified
from noskew.stores.sources.digest import ContentDigest

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as _error:
    raise missing_extra("psycopg", "postgres", "a PostgreSQL source") from _error

if TYPE_CHECKING:
    from psycopg import Column, ServerCursor

_WHERE = "the PostgreSQL query"
_FETCH_ROWS = 16_384
_ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    # A timestamp column without a zone is UTC.
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamptz": pa.timestamp("us", "UTC"),
}


class PostgresQuery(BatchSource):
    """The result of one SELECT, as the only part, streamed through a server-side cursor.

    Runs in a read-only transaction of one snapshot. The token is a digest of the result, so
    :meth:`parts` runs the query once, in bounded memory, and :meth:`read` again; it fails at
    its end with ConflictError if the result was another by then. So give an ORDER BY.

    The session's time zone is UTC and its dates are in ISO form, whatever the server's are.

    Columns: boolean, integers, real, double precision, text, bytea, date, timestamps,
    numeric(p, s), and arrays of them; cast others in the query. The password of ``dsn``
    appears in no error.
    """

    def __init__(self, dsn: str, sql: str) -> None:
        try:
            self._password = str(conninfo_to_dict(dsn).get("password") or "")
        except psycopg.Error:
            # The driver's message repeats the text, password included; so must not ours.
            raise ConfigError(
                "the dsn of a PostgreSQL source is not understood; expected for example "
                "'postgresql://user:password@host:5432/database'"
            ) from None
        self._dsn = dsn
        self._sql = sql

    def schema(self) -> pa.Schema:
        with self._cursor() as cursor:
            return _schema(cursor)

    def parts(self) -> list[Part]:
        with self._cursor() as cursor:
            schema = _schema(cursor)
            digest = ContentDigest(schema)
            rows = 0
            for batch in _batches(cursor, schema, _FETCH_ROWS):
                rows += batch.num_rows
                digest.update(batch)
        return [Part(digest.token(), _WHERE, rows)]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        with self._cursor() as cursor:
            schema = _schema(cursor)
            names = chosen(schema.names, columns, _WHERE)
            batches = _batches(cursor, schema, min(batch_rows, _FETCH_ROWS))
            for batch in verified(batches, schema, part, _WHERE):
                yield from sliced(batch.select(names), batch_rows)

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self._cursor() as cursor:
            schema = _schema(cursor)
            names = chosen(schema.names, columns, _WHERE)
            batches = _batches(cursor, schema, max(1, min(rows, _FETCH_ROWS)))
            yield from (batch.select(names) for batch in first_rows(batches, rows))

    @contextmanager
    def _cursor(self) -> Iterator[ServerCursor[tuple[Any, ...]]]:
        try:
            with psycopg.connect(self._dsn) as connection:
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.execute("SET LOCAL TimeZone = 'UTC'")
                connection.execute("SET LOCAL DateStyle = 'ISO'")
                with connection.cursor("noskew_source", binary=True) as cursor:
                    # As bytes: the text is the user's own, and not put together by us.
                    cursor.execute(self._sql.encode())
                    yield cursor
        except psycopg.OperationalError as error:
            failed = StoreUnavailableError(f"{_WHERE} failed: {self._redacted(error)}")
            raise failed from self._cause(error)
        except psycopg.Error as error:
            failed_query = InputError(f"{_WHERE} failed: {self._redacted(error)}")
            raise failed_query from self._cause(error)

    def _redacted(self, error: Exception) -> str:
        text = str(error).strip()
        return text.replace(self._password, "***") if self._password else text

    def _cause(self, error: Exception) -> Exception | None:
        return None if self._password and self._password in str(error) else error


def _schema(cursor: ServerCursor[Any]) -> pa.Schema:
    described = cursor.description or []
    fields = [pa.field(column.name, _arrow_type(column)) for column in described]
    chosen([field.name for field in fields], None, _WHERE)
    return pa.schema(fields)


def _arrow_type(column: Column) -> pa.DataType:
    info = psycopg.adapters.types.get(column.type_code)
    name = info.name if info is not None else column.type_display
    kind = _ARROW.get(name)
    if name == "numeric" and column.precision is not None and column.precision <= 38:
        kind = pa.decimal128(column.precision, column.scale or 0)
    if kind is None:
        advice = "numeric(p, s) with p ≤ 38" if name == "numeric" else "::text, for example"
        raise InputError(
            f"{_WHERE}: column {column.name!r} has the type {column.type_display}, which is not "
            f"supported; cast it in the query ({advice})"
        )
    is_array = info is not None and column.type_code == info.array_oid
    return pa.list_(kind) if is_array else kind


def _batches(
    cursor: ServerCursor[Any], schema: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(batch_rows):
        yield pa.RecordBatch.from_arrays(_columns(rows, schema), schema=schema)


def _columns(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> list[pa.Array[Any]]:
    arrays = []
    for field, values in zip(schema, zip(*rows, strict=True), strict=True):
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"{_WHERE}: column {field.name!r} has a value that {field.type} cannot "
                f"hold: {error}"
            ) from error
    return arrays
