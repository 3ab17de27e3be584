"""Run expressions by noskew and by engines of their own, and compare them bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

import noskew as ns
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.translation.language import Language
from noskew.translation.selects import Selects
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import Typed
from tests.translation.rows import SOURCE, USER


def select(expressions: Sequence[str]) -> str:
    """One SELECT with a column ``c0``, ``c1``, … for each expression."""
    items = ", ".join(f"{text} AS c{at}" for at, text in enumerate(expressions))
    return f"SELECT {items} FROM events"


def view_of(transform: Any, names: Sequence[str], source: ns.Source = SOURCE) -> ns.FeatureView:
    """A view that has the columns of a transform as features."""
    return ns.FeatureView(
        "view", entity=USER, source=source, features=list(names), transform=transform
    )


def sql_view(
    expressions: Sequence[str], dialect: str, source: ns.Source = SOURCE
) -> ns.FeatureView:
    """A view with a feature ``c0``, ``c1``, … for each expression of a dialect."""
    names = [f"c{at}" for at in range(len(expressions))]
    return view_of(ns.sql(select(expressions), dialect=dialect), names, source)


def run(view: ns.FeatureView, rows: pa.Table) -> pa.Table:
    """The features of each row, by the view's pipeline; no row may be left out."""
    events = Pipeline(view)(rows, known_time=2**61 // 10, buckets=1).events
    assert len(events) == len(rows)
    return events.select(view.features)


def bits(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """The values of a column such that two are equal if they are the same bits; NaN is NaN."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    if pa.types.is_date(kind):
        column = column.cast(pa.int32())
    return [_bits(v) for v in column.to_pylist()]


def _bits(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return [_bits(v) for v in value] if isinstance(value, list) else value


def is_close(a: Any, b: Any) -> bool:
    """Whether two floats are equal, up to the last few bits."""
    if isinstance(a, float) and isinstance(b, float) and not math.isnan(a):
        return math.isclose(a, b, rel_tol=2**-50) or (a == b)
    return _bits(a) == _bits(b)


def kind_of(column: pa.ChunkedArray) -> str:
    """The type of a column; whether it or its items may be null, and their name, aside."""
    kind = column.type
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)


class _Recording(Translator):
    """Remembers which functions it met."""

    met: set[str]

    def _call(self, name: str, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        self.met.add(name.lower())
        return super()._call(name, nodes, scope)


def met(language: Language, expressions: Sequence[str]) -> set[str]:
    """The functions and operators of a language that expressions consist of."""
    translator = _Recording(language, "test")
    translator.met = set()
    statement = language.reader().parse(select(expressions))[0]
    assert statement is not None
    Selects(translator, "events", SOURCE.schema, "test").statement(statement)
    return translator.met
