"""Transforms: how the rows of a source become the rows that features are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from noskew.definitions.engines import installed_engine
from noskew.definitions.functions import FunctionRef, function_ref
from noskew.definitions.sql_check import check_transform
from noskew.errors import DefinitionError, TransformError
from noskew.types import Schema

if TYPE_CHECKING:
    from noskew.definitions.source import Source


@dataclass(frozen=True)
class SqlTransform:
    """A row-wise SELECT over the source, run by DuckDB."""

    text: str
    engine: str = ""

    def __post_init__(self) -> None:
        if not self.engine:
            object.__setattr__(self, "engine", installed_engine("sql"))

    def output_schema(self, source: Source, what: str) -> Schema:
        """Columns that come out. Raises TransformError if the SQL is not row-wise."""
        return check_transform(self.text, source.name, source.schema, what)

    def identity(self) -> dict[str, Any]:
        """Its text, and the engine that gives it its meaning."""
        return {"kind": "sql", "text": self.text, "engine": self.engine}


@dataclass(frozen=True)
class FunctionTransform:
    """A Python function from a frame to a frame; ``kind`` is ``pandas`` or ``arrow``.

    The function gets the source's columns and returns the columns of ``schema``. pandas: the
    index says which row each output row comes from, so filtering is fine. Arrow: one output
    row for each input row, in order.
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

    def output_schema(self, source: Source, what: str) -> Schema:
        """Columns that come out, as declared."""
        del source, what
        return self.schema

    def identity(self) -> dict[str, Any]:
        """The function, its source, what it declares, and the engine it runs on."""
        return {
            "kind": self.kind,
            "function": self.function.path,
            "digest": self.function.digest,
            "schema": list(self.schema.texts().items()),
            "engine": self.engine,
        }


Transform = SqlTransform | FunctionTransform


def sql(text: str) -> SqlTransform:
    """A row-wise, deterministic SELECT over the source, in DuckDB's dialect.

    ``ns.sql("SELECT origin, departed_at, dep_delay > 15 AS late FROM departures")``. Refused:
    aggregates, window functions, joins, DISTINCT, ORDER BY, LIMIT, and functions of time or
    chance. Key columns and the event time are carried along where the SELECT leaves them out.
    """
    if not isinstance(text, str) or not text.strip():
        raise TransformError(f"ns.sql expects a SELECT statement, got {text!r}")
    return SqlTransform(text.strip())


def pandas(function: Callable[[Any], Any], *, schema: Mapping[str, Any]) -> FunctionTransform:
    """A function from DataFrame to DataFrame; ``schema`` declares its output columns.

    It must be row-wise: the output of a row may depend on that row alone. Integers and bools
    arrive as pandas' types that hold nulls (``Int64``, ``boolean``), whether there are any or not.
    """
    return _function("pandas", function, schema)


def arrow(function: Callable[[Any], Any], *, schema: Mapping[str, Any]) -> FunctionTransform:
    """A function from ``pyarrow.Table`` to ``pyarrow.Table`` of as many rows, row-wise."""
    return _function("arrow", function, schema)


def _function(
    engine: str, function: Callable[[Any], Any], schema: Mapping[str, Any]
) -> FunctionTransform:
    made = FunctionTransform(
        engine,
        function_ref(function, f"ns.{engine}"),
        Schema(schema, where=f"ns.{engine} schema, column"),
    )
    if not made.schema:
        raise DefinitionError(f"ns.{engine}: declare the output columns in schema={{…}}")
    return made


def from_dict(data: Mapping[str, Any] | None) -> Transform | None:
    """The inverse of ``identity()``."""
    if data is None:
        return None
    if data["kind"] == "sql":
        return SqlTransform(data["text"], data["engine"])
    reference = FunctionRef(data["function"], data["digest"])
    schema = Schema(dict(data["schema"]))
    return FunctionTransform(data["kind"], reference, schema, data["engine"])
