"""Checks that SQL is row-wise and deterministic, so that batching cannot change a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from noskew.errors import TransformError
from noskew.types import Schema, from_arrow

if TYPE_CHECKING:
    from sqlglot import exp

#: Name of the column that carries each row's position through a transform.
ROW = "_row"
#: Functions whose value depends on something else than the row: time, chance, session, place.
FORBIDDEN_FUNCTIONS = frozenset(
    """
    now today current_date current_time current_timestamp current_localtime localtime
    current_localtimestamp localtimestamp get_current_time get_current_timestamp
    transaction_timestamp clock_timestamp statement_timestamp age random rand setseed uuid
    gen_random_uuid uuidv4 uuidv7 nextval currval txid_current current_user current_role
    session_user user
    current_database current_catalog current_schema current_schemas current_setting
    current_query pg_typeof version getenv getvariable read_csv read_csv_auto read_parquet
    read_json read_json_auto read_text read_blob glob parquet_scan sniff_csv row_number query
    query_table generate_series_table stats hash alias write_log
    """.split()
)


def check_transform(sql: str, source_name: str, columns: Schema, what: str) -> Schema:
    """The output columns of a ``SELECT`` over the source, with their types.

    Raises TransformError unless it is one SELECT (CTEs and subqueries in FROM are fine) from
    the source alone, without aggregate, window function, DISTINCT, ORDER BY, LIMIT, set
    operation, join, sampling, subquery expression, or a function that reads time, chance,
    session or files.
    """
    from sqlglot import exp

    tree = _parse(sql, what)
    if not isinstance(tree, exp.Select):
        raise TransformError(f"{what}: expected one SELECT statement, got {_kind(tree)}")
    _refuse(tree, what)
    _check_tables(tree, source_name, what)
    return _describe(tree.sql(dialect="duckdb"), source_name, columns, what)


def check_expression(sql: str, columns: Schema, what: str) -> None:
    """Raise TransformError unless ``sql`` is a row-wise boolean expression over ``columns``."""
    from sqlglot import exp

    tree = _parse(f"SELECT ({sql}) AS keep FROM source_rows", what)
    if not isinstance(tree, exp.Select):
        raise TransformError(f"{what}: expected an expression, got {_kind(tree)}")
    _refuse(tree, what)
    found = _describe(tree.sql(dialect="duckdb"), "source_rows", columns, what)
    if found["keep"].kind != "bool":
        raise TransformError(f"{what}: expected a true/false expression, it is {found['keep']}")


def with_row_numbers(sql: str) -> str:
    """The same SELECT with the column ``_row`` passed through every level of it."""
    from sqlglot import exp, parse_one

    tree = parse_one(sql, dialect="duckdb")
    for select in tree.find_all(exp.Select):
        if select.is_star:  # the star brings it
            continue
        select.select(exp.column(ROW, quoted=True), copy=False)
    return tree.sql(dialect="duckdb")


def _parse(sql: str, what: str) -> exp.Expr:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        trees = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError as error:
        raise TransformError(f"{what}: the SQL cannot be read: {error}") from error
    if len(trees) != 1 or trees[0] is None:
        raise TransformError(f"{what}: expected one SELECT statement, got {len(trees)}")
    return trees[0]


def _refuse(tree: exp.Expr, what: str) -> None:
    """Raise TransformError at the first construct that looks beyond one row."""
    from sqlglot import exp

    reasons: Mapping[type[exp.Expr], str] = {
        exp.AggFunc: "an aggregate looks at many rows; use features=[ns.mean(…)] for that",
        exp.Window: "a window function looks at other rows",
        exp.Distinct: "DISTINCT looks at other rows",
        exp.Order: "ORDER BY has no meaning for single rows",
        exp.Limit: "LIMIT depends on the batch",
        exp.Offset: "OFFSET depends on the batch",
        exp.Group: "GROUP BY looks at many rows",
        exp.Having: "HAVING looks at many rows",
        exp.Qualify: "QUALIFY looks at other rows",
        exp.SetOperation: "set operations combine batches",
        exp.Join: "a join looks at other rows; join features in a service instead",
        exp.TableSample: "sampling depends on chance",
        exp.Exists: "a subquery expression looks at other rows",
        exp.Placeholder: "parameters have no value here",
        exp.Star: "",
    }
    for node in tree.walk():
        for kind, reason in reasons.items():
            if isinstance(node, kind) and reason:
                raise TransformError(
                    f"{what}: {_kind(node)} is refused: {reason}. Transforms are row-wise"
                )
        if isinstance(node, exp.Subquery) and not isinstance(node.parent, (exp.From, exp.CTE)):
            raise TransformError(
                f"{what}: a subquery may stand in FROM only; transforms are row-wise"
            )
        if isinstance(node, exp.In) and node.args.get("query"):
            raise TransformError(f"{what}: IN (SELECT …) looks at other rows")
        name = _function_name(node)
        if name in FORBIDDEN_FUNCTIONS:
            raise TransformError(
                f"{what}: {name}() is refused: its value depends on more than the row"
            )


def _function_name(node: exp.Expr) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    if isinstance(node, exp.Func):
        return node.sql_name().lower()
    if isinstance(node, exp.Column) and not node.table and isinstance(node.this, exp.Identifier):
        # `current_user` and its like are functions although they look like columns.
        name = node.name.lower()
        return name if not node.this.quoted and name.startswith(("current_", "session_")) else ""
    return ""


def _check_tables(tree: exp.Expr, source_name: str, what: str) -> None:
    from sqlglot import exp

    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name != source_name and table.name not in ctes:
            raise TransformError(
                f"{what}: it selects from {table.sql()!r}; a transform selects from its source, "
                f"{source_name!r}, alone"
            )
        if not isinstance(table.this, exp.Identifier) or table.db:
            raise TransformError(f"{what}: {table.sql()!r} is not the source {source_name!r}")


def _describe(sql: str, source_name: str, columns: Schema, what: str) -> Schema:
    """Types of the output, by running the query on no rows."""
    import duckdb

    connection = duckdb.connect(config={"enable_external_access": "false"})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(source_name, columns.arrow.empty_table())
        found = connection.sql(sql).to_arrow_table().schema
    except duckdb.Error as error:
        message = str(error).splitlines()[0]
        raise TransformError(
            f"{what}: DuckDB refuses it: {message}. Columns of {source_name!r}: {columns}"
        ) from error
    finally:
        connection.close()
    if len(set(found.names)) != len(found.names):
        twice = sorted({n for n in found.names if found.names.count(n) > 1})
        raise TransformError(f"{what}: the output has the column {twice[0]!r} twice")
    return Schema({f.name: from_arrow(f.type) for f in found}, where=f"{what}, column")


def _kind(node: exp.Expr) -> str:
    return type(node).__name__.upper()
