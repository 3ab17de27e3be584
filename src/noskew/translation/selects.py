"""Statements: one SELECT over the source, with CTEs and subqueries in FROM, to DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from noskew.errors import TransformError
from noskew.translation.translator import Scope, Translator
from noskew.types import DType

#: Parts of a SELECT that look beyond one row, and why each is refused.
_REASONS: Mapping[str, tuple[str, str]] = {
    "distinct": ("DISTINCT", "DISTINCT looks at other rows"),
    "joins": ("JOIN", "a join looks at other rows; join features in a service instead"),
    "laterals": ("LATERAL", "it makes several rows of one"),
    "group": ("GROUP", "GROUP BY looks at many rows"),
    "having": ("HAVING", "GROUP BY looks at many rows"),
    "qualify": ("QUALIFY", "it looks at other rows"),
    "windows": ("WINDOW", "a window function looks at other rows"),
    "order": ("ORDER", "ORDER BY has no meaning for single rows"),
    "sort": ("SORT BY", "it has no meaning for single rows"),
    "cluster": ("CLUSTER BY", "it has no meaning for single rows"),
    "distribute": ("DISTRIBUTE BY", "it has no meaning for single rows"),
    "limit": ("LIMIT", "LIMIT depends on the batch"),
    "offset": ("OFFSET", "LIMIT depends on the batch"),
    "sample": ("SAMPLE", "sampling depends on chance"),
    "pivots": ("PIVOT", "PIVOT looks at other rows"),
}
_KNOWN = frozenset("expressions from_ where with_ hint kind operation_modifiers".split())


@dataclass(frozen=True)
class Relation:
    """A table that a SELECT may select from: how it is spelled, and its columns by name."""

    name: str
    columns: Mapping[str, DType | None]


class Selects:
    """Translates statements over one source."""

    def __init__(
        self, translator: Translator, source_name: str, columns: Mapping[str, DType], what: str
    ) -> None:
        self._translate = translator
        self._source = Relation(source_name, columns)
        self._what = what
        self._known = f"Columns of {source_name!r}: {columns}"

    def statement(self, node: exp.Expr) -> exp.Select:
        """The statement in DuckDB's dialect."""
        select, _ = self._select(node, {self._source.name.lower(): self._source})
        return select

    def _select(
        self, node: exp.Expr, relations: Mapping[str, Relation]
    ) -> tuple[exp.Select, dict[str, DType | None]]:
        if isinstance(node, exp.Subquery) and not _present(node, {"this", "alias"}):
            node = node.this
        if isinstance(node, exp.SetOperation):
            raise self._refused("SET OPERATION", "set operations combine batches")
        if not isinstance(node, exp.Select):
            raise TransformError(f"{self._what}: expected one SELECT statement")
        for part in _present(node, _KNOWN):
            raise self._refused(*_REASONS.get(part, (part, "it is not known to look at one row")))
        if node.args.get("kind") or node.args.get("operation_modifiers"):
            raise self._refused("SELECT AS", "it is not known to look at one row")
        select = exp.Select()
        known = dict(relations)
        if node.args.get("with_"):
            select.set("with_", self._with(node.args["with_"], known))
        scope, table = self._from(node.args.get("from_"), known)
        select.set("from_", exp.From(this=table))
        columns = self._projections(node, scope, select)
        if node.args.get("where"):
            test = self._translate(node.args["where"].this, scope)
            select.set("where", exp.Where(this=self._translate.as_bool(test).tree))
        return select, columns

    def _with(self, node: exp.Expr, known: dict[str, Relation]) -> exp.With:
        if node.args.get("recursive"):
            raise self._refused("RECURSIVE CTE", "recursion looks at other rows")
        ctes = []
        for cte in node.expressions:
            alias = cte.args["alias"]
            if alias.args.get("columns"):
                raise self._refused("WITH a(b)", "name the columns in the SELECT")
            inner, columns = self._select(cte.this, known)
            known[alias.name.lower()] = Relation(alias.name, columns)
            name = exp.TableAlias(this=exp.to_identifier(alias.name, quoted=True))
            ctes.append(exp.CTE(this=inner, alias=name))
        return exp.With(expressions=ctes)

    def _from(self, node: exp.Expr | None, known: Mapping[str, Relation]) -> tuple[Scope, exp.Expr]:
        if node is None:
            raise TransformError(
                f"{self._what}: it selects from nothing; a transform selects from its source, "
                f"{self._source.name!r}"
            )
        table = node.this
        alias = table.args.get("alias")
        for part in _present(table, {"this", "alias", "db", "catalog"}):
            raise self._refused(*_REASONS.get(part, (part, "it is not the source")))
        if alias is not None and alias.args.get("columns"):
            raise self._refused("AS t(a)", "name the columns in the SELECT")
        tree: exp.Expr
        if isinstance(table, exp.Subquery):
            inner, columns = self._select(table.this, known)
            tree, name = exp.Subquery(this=inner), table.alias or "inner_rows"
        elif isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier):
            relation = known.get(table.name.lower())
            if relation is None or table.args.get("db"):
                raise TransformError(
                    f"{self._what}: it selects from {table.name!r}; a transform selects from its "
                    f"source, {self._source.name!r}, alone"
                )
            columns = dict(relation.columns)
            tree = exp.Table(this=exp.to_identifier(relation.name, quoted=True))
            name = table.alias or relation.name
        else:
            raise self._refused("FROM", "a table function is not the source")
        if table.alias or isinstance(table, exp.Subquery):
            tree.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        names = {column.lower(): column for column in columns}
        types = {column.lower(): kind for column, kind in columns.items()}
        return Scope(name.lower(), types, names, self._known), tree

    def _projections(
        self, node: exp.Select, scope: Scope, select: exp.Select
    ) -> dict[str, DType | None]:
        columns: dict[str, DType | None] = {}
        table = scope
        for item in node.expressions:
            is_star = isinstance(item, exp.Star) or (
                isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
            )
            items = self._star(item, table) if is_star else [self._item(item, scope)]
            for name, tree, kind in items:
                if name in columns:
                    raise TransformError(f"{self._what}: the output has the column {name!r} twice")
                columns[name] = kind
                alias = exp.to_identifier(name, quoted=True)
                select.append("expressions", exp.Alias(this=tree, alias=alias))
                if name.lower() not in scope.columns:  # A later item may name it.
                    scope = scope.with_variables({name.lower(): (name, kind)})
        return columns

    def _item(self, item: exp.Expr, scope: Scope) -> tuple[str, exp.Expr, DType | None]:
        value = self._translate(item.unalias(), scope)
        name = item.alias if isinstance(item, exp.Alias) else ""
        if not name and isinstance(item, exp.Column):
            name = scope.names[item.name.lower()]
        if not name:
            written = item.sql(self._translate.language.reader, normalize_functions=False)
            raise TransformError(f"{self._what}: {written} needs a name: {written} AS …")
        return name, value.tree, value.type

    def _star(self, item: exp.Expr, scope: Scope) -> list[tuple[str, exp.Expr, DType | None]]:
        star = item.this if isinstance(item, exp.Column) else item
        if item.text("table").lower() not in ("", scope.table) or _present(star, {"except_"}):
            raise self._refused("*", "name the columns, or write * EXCEPT (…)")
        left_out = {e.name.lower() for e in star.args.get("except_") or ()}
        if unknown := left_out - set(scope.columns):
            raise TransformError(
                f"{self._what}: there is no column {min(unknown)!r}. {self._known}"
            )
        columns: list[tuple[str, exp.Expr, DType | None]] = []
        for lower, name in scope.names.items():
            if lower not in left_out:
                column = exp.column(exp.to_identifier(name, quoted=True))
                columns.append((name, column, scope.columns[lower]))
        return columns

    def _refused(self, construct: str, reason: str) -> TransformError:
        return TransformError(
            f"{self._what}: {construct} is refused: {reason}. Transforms are row-wise"
        )


def _present(node: exp.Expr, known: frozenset[str] | set[str]) -> list[str]:
    """The parts of a node that say something, besides some that are known."""
    return [name for name, value in node.args.items() if value and name not in known]
