"""SQL as DuckDB reads it: parse a SELECT, carry row numbers through it, say what it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from noskew.definitions.sized_cache import SizedCache
from noskew.duckdb_session import isolated_session
from noskew.errors import DefinitionError, TransformError
from noskew.types import Schema, from_arrow

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: Name of the column that carries each row's position through a transform.
ROW = "_row"


def with_row_numbers(sql: str) -> str:
    """The same SELECT with the column ``_row`` passed through every level of it.

    Meant for statements that :func:`noskew.definitions.sql_check.check_transform` accepts.
    """
    numbered = _NUMBERED.get(sql)
    return numbered if numbered is not None else _numbered(sql, parse_select(sql, "transform"))


#: SELECTs with row numbers, by the text they were made of.
_NUMBERED: SizedCache[str] = SizedCache(4 << 20)
#: DuckDB's trees as JSON, ten times as long as the text: for one that is soon parsed again.
_TREES: SizedCache[str] = SizedCache(1 << 20)


def _session() -> DuckDBPyConnection:
    return isolated_session(threads=1)


def _serialized(sql: str) -> str:
    tree = _TREES.get(sql)
    if tree is None:
        (tree,) = one_row("SELECT json_serialize_sql(?)", sql)
        _TREES.put(sql, str(tree), len(sql) + len(tree))
    return str(tree)


def parse_select(sql: str, what: str) -> dict[str, Any]:
    """The one SELECT that a text is, as DuckDB's tree."""
    text = _serialized(sql)
    document = json.loads(text)
    if document["error"]:
        message = str(document["error_message"]).splitlines()[0]
        if document["error_type"] == "not implemented":
            message = "expected one SELECT statement"
        raise TransformError(f"{what}: the SQL is refused: {message}")
    if len(document["statements"]) != 1:
        count = len(document["statements"])
        raise TransformError(f"{what}: expected one SELECT statement, got {count}")
    if ROW in text.lower() and _mentions_row(document):
        raise TransformError(f"{what}: the name {ROW!r} is reserved")
    node: dict[str, Any] = document["statements"][0]["node"]
    return node


def bound_plan(sql: str, columns: Schema, what: str) -> dict[str, Any]:
    """A SELECT from a table called ``inputs`` as DuckDB binds it: casts and types explicit.

    Raises TransformError for what DuckDB refuses.
    """
    document = json.loads(_bound_plan(sql, columns))
    if document["error"]:
        message = str(document["error_message"]).splitlines()[0]
        raise TransformError(f"{what}: DuckDB refuses it: {message}. Inputs: {columns}")
    plan: dict[str, Any] = document["plans"][0]
    return plan


def _bound_plan(sql: str, columns: Schema) -> str:
    session = _session()
    session.register("_columns", columns.arrow.empty_table())
    try:
        # Only a table that is in a catalog can be part of a plan that is written down.
        session.execute("CREATE OR REPLACE TEMP TABLE inputs AS FROM _columns")
        ((plan,),) = session.execute(
            "SELECT json_serialize_plan(?, optimize := false)", [sql]
        ).fetchall()
    finally:
        session.unregister("_columns")
        session.execute("DROP TABLE IF EXISTS temp.inputs")
    # DuckDB writes NaN as no reader of JSON knows it; inside a text the quotes were escaped.
    return _NAN.sub('"value":NaN}', str(plan))


_NAN = re.compile('"value":-?NAN}')


def one_row(sql: str, *parameters: Any) -> tuple[Any, ...]:
    """The only row of a query of constants. Raises duckdb.Error."""
    (row,) = _session().execute(sql, list(parameters)).fetchall()
    return tuple(row)


def _mentions_row(tree: object) -> bool:
    if isinstance(tree, Mapping):
        return any(_mentions_row(v) for v in tree.values())
    if isinstance(tree, list):
        return any(_mentions_row(v) for v in tree)
    return isinstance(tree, str) and tree.lower() == ROW


def _numbered(sql: str, tree: dict[str, Any]) -> str:
    _add_row(tree)
    statement = {"node": tree, "named_param_map": []}
    document = json.dumps({"error": False, "statements": [statement]})
    (numbered,) = one_row("SELECT json_deserialize_sql(?::JSON)", document)
    _NUMBERED.put(sql, str(numbered), len(sql) + len(numbered))
    return str(numbered)


def _add_row(node: Any) -> None:
    """Put ``_row`` into every SELECT list that has no star to bring it."""
    if isinstance(node, dict):
        for value in list(node.values()):
            _add_row(value)
        if node.get("type") == "SELECT_NODE" and not any(
            item["class"] == "STAR" for item in node["select_list"]
        ):
            row = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [ROW]}
            node["select_list"].append(row)
    elif isinstance(node, list):
        for value in node:
            _add_row(value)


def output_columns(
    sql: str, tree: dict[str, Any], source_name: str, columns: Schema, what: str
) -> Schema:
    """Names and types of the output, of the statement as it will run.

    ``tree``: of ``sql``, from :func:`parse_select`; it is changed.
    """
    import duckdb

    try:
        described = _describe(_numbered(sql, tree), source_name, columns)
    except duckdb.Error as error:
        message = str(error).splitlines()[0]
        raise TransformError(
            f"{what}: DuckDB refuses it: {message}. Columns of {source_name!r}: {columns}"
        ) from error
    names = [name for name, _ in described]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise TransformError(f"{what}: the output has the column {twice[0]!r} twice")
    if ROW not in names:
        raise TransformError(f"{what}: its rows cannot be traced to those of {source_name!r}")
    kinds = {}
    for name, kind in described:
        try:
            kinds[name] = None if name == ROW else from_arrow(kind)
        except DefinitionError as error:
            raise TransformError(f"{what}, column {name!r}: {error}") from error
    del kinds[ROW]
    return Schema(kinds, where=f"{what}, column")


def _describe(sql: str, source_name: str, columns: Schema) -> tuple[tuple[str, Any], ...]:
    """Names and Arrow types of the output, by running the query on no rows."""
    session = _session()
    session.register(source_name, _no_rows(columns))
    try:
        output = session.sql(sql).to_arrow_table().schema
    finally:
        session.unregister(source_name)
    return tuple((field.name, field.type) for field in output)


@lru_cache(maxsize=64)
def _no_rows(columns: Schema) -> pa.Table:
    """A source's table without rows; its views are usually defined one after another."""
    import pyarrow as pa

    return columns.arrow.append(pa.field(ROW, pa.int64())).empty_table()
