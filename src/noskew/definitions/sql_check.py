"""Checks that SQL is row-wise and deterministic, so that batching cannot change a value.

The check reads DuckDB's own parse tree of the statement, and the statement that runs is written
from the same tree, so both mean the same. The lists say what is allowed: anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from noskew.definitions.sized_cache import SizedCache
from noskew.definitions.sql_engine import output_columns, parse_select
from noskew.definitions.sql_functions import FORBIDDEN, VALUE_FUNCTIONS, why_not
from noskew.errors import TransformError
from noskew.types import Schema

#: What stands for the source in the filter of a source.
FILTERED = "source_rows"

#: Outputs of statements that were accepted, by statement, source and columns: the same definition
#: is made again for each plan, apply, certificate and reload.
_CHECKED: SizedCache[Schema] = SizedCache(8 << 20)
#: Filters that were accepted.
_FILTERS: SizedCache[bool] = SizedCache(1 << 20)
#: About the bytes of a column of a schema, and of an entry.
_A_COLUMN = 300

SqlNode = Mapping[str, Any]
#: Classes of expressions that look at one row.
_ROW_WISE = frozenset(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA
    LAMBDA_REF OPERATOR STAR TYPE
    """.split()
)
_REASONS: Mapping[str, str] = {
    "WINDOW": "a window function looks at other rows",
    "SUBQUERY": "a subquery may stand in FROM only",
    "PARAMETER": "parameters have no value here",
    "ORDER_MODIFIER": "ORDER BY has no meaning for single rows",
    "LIMIT_MODIFIER": "LIMIT depends on the batch",
    "LIMIT_PERCENT_MODIFIER": "LIMIT depends on the batch",
    "DISTINCT_MODIFIER": "DISTINCT looks at other rows",
    "SET_OPERATION_NODE": "set operations combine batches",
    "RECURSIVE_CTE_NODE": "recursion looks at other rows",
    "JOIN": "a join looks at other rows; join features in a service instead",
    "EXPRESSION_LIST": "VALUES is not the source",
    "EMPTY": "it selects from nothing",
    "PIVOT": "PIVOT looks at other rows",
    "TABLE_FUNCTION": "a table function is not the source",
    "SHOW_REF": "it is no SELECT from the source",
    "GROUPING_FUNCTION": "GROUP BY looks at many rows",
}


def check_transform(sql: str, source_name: str, columns: Schema, what: str) -> Schema:
    """The output columns of a ``SELECT`` over the source, with their types.

    Raises TransformError unless it is one SELECT (CTEs and subqueries in FROM are fine) from
    the source alone that makes at most one row of each: no aggregate, window function, DISTINCT,
    ORDER BY, LIMIT, set operation, join, sampling, unnesting, subquery expression, or function
    that reads time, chance, session or files.
    """
    key = (sql, source_name, columns)
    output = _CHECKED.get(key)
    if output is None:
        _check_names(columns, what)
        tree = parse_select(sql, what)
        _Check(source_name, columns, what).select(tree, frozenset())
        output = output_columns(sql, tree, source_name, columns, what)
        remember_transform(sql, source_name, columns, output)
    return output


def remember_transform(sql: str, source_name: str, columns: Schema, output: Schema) -> None:
    """Have :func:`check_transform` give ``output`` for a SELECT that was checked before."""
    _CHECKED.put((sql, source_name, columns), output, len(sql) + _A_COLUMN * (1 + len(output)))


def check_expression(sql: str, columns: Schema, what: str) -> None:
    """Raise TransformError unless ``sql`` is a row-wise boolean expression over ``columns``."""
    key = (sql, columns)
    if _FILTERS.get(key):
        return
    _check_names(columns, what)
    select = f"SELECT (\n{sql}\n) AS keep FROM {FILTERED}"
    tree = parse_select(select, what)
    _Check(FILTERED, columns, what).select(tree, frozenset())
    if len(tree["select_list"]) != 1:
        raise TransformError(f"{what}: expected one expression, got {len(tree['select_list'])}")
    # As it will run: what closes the parenthesis early may mean something else there.
    _Check(FILTERED, columns, what).select(parse_select(filter_statement(sql), what), frozenset())
    output = output_columns(select, tree, FILTERED, columns, what)
    if output["keep"].kind != "bool":
        raise TransformError(f"{what}: expected a true/false expression, it is {output['keep']}")
    _FILTERS.put(key, True, len(sql) + _A_COLUMN)


def filter_statement(expression: str) -> str:
    """The SELECT that keeps the rows of :data:`FILTERED` for which an expression is true."""
    return f"SELECT 1 AS keep FROM {FILTERED} WHERE (\n{expression}\n)"


def _check_names(columns: Iterable[str], what: str) -> None:
    """Raise TransformError for names that SQL takes for one.

    DuckDB reads the first of them wherever any is named, also between quotes, and gives others a
    name that may be that of a third column.
    """
    by_name: dict[str, str] = {}
    for name in columns:
        other = by_name.setdefault(name.lower(), name)
        if other != name:
            raise TransformError(
                f"{what}: SQL takes the columns {other!r} and {name!r} for one, since they differ "
                f"in nothing but capital letters; give one of them another name. A source does so "
                f"by columns={{'another_name': {name!r}}}, and a feature by name='another_name'"
            )


# --------------------------------------------------------------------------------- the rules


class _Check:
    """Raises TransformError at the first construct that looks beyond one row of the source."""

    def __init__(self, source_name: str, columns: Schema, what: str) -> None:
        self._source, self._columns, self._what = source_name.lower(), columns, what
        self._nested = False

    def select(self, node: SqlNode, ctes: frozenset[str]) -> None:
        if node["type"] != "SELECT_NODE":
            self._refuse(node["type"])
        self._only_a_plain_select(node)
        for entry in node["cte_map"]["map"]:
            self._inner_select(entry["value"], ctes)
            ctes |= {entry["key"].lower()}
        self._table(node["from_table"], ctes)
        table = _alias(node["from_table"])
        for expression in [*node["select_list"], node["where_clause"]]:
            if expression and expression["class"] == "STAR":
                self._star(expression, table)
                self._expression(expression["replace_list"], table)
            else:
                self._expression(expression, table)

    def _inner_select(self, value: SqlNode, ctes: frozenset[str]) -> None:
        """Of a CTE or a subquery, whose columns others name."""
        self._nested = True
        node = _inner(value)
        self.select(node, ctes)
        _check_names(filter(None, map(_output_name, node["select_list"])), self._what)

    def _only_a_plain_select(self, node: SqlNode) -> None:
        for modifier in node["modifiers"]:
            self._refuse(modifier["type"])
        if node["group_expressions"] or node["group_sets"] or node["having"]:
            self._refuse("GROUP", "GROUP BY looks at many rows")
        if node["aggregate_handling"] != "STANDARD_HANDLING":
            self._refuse("GROUP", "GROUP BY looks at many rows")
        if node["qualify"]:
            self._refuse("QUALIFY", "it looks at other rows")
        if node["sample"]:
            self._refuse("SAMPLE", "sampling depends on chance")

    def _table(self, table: SqlNode, ctes: frozenset[str]) -> None:
        if table["sample"]:
            self._refuse("SAMPLE", "sampling depends on chance")
        if table["type"] == "SUBQUERY":
            self._inner_select(table["subquery"], ctes)
        elif table["type"] != "BASE_TABLE":
            self._refuse(table["type"])
        else:
            name = table["table_name"]
            qualified = table["schema_name"] or table["catalog_name"] or table.get("at_clause")
            if qualified or name.lower() not in ctes | {self._source}:
                raise TransformError(
                    f"{self._what}: it selects from {name!r}; a transform selects from its "
                    f"source, {self._source!r}, alone"
                )

    def _expression(self, root: object, table: str) -> None:
        for node in _nodes(root):
            kind = node["class"]
            if kind not in _ROW_WISE:
                self._refuse(kind)
            if node["type"] in _REASONS:
                self._refuse(node["type"])
            if kind == "FUNCTION":
                self._function(node)
            elif kind == "COLUMN_REF":
                self._column(node["column_names"], table)
            elif kind == "STAR":
                self._refuse("*", "inside an expression it means all columns of the engine's table")

    def _function(self, node: SqlNode) -> None:
        name = node["function_name"].lower()
        if reason := why_not(name):
            self._refuse(f"{name}()", reason)
        if "aggr" in name:
            constants = [str(n.get("value", n.get("literal"))) for n in _nodes(node, "CONSTANT")]
            if any("reservoir" in constant.lower() for constant in constants):
                self._refuse(f"{name}() with sampling", FORBIDDEN)

    def _column(self, names: list[str], table: str) -> None:
        # `current_date` and its like are functions although they look like columns, and the
        # table's own name is its whole row, unless there is a column of that name; with several
        # levels, one of them may lack it.
        name = names[0].lower()
        if len(names) == 1 and (name in VALUE_FUNCTIONS or name == table):
            known = name in {c.lower() for c in self._columns}
            if self._nested or not known:
                hint = f"; for the column write {table or 'table'}.{name}" if known else ""
                self._refuse(name, FORBIDDEN + hint)

    def _star(self, node: SqlNode, table: str) -> None:
        if node["columns"] or node["expr"]:
            self._refuse("COLUMNS(…)", "name the columns, or write *")
        if node["relation_name"] and node["relation_name"].lower() != table:
            self._refuse(f"{node['relation_name']}.*", f"the table is called {table!r}")

    def _refuse(self, construct: str, reason: str = "") -> None:
        reason = reason or _REASONS.get(construct, "it is not known to look at one row only")
        name = construct.removesuffix("_MODIFIER").removesuffix("_NODE").replace("_", " ")
        name = name if construct.isupper() else construct
        end = ". Transforms are row-wise" if construct.isupper() or "many rows" in reason else ""
        raise TransformError(f"{self._what}: {name} is refused: {reason}{end}")


def _nodes(root: object, kind: str | None = None) -> Iterator[SqlNode]:
    """Every expression in an expression, itself included, in the order of the text."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "class" in part and (kind is None or part["class"] == kind):
                yield part
            waiting += reversed(part.values())
        elif isinstance(part, list):
            waiting += reversed(part)


def _inner(value: SqlNode) -> SqlNode:
    """The query of a CTE or of a subquery."""
    node: SqlNode = value.get("query_node") or value.get("query", value)
    inner: SqlNode = node.get("node", node)
    return inner


def _output_name(expression: SqlNode) -> str:
    """What a SELECT calls an output; empty for what has no name of its own."""
    names = expression.get("column_names") or [""]
    return str(expression["alias"] or names[-1])


def _alias(table: SqlNode) -> str:
    return str(table["alias"] or table.get("table_name", "")).lower()
