"""Push-down: the SELECT of a view, as the engine of its dialect is asked to run it.

The statement has four steps. The rows as they are; those with the types that the source declares,
and its clocks, keys and ids under names of their own; the author's SELECT, which passes these on;
and what comes of it, with the types that the view declares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from noskew.definitions.native import ENGINES
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView
from noskew.errors import TransformError
from noskew.types import DType, Schema

if TYPE_CHECKING:
    from sqlglot import exp

#: A number that each row may bring along, to know it again.
NUMBER = "noskew_number"
_NUMBER = DType("int64")
_ROWS, _MADE, _CARRIED = "noskew_rows", "noskew_made", "noskew_carried"
_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "string": "TEXT",
    "bytes": "VARBINARY",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}


@dataclass(frozen=True)
class PushDown:
    """What an engine is asked, and what comes.

    Attributes
    ----------
    dialect
        Whose SQL it is.
    schema
        The columns that come: those of the view, then the carried ones.
    carried
        Columns of the source that the view's events need besides, by the name that they come
        under.
    """

    dialect: str
    schema: Schema
    carried: Mapping[str, str]
    _steps: tuple[str, ...]

    @property
    def engine(self) -> str:
        """What runs it, for people."""
        return ENGINES[self.dialect]

    def over(self, query: str) -> str:
        """The statement over the rows of a query of the engine's own.

        ``query`` is its author's own text, with the same rights as the statement: nothing of it
        is looked at here.
        """
        first, *steps, last = self._steps
        rows = f"{first} AS (\n{query.strip().rstrip(';')}\n)"
        return f"WITH {', '.join([rows, *steps])} {last}"


@lru_cache(maxsize=256)
def push_down(view: FeatureView, *, numbered: bool = False) -> PushDown:
    """The statement of a view whose transform is native.

    ``numbered``: rows have a column ``noskew_number`` (int64), and so has what comes of them.
    """
    transform = view.transform
    assert isinstance(transform, SqlTransform)
    source, made = view.source, transform.output_schema(view.source, f"view {view.name!r}")
    keys = [key for key in view.entity.keys if key not in made]
    clocks = [c for c in (source.created, source.event_id) if c]
    if source.event_time not in view.columns:
        clocks.append(source.event_time)
    aliases = {f"{_CARRIED}_{i}": name for i, name in enumerate(dict.fromkeys([*keys, *clocks]))}
    named = {name: alias for alias, name in aliases.items()}
    extra = {named[c]: source.schema[c] for c in clocks}
    if numbered:
        extra[NUMBER] = _NUMBER
    writer = _Writer(transform.text, transform.dialect, source.name, source.schema)
    outer = {
        name: (writer.output(name) if name in made else named[name], kind)
        for name, kind in view.columns.items()
    }
    outer |= {name: (name, kind) for name, kind in extra.items()}
    if transform.dialect == "spark" and len({name.lower() for name in outer}) < len(outer):
        raise TransformError(
            f"feature view {view.name!r}: native=True on Spark, which knows no capital letters in "
            f"names, but two of its columns differ in nothing else: {', '.join(view.columns)}"
        )
    passed = {**aliases, **({NUMBER: NUMBER} if numbered else {})}
    return PushDown(
        transform.dialect,
        Schema({**view.columns, **extra}),
        {named[c]: c for c in clocks},
        tuple(writer.steps(passed, outer)),
    )


class _Writer:
    """Writes statements around the SELECT of an author."""

    def __init__(self, text: str, dialect: str, source: str, columns: Schema) -> None:
        from noskew.translation.verified_dialects import parsed  # it imports sqlglot

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
        ``outer``: what is found under which name, by the name that it comes under.
        """
        from sqlglot import exp

        yield _ROWS
        columns = {**{name: name for name in self._columns}, **passed}
        typed = [self._typed(n, self._columns.get(n, _NUMBER), a) for a, n in columns.items()]
        yield self._cte(self._source, exp.select(*typed).from_(_table(_ROWS)))
        self._spell()
        for select in self._tree.find_all(exp.Select):
            if not select.is_star:
                select.select(*map(_column, passed), copy=False)
        yield self._cte(_MADE, self._tree)
        last = [self._typed(found, kind, name) for name, (found, kind) in outer.items()]
        yield exp.select(*last).from_(_table(_MADE)).sql(self._dialect)

    def _spell(self) -> None:
        """Write names as they are defined: engines differ in what an unquoted one means."""
        from sqlglot import exp

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
        from sqlglot import exp

        yield from self._tree.find_all(exp.Identifier)

    def _typed(self, found: str, kind: DType, name: str) -> exp.Expr:
        from sqlglot import exp

        cast = exp.Cast(this=_column(found), to=_type(kind))
        return exp.alias_(cast, exp.to_identifier(name, quoted=True))

    def _cte(self, name: str, tree: exp.Expr) -> str:
        from sqlglot import exp

        alias = exp.to_identifier(name, quoted=True).sql(self._dialect)
        return f"{alias} AS ({tree.sql(self._dialect, normalize_functions=False)})"


def _column(name: str) -> exp.Column:
    from sqlglot import exp

    return exp.column(exp.to_identifier(name, quoted=True))


def _table(name: str) -> exp.Table:
    from sqlglot import exp

    return exp.Table(this=exp.to_identifier(name))


def _type(kind: DType) -> exp.DataType:
    from sqlglot import exp

    if kind.item is not None:
        return exp.DataType(
            this=exp.DataType.Type.ARRAY, expressions=[_type(kind.item)], nested=True
        )
    if kind.kind == "decimal":
        return exp.DataType.build(f"DECIMAL({kind.precision}, {kind.scale})")
    return exp.DataType.build(_TYPES[kind.kind])
