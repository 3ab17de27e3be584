"""Push-down: the SELECT of a view, as the engine of its dialect is asked to run it.

The statement has four steps: the rows as they are; the rows with the types that the source
declares, and its clocks, keys and ids under names of their own; the author's SELECT, which passes
these columns on; and its output, with the types that the view declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from noskew.definitions.native import ENGINES
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView
from noskew.errors import TransformError
from noskew.types import DType, Schema

#: A number that each row may bring along, to know it again.
NUMBER = "noskew_number"
_CARRIED = "noskew_carried"


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

    ``numbered``: rows have a column ``noskew_number`` (int64), and so has the output.
    """
    transform = view.transform
    assert isinstance(transform, SqlTransform)
    from noskew.translation.native_statement import NativeStatement  # it loads sqlglot

    source, output = view.source, transform.output_schema(view.source, f"view {view.name!r}")
    keys = [key for key in view.entity.keys if key not in output]
    clocks = [c for c in (source.created, source.event_id) if c]
    if source.event_time not in view.columns:
        clocks.append(source.event_time)
    aliases = {f"{_CARRIED}_{i}": name for i, name in enumerate(dict.fromkeys([*keys, *clocks]))}
    named = {name: alias for alias, name in aliases.items()}
    extra = {named[c]: source.schema[c] for c in clocks}
    if numbered:
        extra[NUMBER] = DType("int64")
    statement = NativeStatement(transform.text, transform.dialect, source.name, source.schema)
    outer = {
        name: (statement.output(name) if name in output else named[name], kind)
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
        tuple(statement.steps(passed, outer)),
    )
