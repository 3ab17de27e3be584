"""SQL as it is written: parsers that give no meaning to names of functions.

sqlglot's own parsers turn each function into what they take for its equivalent, and lose some of
what was asked for (formats, defaults, the origin of an index). Here ``to_date(s, 'yyyy')`` stays
a call of ``to_date`` with two arguments; what it means is written in our tables.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.spark import Spark

#: Functions with a grammar of their own: ``extract(year FROM at)``.
_GRAMMAR = frozenset("CAST TRY_CAST EXTRACT TRIM SUBSTRING SUBSTR POSITION OVERLAY".split())


def _kept(parsers: dict[str, Any], names: frozenset[str] = _GRAMMAR) -> dict[str, Any]:
    return {name: parser for name, parser in parsers.items() if name in names}


class PlainSpark(Spark):
    """Spark's syntax."""

    class Parser(Spark.Parser):  # type: ignore[valid-type, misc]
        """Without functions."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = _kept(Spark.Parser.FUNCTION_PARSERS)
        NO_PAREN_FUNCTION_PARSERS = _kept(
            Spark.Parser.NO_PAREN_FUNCTION_PARSERS, frozenset({"CASE"})
        )


class PlainPostgres(Postgres):
    """PostgreSQL's syntax."""

    class Parser(Postgres.Parser):  # type: ignore[valid-type, misc]
        """Without functions."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = _kept(Postgres.Parser.FUNCTION_PARSERS)
        NO_PAREN_FUNCTION_PARSERS = _kept(
            Postgres.Parser.NO_PAREN_FUNCTION_PARSERS, frozenset({"CASE", "ANY"})
        )


class PlainDuckDB(DuckDB):
    """DuckDB's syntax."""

    class Parser(DuckDB.Parser):  # type: ignore[valid-type, misc]
        """Without functions."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = _kept(DuckDB.Parser.FUNCTION_PARSERS, frozenset({"CAST", "TRY_CAST"}))
        NO_PAREN_FUNCTION_PARSERS = _kept(
            DuckDB.Parser.NO_PAREN_FUNCTION_PARSERS, frozenset({"CASE"})
        )
