"""Expressions as trees: what DuckDB makes of them, with every type and every cast written out.

DuckDB binds the text: it finds names, chooses overloads, widens numbers and expands macros. The
bound plan is the meaning of the text, and the kernel computes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from noskew.definitions.sized_cache import SizedCache
from noskew.definitions.sql_check import check_transform
from noskew.definitions.sql_engine import bound_plan, one_row, parse_select
from noskew.errors import TransformError
from noskew.types import DType, Schema

#: What stands for the inputs of a function, in the statement that each expression becomes.
INPUTS = "inputs"
#: Operators that DuckDB keeps under a class of their own; functions have names.
_OPERATORS: Mapping[str, str] = {
    "COMPARE_IN": "in",
    "COMPARE_NOT_IN": "not in",
    "OPERATOR_NOT": "not",
    "OPERATOR_IS_NULL": "is null",
    "OPERATOR_IS_NOT_NULL": "is not null",
    "OPERATOR_COALESCE": "coalesce",
    "CONJUNCTION_AND": "and",
    "CONJUNCTION_OR": "or",
}
#: How a text is cast to a type, and brought here as the number or text that stands for it.
_CONSTANTS: Mapping[str, str] = {
    **{
        kind: f"SELECT CAST(? AS {kind})"
        for kind in (
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "VARCHAR",
        )
    },
    "TIMESTAMP": "SELECT epoch_us(CAST(? AS TIMESTAMP))",
    "TIMESTAMP WITH TIME ZONE": "SELECT epoch_us(CAST(? AS TIMESTAMPTZ))",
    "DATE": "SELECT CAST(? AS DATE) - DATE '1970-01-01'",
}


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type of DuckDB's; ``width`` and ``scale`` are those of a DECIMAL."""

    name: str
    width: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"{self.name}({self.width}, {self.scale})" if self.width else self.name


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression, and all parts below it.

    ``op`` is ``column`` (``value``: its name), ``constant`` (``value``: a Python value, None for
    null; times and dates as numbers since the epoch, decimals unscaled, intervals as months, days
    and µs), ``cast``, ``try_cast``, ``case`` (condition, value, …, else), an operator such as
    ``is null``, or the name of one of DuckDB's functions.
    """

    op: str
    type: SqlType
    children: tuple[Node, ...] = ()
    value: Any = None

    def walk(self) -> Iterator[Node]:
        """The node itself, and every node below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self) -> str:
        return f"{self.op}({', '.join(str(c.type) for c in self.children)})"


#: Trees by statement and columns, and about the bytes of a node of one.
_BOUND: SizedCache[tuple[Node, DType]] = SizedCache(4 << 20)
_A_NODE = 400


def statement(expression: str) -> str:
    """The SELECT that an expression becomes, in any dialect."""
    return f"SELECT (\n{expression}\n) AS made FROM {INPUTS}"


def bind(sql: str, columns: Schema, what: str) -> tuple[Node, DType]:
    """The tree of a statement's one expression, and the type of what it gives.

    Raises TransformError unless it is one row-wise, deterministic expression over ``columns``.
    """
    bound = _BOUND.get((sql, columns))
    if bound is None:
        bound = _bound(sql, columns, what)
        nodes = sum(1 for _ in bound[0].walk())
        _BOUND.put((sql, columns), bound, len(sql) + _A_NODE * nodes)
    return bound


def _bound(sql: str, columns: Schema, what: str) -> tuple[Node, DType]:
    tree = parse_select(sql, what)
    if len(tree.get("select_list", ())) != 1:
        raise TransformError(f"{what}: expected one expression")
    output = check_transform(sql, INPUTS, columns, what)
    if tree["where_clause"] or tree["from_table"]["type"] != "BASE_TABLE":
        raise TransformError(f"{what}: expected an expression over the inputs, not a query")
    plan = bound_plan(sql, columns, what)
    (scan,) = plan["children"]
    if plan["type"] != "LOGICAL_PROJECTION" or scan["type"] != "LOGICAL_GET":
        raise TransformError(f"{what}: expected an expression over the inputs, not a query")
    (kind,) = output.values()
    return _Reader(scan, what).node(plan["expressions"][0]), kind


class _Reader:
    """Reads what DuckDB writes of a plan; ``scan``: its part that gives the columns."""

    def __init__(self, scan: Mapping[str, Any], what: str) -> None:
        self._scan, self._what = scan, what

    def node(self, expression: Mapping[str, Any]) -> Node:
        group, kind = expression["expression_class"], expression["type"]
        if group == "BOUND_REF":
            place = self._scan["column_indexes"][expression["index"]]["index"]
            return Node(
                "column", _type(expression["return_type"]), value=self._scan["names"][place]
            )
        if group == "BOUND_CONSTANT":
            return _constant(expression["value"])
        if group == "BOUND_CASE":
            parts = [
                c[side] for c in expression["case_checks"] for side in ("when_expr", "then_expr")
            ]
            children = self._nodes([*parts, expression["else_expr"]])
            return Node("case", _type(expression["return_type"]), children)
        if group == "BOUND_CONJUNCTION":
            return Node(_OPERATORS[kind], SqlType("BOOLEAN"), self._nodes(expression["children"]))
        returned = _type(expression["return_type"])
        children = self._nodes(expression.get("children", ()))
        if group == "BOUND_FUNCTION":
            name = expression["qname"]["path"][-1]
            if name == "__cast":
                is_try = expression["function_data"]["try_cast"]
                return _cast(children[0], returned, is_try, self._what)
            return Node(name, returned, children)
        name = _OPERATORS.get(kind, kind.removeprefix("OPERATOR_").lower())
        return Node(name, returned, children)

    def _nodes(self, expressions: Iterable[Mapping[str, Any]]) -> tuple[Node, ...]:
        return tuple(self.node(child) for child in expressions)


def _type(written: Mapping[str, Any]) -> SqlType:
    more = written["type_info"]
    if not more:
        return SqlType(written["id"])
    return SqlType(written["id"], more.get("width", 0), more.get("scale", 0))


def _constant(written: Mapping[str, Any]) -> Node:
    kind = _type(written["type"])
    value = None if written["is_null"] else written["value"]
    if kind.name == "INTERVAL" and value is not None:
        value = (value["months"], value["days"], value["micros"])
    if isinstance(value, Mapping):  # an integer of 128 bits
        value = (value["upper"] << 64) + value["lower"]
    if kind.name in ("DOUBLE", "FLOAT") and value is not None:
        value = float(value)
    return Node("constant", kind, value=value)


def _cast(node: Node, kind: SqlType, is_try: bool, what: str) -> Node:
    if node.type == kind:
        return node
    if node.op == "constant" and node.value is None:
        return Node("constant", kind)
    if node.op == "constant" and node.type.name == "VARCHAR" and kind.name in _CONSTANTS:
        return Node("constant", kind, value=_of_text(node.value, kind, is_try, what))
    return Node("try_cast" if is_try else "cast", kind, (node,))


def _of_text(text: str, kind: SqlType, is_try: bool, what: str) -> Any:
    """The value of a text that is cast, as DuckDB reads it."""
    import duckdb

    try:
        (value,) = one_row(_CONSTANTS[kind.name], text)
    except duckdb.Error as error:
        if is_try:
            return None
        raise TransformError(f"{what}: {str(error).splitlines()[0]}") from error
    return value
