"""The statement that an engine of its own dialect runs: an author's SELECT, and steps around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from noskew.translation.typed import DUCKDB_TYPES, LONG
from noskew.translation.verified_dialects import parsed
from noskew.types import DType, Schema

_ROWS, _SELECTED = "noskew_rows", "noskew_made"
_TYPES = {**DUCKDB_TYPES, "bytes": "VARBINARY"}


class NativeStatement:
    """The steps around the SELECT of an author, in its dialect."""

    def __init__(self, text: str, dialect: str, source: str, columns: Schema) -> None:
        self._dialect, self._source, self._columns = dialect, source, columns
        self._tree = parsed(text, dialect)
        self._spelled = {name.lower(): name for name in columns}
        self._quoted = {i.name for i in self._identifiers() if i.args.get("quoted")}

    def output(self, name: str) -> str:
        """What a column of the SELECT is called by the engine."""
        return name if name in self._quoted else self._spelled.get(name.lower(), name.lower())

    def steps(
        self, passed: Mapping[str, str], outer: Mapping[str, tuple[str, DType]]
    ) -> Iterator[str]:
        """The name of the rows, the steps as CTEs, and the SELECT at the end.

        ``passed``: columns of the rows that every SELECT passes on, by the name that they get.
        ``outer``: the name and type of each column that comes, by the name that it comes under.
        """
        yield _ROWS
        columns = {**{name: name for name in self._columns}, **passed}
        typed = [self._typed(n, self._columns.get(n, LONG), a) for a, n in columns.items()]
        yield self._cte(self._source, exp.select(*typed).from_(_table(_ROWS)))
        self._spell()
        for select in self._tree.find_all(exp.Select):
            if not select.is_star:
                select.select(*map(_column, passed), copy=False)
        yield self._cte(_SELECTED, self._tree)
        last = [self._typed(column, kind, name) for name, (column, kind) in outer.items()]
        yield exp.select(*last).from_(_table(_SELECTED)).sql(self._dialect)

    def _spell(self) -> None:
        """Write names as they are defined: engines differ in what an unquoted one means."""
        kinds = (exp.Alias, exp.TableAlias)
        own = {i.name.lower() for i in self._identifiers() if isinstance(i.parent, kinds)}
        for identifier in self._identifiers():
            if identifier.args.get("quoted"):
                continue
            is_table = isinstance(identifier.parent, exp.Table) or identifier.arg_key == "table"
            lower = identifier.name.lower()
            if is_table and lower == self._source.lower():
                identifier.set("this", self._source)
            elif lower in self._spelled or lower in own:
                identifier.set("this", self._spelled.get(lower, lower))
            else:  # a keyword that is read as a name, such as the unit of an interval
                continue
            identifier.set("quoted", True)

    def _identifiers(self) -> Iterator[exp.Identifier]:
        yield from self._tree.find_all(exp.Identifier)

    def _typed(self, column: str, kind: DType, name: str) -> exp.Expr:
        cast = exp.Cast(this=_column(column), to=_type(kind))
        return exp.alias_(cast, exp.to_identifier(name, quoted=True))

    def _cte(self, name: str, tree: exp.Expr) -> str:
        alias = exp.to_identifier(name, quoted=True).sql(self._dialect)
        return f"{alias} AS ({tree.sql(self._dialect, normalize_functions=False)})"


def _column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True))


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name))


def _type(kind: DType) -> exp.DataType:
    if kind.item is not None:
        return exp.DataType(
            this=exp.DataType.Type.ARRAY, expressions=[_type(kind.item)], nested=True
        )
    if kind.kind == "decimal":
        return exp.DataType.build(f"DECIMAL({kind.precision}, {kind.scale})")
    return exp.DataType.build(_TYPES[kind.kind])
