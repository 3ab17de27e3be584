"""Dialects that sqlglot translates; the results were not compared with their own engines."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import ErrorLevel, exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from noskew.errors import TransformError
from noskew.translation.typed import duckdb_type
from noskew.types import Schema

_DUCKDB = "duckdb"


@lru_cache(maxsize=1_024)
def transpile(text: str, dialect: str, source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over a source in DuckDB's dialect. Raises TransformError."""
    # Names are matched to those of the source without regard to case, and otherwise kept.
    reader = f"{dialect}, normalization_strategy=case_sensitive"
    schema = MappingSchema(
        {source_name: {n: duckdb_type(t) for n, t in columns.items()}},
        dialect=_DUCKDB,
        normalize=False,
    )
    try:
        statements = [s for s in parse(text, read=reader) if s is not None]
        if len(statements) != 1:
            raise TransformError(f"{what}: expected one SELECT statement, got {len(statements)}")
        tree = _with_names_of(statements[0], source_name, columns)
        # What is not there, DuckDB reports, as for text in its own dialect.
        tree = qualify(tree, schema=schema, dialect=reader, validate_qualify_columns=False)
        tree = annotate_types(tree, schema=schema, dialect=reader)
        return _with_exact_division(tree).sql(_DUCKDB, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        message = str(error).splitlines()[0]
        raise TransformError(
            f"{what}: it cannot be translated from {dialect} to DuckDB's SQL, which runs it: "
            f"{message}. Columns of {source_name!r}: {columns}"
        ) from error


def _with_names_of(tree: exp.Expr, source_name: str, columns: Schema) -> exp.Expr:
    """The statement with the source and its columns spelled as they are defined."""
    spelled = {name.lower(): name for name in columns}
    for column in tree.find_all(exp.Column):
        name = spelled.get(column.name.lower())
        if name is not None:
            column.this.set("this", name)
    for identifier in tree.find_all(exp.Identifier):
        is_table = isinstance(identifier.parent, exp.Table) or identifier.arg_key == "table"
        if is_table and identifier.name.lower() == source_name.lower():
            identifier.set("this", source_name)
    return tree


def _with_exact_division(tree: exp.Expr) -> exp.Expr:
    """Division of integers by integers, where it gives integers, without a detour by floats.

    The translator writes ``CAST(TRUNC(a / b) AS BIGINT)``, which is wrong beyond 2^53.
    """

    def exact(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div) and node.args.get("typed"):
            sides = (node.this, node.expression)
            if all(s.is_type(*exp.DataType.INTEGER_TYPES) for s in sides):
                return exp.IntDiv(this=exp.paren(node.this), expression=exp.paren(node.expression))
        return node

    return tree.transform(exact)
