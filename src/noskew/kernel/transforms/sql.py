"""Run a SQL transform, or a source's filter, on a batch with DuckDB."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from noskew.definitions.sql_check import FILTERED, filter_statement
from noskew.definitions.sql_engine import ROW, with_row_numbers
from noskew.duckdb_session import isolated_session
from noskew.errors import TransformError


class SqlEngine:
    """One SELECT, checked before, on batches. Safe to share by threads.

    The answer has the query's columns and ``_row``, the position in the batch of the row it
    was made from; rows come in that order.
    """

    def __init__(self, text: str, table: str, what: str) -> None:
        self._sql = with_row_numbers(text)
        self._table = table
        self._what = what

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.append_column(ROW, pa.array(np.arange(len(batch))))
        session = isolated_session(threads=2)
        session.register(self._table, rows)
        try:
            answer = session.sql(self._sql).to_arrow_table()
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            raise TransformError(f"{self._what}: DuckDB failed on a batch: {message}") from error
        finally:
            session.unregister(self._table)
        # It keeps the order as a rule; the rule is not its promise for every plan.
        return answer if _ascends(answer.column(ROW)) else answer.sort_by(ROW)


def _ascends(row: pa.ChunkedArray) -> bool:
    numbers = row.to_numpy()
    return bool((numbers[1:] > numbers[:-1]).all())


class FilterEngine:
    """A source's filter: the positions of the rows of a batch that are events, ascending."""

    def __init__(self, expression: str, what: str) -> None:
        self._select = SqlEngine(filter_statement(expression), FILTERED, what)

    def __call__(self, batch: pa.Table) -> pa.ChunkedArray:
        return self._select(batch).column(ROW)
