"""Lineage: which columns make which features, and which services read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from noskew.definitions.aggregation import Aggregation
from noskew.definitions.project import Project
from noskew.definitions.source import Source
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

NodeKind = Literal["column", "feature", "on_demand", "request", "service"]
#: How a column enters: as the value, by deciding which rows count, as part of the key, or by
#: placing the event in time.
Role = Literal["value", "filter", "key", "time"]


@dataclass(frozen=True, slots=True, order=True)
class LineageNode:
    """A column of a source, a feature of a view, an output or request field of an on-demand
    function, or a column of a service's answer: ``owner`` is the name of that definition.
    """

    kind: NodeKind
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """``target`` is made of ``origin``."""

    origin: LineageNode
    target: LineageNode
    role: Role = "value"


def lineage(project: Project) -> list[Edge]:
    """Every direct dependence, sorted, each once.

    Through SQL it follows columns; through a function every column of the source counts, as
    nobody knows which ones it reads.
    """
    edges: set[Edge] = set()
    for view in project.views.values():
        edges.update(_view_edges(view))
    for function in project.on_demand.values():
        origins = [LineageNode("feature", s.view.name, n) for s in function.inputs for n in s.names]
        origins += [LineageNode("request", function.name, field) for field in function.request]
        targets = [LineageNode("on_demand", function.name, output) for output in function.outputs]
        edges.update(Edge(origin, target) for origin in origins for target in targets)
    for service in project.services.values():
        for column in service.columns:
            kind: NodeKind = "feature" if column.is_stored else "on_demand"
            origin = LineageNode(kind, column.origin.name, column.feature)
            edges.add(Edge(origin, LineageNode("service", service.name, column.name)))
    return sorted(edges)


def upstream(edges: Iterable[Edge], node: LineageNode) -> set[LineageNode]:
    """Everything that ``node`` is made of, directly or not."""
    return _reached(((e.target, e.origin) for e in edges), node)


def downstream(edges: Iterable[Edge], node: LineageNode) -> set[LineageNode]:
    """Everything that is made of ``node``, directly or not."""
    return _reached(((e.origin, e.target) for e in edges), node)


def _reached(
    steps: Iterable[tuple[LineageNode, LineageNode]], start: LineageNode
) -> set[LineageNode]:
    following: dict[LineageNode, list[LineageNode]] = {}
    for here, there in steps:
        following.setdefault(here, []).append(there)
    reached: set[LineageNode] = set()
    queue = [start]
    while queue:
        fresh = [n for n in following.get(queue.pop(), ()) if n not in reached]
        reached.update(fresh)
        queue.extend(fresh)
    return reached


def _view_edges(view: FeatureView) -> Iterator[Edge]:
    source = view.source
    columns, filters = _transform_columns(view)

    def origins(column: str) -> Iterable[str]:
        # A key or clock that the transform leaves out is carried along from the source.
        return columns.get(column.lower(), {column})

    shared: list[tuple[Role, str]] = [("filter", c) for c in filters]
    shared += [("key", c) for key in view.entity.keys for c in origins(key)]
    shared += [("time", c) for c in origins(source.event_time)]
    shared += [("time", source.created)] if source.created else []
    # Duplicates are recognised by it, so it decides which rows count.
    shared += [("filter", source.event_id)] if source.event_id else []
    for feature in view.features.values():
        target = LineageNode("feature", view.name, feature.name)
        spec = feature.spec
        parts = list(shared)
        if spec.column is not None:
            parts += [("value", c) for c in origins(spec.column)]
        if isinstance(spec, Aggregation) and spec.where is not None:
            parts += [("filter", c) for c in origins(spec.where)]
        for role, column in parts:
            yield Edge(LineageNode("column", source.name, column), target, role)


def _transform_columns(view: FeatureView) -> tuple[Mapping[str, set[str]], set[str]]:
    """Transformed column (lower case) → columns of the source; and those that decide on rows."""
    source = view.source
    everything = set(source.schema)
    columns: Mapping[str, set[str]] = {}
    filters: set[str] = set()
    if source.filter is not None:
        keep = f"SELECT ({source.filter}) AS keep FROM {source.name}"
        filters = _sql_columns(keep, source, ["keep"])[0]["keep"]
    if isinstance(view.transform, SqlTransform):
        columns, where = _sql_columns(view.transform.statement, source, view.columns)
        filters = filters | where
    elif view.transform is not None:
        columns = {name.lower(): everything for name in view.transform.schema}
        filters = everything
    return columns, filters


def _sql_columns(
    sql: str, source: Source, outputs: Iterable[str]
) -> tuple[Mapping[str, set[str]], set[str]]:
    from sqlglot import exp, parse_one
    from sqlglot.errors import OptimizeError, SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    # DuckDB finds columns whatever their case; so does this, and gives back the declared name.
    declared = {name.lower(): name for name in source.schema}
    schema: dict[str, object] = {source.name: source.schema.texts()}
    try:
        root = build_scope(
            qualify(parse_one(sql, dialect="duckdb"), schema=schema, dialect="duckdb")
        )
        if root is None or not isinstance(root.expression, exp.Query):
            raise OptimizeError("not a query")
        columns = {
            item.alias_or_name.lower(): {declared[c] for c in _origins(item, root)}
            for item in root.expression.selects
        }
        wheres = [(s.expression.args.get("where"), s) for s in root.traverse()]
        filters = {
            declared[c] for where, s in wheres if where is not None for c in _origins(where, s)
        }
    except (SqlglotError, KeyError):
        # DuckDB accepted what sqlglot cannot follow: rather too many columns than too few.
        everything = set(source.schema)
        return {name.lower(): everything for name in outputs}, everything
    return columns, filters


def _origins(expression: exp.Expr, scope: Scope) -> set[str]:
    """Columns of the source (lower case) that an expression of a scope is made of.

    Raises KeyError where sqlglot did not find the origin of a column.
    """
    from sqlglot import exp

    columns: set[str] = set()
    for column in expression.find_all(exp.Column):
        origin = scope.sources[column.table]
        name = column.name.lower()
        if isinstance(origin, exp.Table):
            columns.add(name)
        else:
            query = origin.expression
            if not isinstance(query, exp.Query):
                raise KeyError(name)
            inner = {item.alias_or_name.lower(): item for item in query.selects}
            columns |= _origins(inner[name], origin)
    return columns
