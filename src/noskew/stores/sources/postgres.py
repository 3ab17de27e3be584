"""A PostgreSQL query as a batch source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from noskew.errors import ConfigError, InputError, StoreUnavailableError, missing_extra
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
from noskew.types import dtype

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as _error:
    raise missing_extra("psycopg", "postgres", "a PostgreSQL source") from _error

if TYPE_CHECKING:
    from psycopg import Column, ServerCursor

_TIMES = SqlTimes("{}", "CAST(EXTRACT(EPOCH FROM {}) * 1000000 AS bigint)")
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
    numeric(p, s), and arrays of them; cast others in the query. ``column_types``: columns that it
    does not name are left alone, and a numeric without its digits is of the type that it says.
    The password of ``dsn`` appears in no error.
    """

    def __init__(
        self,
        dsn: str,
        sql: str,
        column_types: Mapping[str, pa.DataType | str] | None = None,
    ) -> None:
        self._declared = {n: dtype(kind).to_arrow() for n, kind in (column_types or {}).items()}
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
        self._is_piece = False

    def schema(self) -> pa.Schema:
        with self._cursor() as cursor:
            return self._columns(cursor).schema

    def parts(self) -> list[Part]:
        with self._cursor() as cursor:
            columns = self._columns(cursor)
            digest = ContentDigest(columns.schema)
            rows = 0
            for batch in columns.batches(cursor, _FETCH_ROWS):
                rows += batch.num_rows
                digest.update(batch)
        return [Part(digest.token(), _WHERE, rows)]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        with self._cursor() as cursor:
            own = self._columns(cursor)
            names = own.chosen(columns)
            batches = own.batches(cursor, min(batch_rows, _FETCH_ROWS))
            if not self._is_piece:
                batches = verified(batches, ContentDigest(own.schema), part, _WHERE)
            for batch in batches:
                yield from sliced(batch.select(names), batch_rows)

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self._cursor() as cursor:
            own = self._columns(cursor)
            names = own.chosen(columns)
            batches = own.batches(cursor, max(1, min(rows, _FETCH_ROWS)))
            yield from (batch.select(names) for batch in first_rows(batches, rows))

    def extent(self, cursor: Cursor, below: Sequence[int] = ()) -> Extent:
        asked = self._over(extent_query(self._sql, cursor, below, _TIMES), declared={})
        with asked._cursor() as result:
            batches = asked._columns(result).batches(result, 1)
            return extent_of(pa.Table.from_batches(batches), cursor, _WHERE)

    def between(self, cursor: Cursor, least: int | None, greatest: int) -> PostgresQuery:
        return self._over(rows_between(self._sql, cursor, least, greatest, _TIMES), self._declared)

    def _over(self, sql: str, declared: Mapping[str, pa.DataType]) -> PostgresQuery:
        """Another query on the same server, which is read once."""
        other = PostgresQuery(self._dsn, sql, declared)
        other._is_piece = True
        return other

    def _columns(self, cursor: ServerCursor[Any]) -> _Columns:
        described = cursor.description or []
        names = [column.name for column in described]
        at = considered(names, self._declared, _WHERE)
        kinds = [_arrow_type(described[i], self._declared.get(names[i])) for i in at]
        schema = pa.schema(list(zip([names[i] for i in at], kinds, strict=True)))
        return _Columns(names, at, [_type_name(described[i])[0] for i in at], schema)

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


@dataclass(frozen=True)
class _Columns:
    """The columns of a result that matter: where they are in its rows, and their types.

    ``names`` has those of all columns, ``kinds`` what PostgreSQL calls the types of these.
    """

    names: Sequence[str]
    at: Sequence[int]
    kinds: Sequence[str]
    schema: pa.Schema

    def chosen(self, columns: list[str] | None) -> list[str]:
        return self.schema.names if columns is None else chosen(self.names, columns, _WHERE)

    def batches(self, cursor: ServerCursor[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(batch_rows):
            columns = list(zip(*rows, strict=True))
            given = zip(self.at, self.kinds, self.schema, strict=True)
            arrays = [_array(columns[i], kind, field) for i, kind, field in given]
            # Of no columns, a batch would have no rows.
            yield pa.RecordBatch.from_struct_array(
                pa.StructArray.from_arrays(arrays, fields=list(self.schema))
            )


def _arrow_type(column: Column, declared: pa.DataType | None) -> pa.DataType:
    name, is_array = _type_name(column)
    kind = _ARROW.get(name)
    if name == "numeric":
        kind = _numeric(column, declared, is_array)
    if kind is None:
        advice = "::text, for example"
        if name == "numeric":
            advice = "numeric(p, s) with p ≤ 38; or declare it as decimal(p, s) or float64"
        raise InputError(
            f"{_WHERE}: column {column.name!r} has the type {column.type_display}, which is not "
            f"supported; cast it in the query ({advice})"
        )
    return pa.list_(kind) if is_array else kind


def _type_name(column: Column) -> tuple[str, bool]:
    """What PostgreSQL calls the type, or that of the items, and whether it is an array."""
    info = psycopg.adapters.types.get(column.type_code)
    if info is None:
        return column.type_display, False
    return info.name, column.type_code == info.array_oid


def _numeric(column: Column, declared: pa.DataType | None, is_array: bool) -> pa.DataType | None:
    """A numeric by its digits; without any, by what is declared, which may be rounded."""
    if is_array:
        declared = None if declared is None else _item(declared)
    # A float may be NaN or infinite, as a numeric may and a decimal may not.
    if declared is not None and pa.types.is_floating(declared):
        return declared
    if column.precision is not None and column.precision <= 38 and (column.scale or 0) >= 0:
        return pa.decimal128(column.precision, column.scale or 0)
    if declared is not None and pa.types.is_decimal(declared):
        return declared
    # Made an integer at once, a fraction would be cut off.
    is_whole = declared is not None and (
        pa.types.is_integer(declared) or pa.types.is_timestamp(declared)
    )
    return pa.decimal128(38, 0) if is_whole else None


def _array(values: Sequence[Any], kind: str, field: pa.Field) -> pa.Array[Any]:
    try:
        if kind == "numeric" and pa.types.is_floating(_item(field.type)):
            return _floats(values, field.type)
        return pa.array(values, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{_WHERE}: column {field.name!r} has a value that {field.type} cannot hold: {error}"
        ) from error


def _floats(values: Sequence[Any], kind: pa.DataType) -> pa.Array[Any]:
    """Numerics, or arrays of them, as floats. Raises OverflowError for one out of their range."""
    floats = pa.array([_text(value) for value in values]).cast(kind)
    flat = floats.flatten() if pa.types.is_list(kind) else floats
    numbers = [n for value in values for n in (value if isinstance(value, list) else [value])]
    infinite = sum(n is not None and n.is_infinite() for n in numbers)
    if (pc.sum(pc.is_inf(flat)).as_py() or 0) > infinite:
        raise OverflowError(f"a number is beyond the range of {_item(kind)}")
    return floats


def _item(kind: pa.DataType) -> pa.DataType:
    return getattr(kind, "value_type", kind)


def _text(value: Any) -> Any:
    """A numeric, or an array of them, as the text that Arrow rounds to a float at once."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    return None if value is None else str(value)
