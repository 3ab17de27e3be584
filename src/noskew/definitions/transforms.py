"""Transforms: how the rows of a source become the rows that features are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from noskew.definitions.engines import installed_engine
from noskew.definitions.functions import FunctionRef, function_ref
from noskew.definitions.native import check_native, check_pushable
from noskew.definitions.sql_check import check_transform
from noskew.errors import DefinitionError, TransformError
from noskew.translation.dialects import DUCKDB, check_dialect, to_duckdb, unchecked_note
from noskew.translation.pyspark.functions import to_sql
from noskew.types import Schema

if TYPE_CHECKING:
    from noskew.definitions.source import Source


@dataclass(frozen=True)
class SqlTransform:
    """A row-wise SELECT over the source, run by DuckDB.

    ``text`` is what its author wrote, in ``dialect``; ``statement`` is what runs, in DuckDB's
    dialect: the same text, or its translation, made when a view is defined. ``native``: where the
    rows are in an engine of that dialect, it runs the text itself.
    """

    text: str
    engine: str = ""
    dialect: str = DUCKDB
    statement: str = ""
    native: bool = False

    def __post_init__(self) -> None:
        if not self.engine:
            object.__setattr__(self, "engine", installed_engine("sql"))
        if self.dialect == DUCKDB:
            object.__setattr__(self, "statement", self.text)

    def bound(self, source: Source, what: str) -> Self:
        """The transform of a view of ``source``, with the statement that runs."""
        if self.native:
            check_pushable(self.dialect, source, what)
        if self.statement:
            return self
        statement = to_duckdb(self.text, self.dialect, source.name, source.schema, what)
        return replace(self, statement=statement)

    def output_schema(self, source: Source, what: str) -> Schema:
        """Columns that come out. Raises TransformError if the SQL is not row-wise."""
        try:
            return check_transform(self.statement, source.name, source.schema, what)
        except TransformError as error:
            if self.dialect != DUCKDB:
                error.add_note(f"translated from {self.dialect}, it reads:\n{self.statement}")
            raise

    @property
    def title(self) -> str:
        """Its kind, for people."""
        native = ", native" if self.native else unchecked_note(self.dialect)
        return "SQL" if self.dialect == DUCKDB else f"SQL ({self.dialect}{native})"

    def identity(self) -> dict[str, Any]:
        """Its text, what runs, and the engine that gives it its meaning."""
        translated = {"dialect": self.dialect, "statement": self.statement}
        return {
            "kind": "sql",
            "text": self.text,
            "engine": self.engine,
            **(translated if self.dialect != DUCKDB else {}),
            **({"native": True} if self.native else {}),
        }


@dataclass(frozen=True)
class PySparkTransform(SqlTransform):
    """A function on a PySpark DataFrame, as the SELECT that it describes, run by DuckDB.

    ``text`` is the function's import path. Its source is no part of the definition: one that
    describes the same statement gives the same values.
    """

    dialect: str = "pyspark"
    call: Callable[[Any], Any] | None = field(default=None, compare=False, repr=False)

    def bound(self, source: Source, what: str) -> Self:
        """The transform of a view of ``source``, with the statement that the function describes."""
        if self.statement:
            return self
        assert self.call is not None
        what = f"{what}: {self.text}"
        statement = to_sql(self.call, source.name, source.schema, what)
        return replace(self, statement=statement, call=None)

    @property
    def title(self) -> str:
        """Its kind, for people."""
        return f"PySpark {self.text}"

    def identity(self) -> dict[str, Any]:
        """What runs, the engine that gives it its meaning, and who described it."""
        return {
            "kind": "pyspark",
            "function": self.text,
            "statement": self.statement,
            "engine": self.engine,
        }


@dataclass(frozen=True)
class FunctionTransform:
    """A Python function from a frame to a frame; ``kind`` is ``pandas``, ``polars`` or ``arrow``.

    The function gets the source's columns and returns the columns of ``schema``. pandas: the
    index says which row each output row comes from, so filtering is fine. Polars: the column
    ``_row`` says it. Arrow, and Polars without ``_row``: one output row for each input row, in
    order.
    """

    kind: str
    function: FunctionRef
    schema: Schema
    engine: str = ""

    def __post_init__(self) -> None:
        if not self.engine:
            object.__setattr__(self, "engine", installed_engine(self.kind))

    @cached_property
    def call(self) -> Callable[[Any], Any]:
        """The function itself, imported once."""
        return self.function.load()

    def bound(self, source: Source, what: str) -> Self:
        """The transform of a view of ``source``: itself."""
        del source, what
        return self

    def output_schema(self, source: Source, what: str) -> Schema:
        """Columns that come out, as declared."""
        del source, what
        return self.schema

    @property
    def title(self) -> str:
        """Its kind, for people."""
        return f"{self.engine} {self.function.path}"

    def identity(self) -> dict[str, Any]:
        """The function, its source, what it declares, and the engine it runs on."""
        return {
            "kind": self.kind,
            "function": self.function.path,
            "digest": self.function.digest,
            "schema": self.schema.pairs(),
            "engine": self.engine,
        }


Transform = SqlTransform | FunctionTransform


def sql(
    text: str, *, dialect: str = DUCKDB, native: bool = False, unchecked: bool = False
) -> SqlTransform:
    """A row-wise, deterministic SELECT over the source, run by DuckDB.

    ``ns.sql("SELECT origin, departed_at, dep_delay > 15 AS late FROM departures")``. Refused:
    aggregates, window functions, joins, DISTINCT, ORDER BY, LIMIT, and functions of time or
    chance. Key columns and the event time are carried along where the SELECT leaves them out.

    ``dialect``: any that sqlglot reads (``"spark"``, ``"postgres"``, ``"bigquery"``, …). The text
    is translated to DuckDB's dialect when a view is defined; ``noskew show`` prints what runs.

    ``unchecked``: needed for dialects other than DuckDB's, Spark's and PostgreSQL's. They are
    translated, too, but nobody compared the values: a function or cast may keep DuckDB's meaning.

    ``native``: PostgreSQL (``dialect="postgres"``) runs the SELECT itself on rows of an
    ``ns.Postgres`` query, and Spark (``dialect="spark"``) on a Spark DataFrame. Streams, and rows
    from anywhere else, are computed by DuckDB as always; a certificate compares both engines.

    Raises TransformError for an unknown or unchecked dialect, or one without an engine; a view, for
    what cannot be translated.
    """
    if not isinstance(text, str) or not text.strip():
        raise TransformError(f"ns.sql expects a SELECT statement, got {text!r}")
    if native:
        check_native(dialect, "ns.sql")
    dialect = check_dialect(dialect, "ns.sql", unchecked=unchecked)
    return SqlTransform(text.strip(), dialect=dialect, native=native)


def pyspark(function: Callable[[Any], Any]) -> PySparkTransform:
    """A function from DataFrame to DataFrame in the PySpark API, run without Spark.

    It is called when a view is defined, on a DataFrame with the source's columns and no data,
    and describes a query: that is what runs, on DuckDB, in every path. It must be row-wise, as
    ``ns.sql``. A user-defined function (``udf``), ``collect``, ``count`` and the like are refused.
    Column types come from the query. Needs the extra ``pyspark``, when a view is defined only.
    """
    path = function_ref(function, "ns.pyspark").path
    return PySparkTransform(path, installed_engine("pyspark"), call=function)


def pandas(function: Callable[[Any], Any], *, schema: Mapping[str, Any]) -> FunctionTransform:
    """A function from DataFrame to DataFrame; ``schema`` declares its output columns.

    It must be row-wise: the output of a row may depend on that row alone. Integers and bools
    arrive as pandas' types that hold nulls (``Int64``, ``boolean``), whether there are any or not.
    """
    return _function("pandas", function, schema)


def polars(function: Callable[[Any], Any], *, schema: Mapping[str, Any]) -> FunctionTransform:
    """A function from ``polars.DataFrame`` to DataFrame or LazyFrame, row-wise.

    ``schema`` declares its output columns. The frame has one column more, ``_row``, which says
    which row is which: keep it in the output (``filter`` and ``with_columns`` do by themselves) if
    rows are left out. An output without it has one row for each input row, in order.
    """
    return _function("polars", function, schema)


def arrow(function: Callable[[Any], Any], *, schema: Mapping[str, Any]) -> FunctionTransform:
    """A function from ``pyarrow.Table`` to ``pyarrow.Table`` of as many rows, row-wise."""
    return _function("arrow", function, schema)


def _function(
    engine: str, function: Callable[[Any], Any], schema: Mapping[str, Any]
) -> FunctionTransform:
    transform = FunctionTransform(
        engine,
        function_ref(function, f"ns.{engine}"),
        Schema(schema, where=f"ns.{engine} schema, column"),
    )
    if not transform.schema:
        raise DefinitionError(f"ns.{engine}: declare the output columns in schema={{…}}")
    return transform


def from_dict(data: Mapping[str, Any] | None) -> Transform | None:
    """The inverse of ``identity()``."""
    if data is None:
        return None
    parts = {name: value for name, value in data.items() if name != "kind"}
    if data["kind"] == "sql":
        return SqlTransform(**parts)
    if data["kind"] == "pyspark":
        return PySparkTransform(parts.pop("function"), **parts)
    reference = FunctionRef(data["function"], data["digest"])
    schema = Schema(dict(data["schema"]))
    return FunctionTransform(data["kind"], reference, schema, data["engine"])
