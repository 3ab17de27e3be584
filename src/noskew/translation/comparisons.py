"""Comparisons, logic and choices, which languages differ in by their types alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import BOOL, Typed, Unfit, fill, list_of

SpecialRule = Callable[[Translator, Sequence[exp.Expr], Scope], Typed]


def compared(sign: str) -> SpecialRule:
    """``a < b`` and the like, by a sign of DuckDB's."""

    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        left, right = translate.language.comparable([translate(n, scope) for n in nodes])
        return Typed(fill(f"$1 {sign} $2", left.tree, right.tree), BOOL)

    return meaning


def between(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``a BETWEEN b AND c``."""
    value, low, high = (translate(n, scope) for n in nodes)
    comparable = translate.language.comparable
    trees = [v.tree for v in (*comparable([value, low]), *comparable([value, high]))]
    return Typed(fill("$1 >= $2 AND $3 <= $4", *trees), BOOL)


def logic(word: str) -> SpecialRule:
    """``AND``, ``OR`` and ``NOT``."""

    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        sides = [translate.as_bool(translate(n, scope)).tree for n in nodes]
        return Typed(fill(f"$1 {word} $2" if len(sides) == 2 else f"{word} $1", *sides), BOOL)

    return meaning


def coalesced(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``coalesce(a, b, …)``."""
    values = translate.unified([translate(n, scope) for n in nodes])
    if not values:
        raise Unfit("it takes at least one value")
    tree = exp.Anonymous(this="coalesce", expressions=[v.tree for v in values])
    return Typed(tree, next((v.type for v in values if v.type is not None), None))


def array(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``array(a, b, …)``."""
    values = translate.unified([translate(n, scope) for n in nodes])
    kind = next((v.type for v in values if v.type is not None), None)
    if kind is None or kind.item is not None:
        raise Unfit("an array has items of one plain type; cast its nulls")
    items = exp.Anonymous(this="list_value", expressions=[v.tree for v in values])
    return Typed(items, list_of(kind))


def call(name: str) -> Callable[..., exp.Expr]:
    """A call of a function of DuckDB's, of any number of arguments."""
    return lambda *values: exp.Anonymous(this=name, expressions=[v.tree for v in values])
