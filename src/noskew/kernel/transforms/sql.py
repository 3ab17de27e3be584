"""Run a SQL transform, or a source's filter, on a batch with DuckDB."""

from __future__ import annotations

import threading

import duckdb
import numpy as np
import pyarrow as pa

from noskew.definitions.sql_check import ROW, with_row_numbers
from noskew.errors import TransformError

_SOURCE = "source_rows"


class SqlEngine:
    """One compiled SELECT. Threads each get a connection of their own.

    The answer has the query's columns and ``_row``, the position in the batch of the row it
    was made from; rows come in that order.
    """

    def __init__(self, text: str, table: str, what: str) -> None:
        self._sql = with_row_numbers(text)
        self._table = table
        self._what = what
        self._local = threading.local()

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if not hasattr(self._local, "connection"):
            # External access is off: a transform reads its source and nothing else.
            made = duckdb.connect(config={"enable_external_access": "false", "threads": 2})
            made.execute("SET TimeZone = 'UTC'")
            self._local.connection = made
        return self._local.connection

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.append_column(ROW, pa.array(np.arange(len(batch))))
        connection = self._connection
        connection.register(self._table, rows)
        try:
            made = connection.sql(self._sql).to_arrow_table()
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            raise TransformError(f"{self._what}: DuckDB failed on a batch: {message}") from error
        finally:
            connection.unregister(self._table)
        return made.sort_by(ROW)


class FilterEngine:
    """A source's filter: which rows of a batch are events."""

    def __init__(self, expression: str, what: str) -> None:
        self._select = SqlEngine(
            f"SELECT 1 AS keep FROM {_SOURCE} WHERE ({expression})", _SOURCE, what
        )

    def __call__(self, batch: pa.Table) -> pa.Table:
        return batch.take(self._select(batch).column(ROW))
