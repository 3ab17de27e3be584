"""Functions of arrays of Spark SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from noskew.translation.comparisons import array
from noskew.translation.rules import DialectFunction, repaired, same, special
from noskew.translation.spark.operators import ITEM_FROM_0
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import BOOL, INT, Typed, Unfit, as_type, fill, list_of, text
from noskew.types import DType

_SIZE = repaired("-1 for null", ("list -> int", "CAST(coalesce(len($1), -1) AS INT)"))
_CONTAINS = (
    "CASE WHEN $2 IS NULL OR $1 IS NULL THEN NULL WHEN list_contains($1, $2) THEN true "
    "WHEN list_position($1, NULL) IS NOT NULL THEN NULL ELSE false END"
)

_SEQUENCE = (
    "CASE WHEN $1 <= $2 THEN range(CAST($1 AS BIGINT), CAST($2 AS BIGINT) + 1) "
    "ELSE range(CAST($1 AS BIGINT), CAST($2 AS BIGINT) - 1, -1) END"
)


def _list_argument(translate: Translator, node: exp.Expr, scope: Scope) -> tuple[Typed, DType]:
    value = translate(node, scope)
    if value.type is None or value.type.item is None:
        raise Unfit("it takes an array first")
    if value.type.kind == "vector":
        value = Typed(as_type(value.tree, list_of(value.type.item)), list_of(value.type.item))
    assert value.type is not None
    assert value.type.item is not None
    return value, value.type.item


def _transformed(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value, item = _list_argument(translate, nodes[0], scope)
    names, body = translate.with_lambda(nodes[1], [item], scope)
    if body.type is None or body.type.item is not None:
        raise Unfit("the items are of one plain type; cast nulls")
    tree = fill(f"list_transform($1, lambda {names[0]}: $2)", value.tree, body.tree)
    return Typed(tree, list_of(body.type))


def _filtered(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value, item = _list_argument(translate, nodes[0], scope)
    names, body = translate.with_lambda(nodes[1], [item], scope)
    test = translate.as_bool(body)
    tree = fill(f"list_filter($1, lambda {names[0]}: $2)", value.tree, test.tree)
    return Typed(tree, value.type)


def _holds(*, for_all: bool) -> DialectFunction:
    def condition(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        value, item = _list_argument(translate, nodes[0], scope)
        names, body = translate.with_lambda(nodes[1], [item], scope)
        test = translate.as_bool(body)
        truths = fill(f"list_transform($1, lambda {names[0]}: $2)", value.tree, test.tree)
        decisive, other = ("false", "true") if for_all else ("true", "false")
        return Typed(
            fill(
                f"CASE WHEN list_contains($1, {decisive}) THEN {decisive} "
                f"WHEN list_position($1, NULL) IS NOT NULL THEN NULL "
                f"WHEN $1 IS NOT NULL THEN {other} END",
                truths,
            ),
            BOOL,
        )

    return special("by three-valued logic", condition)


def _aggregated(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value, item = _list_argument(translate, nodes[0], scope)
    if len(nodes) != 3:
        raise Unfit("it is known here with an array, a start and (so far, item) -> …")
    start = translate(nodes[1], scope)
    if start.type is None:
        raise Unfit("the start has a type; cast it")
    names, body = translate.with_lambda(nodes[2], [start.type, item], scope)
    if len(names) != 2 or body.type != start.type:
        raise Unfit(
            f"the function has two arguments and gives {start.type}, as the start is; "
            f"it gives {body.type}"
        )
    if item != start.type:
        raise Unfit(
            f"the items are {item} and the start is {start.type}; cast the start or the "
            f"items: transform(items, x -> CAST(x AS …))"
        )
    template = f"list_reduce($1, lambda {names[0]}, {names[1]}: $2, $3)"
    return Typed(fill(template, value.tree, body.tree, start.tree), start.type)


def _joined(value: Typed, separator: str, instead: Typed | None = None) -> exp.Expr:
    items = value.tree
    if instead is not None:
        template = "list_transform($1, lambda λ: coalesce(λ, $2))"
        items = fill(template, items, instead.tree)
    else:
        items = fill("list_filter($1, lambda λ: λ IS NOT NULL)", items)
    template = "CASE WHEN len($1) = 0 THEN '' ELSE array_to_string($1, $2) END"
    return fill(template, items, text(separator))


def _extreme(name: str, sign: str) -> Callable[[Typed], exp.Expr]:
    def meaning(value: Typed) -> exp.Expr:
        assert value.type is not None
        assert value.type.item is not None
        if not value.type.item.is_float:
            return fill(f"list_{name}($1)", value.tree)
        # The first of those that are equal, as 0.0 and -0.0 are.
        items = fill("list_filter($1, lambda λ: λ IS NOT NULL)", value.tree)
        reduced = f"list_reduce($1, lambda λ, κ: CASE WHEN κ {sign} λ THEN κ ELSE λ END)"
        return fill(f"CASE WHEN len($1) > 0 THEN {reduced} END", items)

    return meaning


def _slice(value: Typed, start: Typed, length: Typed) -> exp.Expr:
    if isinstance(start.constant, int) and start.constant == 0:
        raise Unfit("slice counts from 1, or from the end if negative; Spark fails for 0")
    if not isinstance(start.constant, int) or not isinstance(length.constant, int):
        raise Unfit("slice takes literal numbers here")
    if length.constant < 0:
        raise Unfit("the length of a slice is not negative")
    if start.constant > 0:
        return fill(
            f"list_slice($1, {start.constant}, {start.constant + length.constant - 1})", value.tree
        )
    first = f"len($1) + 1 + ({start.constant})"
    part = f"list_slice($1, {first}, {first} + {length.constant} - 1)"
    return fill(f"CASE WHEN {first} < 1 THEN [] ELSE {part} END", value.tree)


def _element(value: Typed, place: int) -> exp.Expr:
    if place == 0:
        raise Unfit("element_at counts from 1, or from the end if negative; Spark fails for 0")
    return fill(f"list_extract($1, {place})", value.tree)


def _repeated(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value, count = (translate(n, scope) for n in nodes)
    if value.type is None or value.type.item is not None:
        raise Unfit("the item has a plain type; cast a null")
    count = translate.language.convert(count, INT)
    tree = fill(
        "CASE WHEN $2 IS NOT NULL THEN list_transform(range(CAST(greatest($2, 0) AS "
        "BIGINT)), lambda λ: $1) END",
        value.tree,
        count.tree,
    )
    return Typed(tree, list_of(value.type))


ARRAYS: Mapping[str, DialectFunction] = {
    "array": special("", array),
    **dict.fromkeys(("size", "cardinality"), _SIZE),
    "array_size": same(("list -> int", "CAST(len($1) AS INT)")),
    "array_contains": repaired(
        "null where it is not there and a null is", ("list, item -> bool", _CONTAINS)
    ),
    "array_position": repaired(
        "0 where it is not there",
        (
            "list, item -> long",
            "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN "
            "CAST(coalesce(list_position($1, $2), 0) AS BIGINT) END",
        ),
    ),
    **dict.fromkeys(
        ("element_at", "try_element_at"),
        repaired(
            "counted from 1, or from the end; null beyond the ends; a literal",
            ("list, int! -> item", _element),
        ),
    ),
    "get": repaired("counted from 0; null beyond the ends", ("list, int -> item", ITEM_FROM_0)),
    "array_min": same(("list -> item", _extreme("min", "<"))),
    "array_max": same(("list -> item", _extreme("max", ">"))),
    "array_distinct": repaired(
        "in order of first appearance, null too",
        ("list -> list", "list_filter($1, lambda λ, κ: list_position($1, λ) = κ)"),
    ),
    "array_remove": repaired(
        "nulls stay",
        (
            "list, item -> list",
            "CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda λ: λ IS DISTINCT FROM $2) END",
        ),
    ),
    "array_compact": same(("list -> list", "list_filter($1, lambda λ: λ IS NOT NULL)")),
    "array_append": repaired(
        "null for null",
        ("list, item -> list", "CASE WHEN $1 IS NOT NULL THEN list_append($1, $2) END"),
    ),
    "array_prepend": repaired(
        "null for null",
        ("list, item -> list", "CASE WHEN $1 IS NOT NULL THEN list_prepend($2, $1) END"),
    ),
    "array_join": repaired(
        "nulls are left out, unless something stands for them",
        ("list<string>, string! -> string", _joined),
        ("list<string>, string!, string -> string", _joined),
    ),
    "sort_array": repaired(
        "nulls first, or last if descending",
        ("list -> list", "list_sort($1, 'ASC', 'NULLS FIRST')"),
        (
            "list, bool! -> list",
            lambda value, ascending: fill(
                "list_sort($1, 'ASC', 'NULLS FIRST')"
                if ascending
                else "list_sort($1, 'DESC', 'NULLS LAST')",
                value.tree,
            ),
        ),
    ),
    "array_sort": repaired("nulls last", ("list -> list", "list_sort($1, 'ASC', 'NULLS LAST')")),
    "slice": repaired(
        "of literal numbers; counted from 1, or from the end", ("list, int, int -> list", _slice)
    ),
    "array_repeat": special("", _repeated),
    "arrays_overlap": repaired(
        "null where none is in both and a null is in one",
        (
            "list, list -> bool",
            "CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL WHEN list_has_any($1, $2) THEN true "
            "WHEN len($1) > 0 AND len($2) > 0 AND (list_position($1, NULL) IS NOT NULL OR "
            "list_position($2, NULL) IS NOT NULL) THEN NULL ELSE false END",
        ),
    ),
    "sequence": repaired(
        "of integers, one by one",
        ("int, int -> list<int>", f"CAST({_SEQUENCE} AS INT[])"),
        ("long, long -> list<long>", _SEQUENCE),
    ),
    "transform": special("of functions of an item", _transformed),
    "filter": special("of functions of an item", _filtered),
    "exists": _holds(for_all=False),
    "forall": _holds(for_all=True),
    **dict.fromkeys(
        ("aggregate", "reduce"),
        special("of functions that give the items' type", _aggregated),
    ),
}
