"""Operators of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from noskew.translation import patterns
from noskew.translation.comparisons import between, compared, logic
from noskew.translation.intervals import interval, moved
from noskew.translation.postgres import conversions
from noskew.translation.rules import DialectFunction, close, repaired, same, special
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import (
    BOOL,
    DATE,
    INT,
    TIMESTAMP,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
    integer_literal,
    is_numeric,
    text,
)
from noskew.types import DType

_MAX_DIGITS = 38


def _sides(
    translate: Translator, nodes: Sequence[exp.Expr], scope: Scope
) -> tuple[Typed, Typed, DType]:
    left, right = (translate(n, scope) for n in nodes)
    for side in (left, right):
        if side.type is None or not is_numeric(side.type):
            raise Unfit(f"arithmetic takes numbers, and got {side.type or 'NULL'}; cast it")
    kind = translate.language.common([left, right])
    assert kind is not None
    return left, right, kind


def _arithmetic(sign: str) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        if sign in "+-" and (moved_time := _moved_time(translate, nodes, scope, sign)):
            return moved_time
        left, right, kind = _sides(translate, nodes, scope)
        if kind.kind == "decimal":
            return _decimals(sign, left, right)
        a, b = (conversions.convert(side, kind).tree for side in (left, right))
        return Typed(fill(f"$1 {sign} $2", a, b), kind)

    return meaning


def _decimals(sign: str, left: Typed, right: Typed) -> Typed:
    assert left.type is not None
    assert right.type is not None
    (p, s), (q, t) = (conversions.digits_of(k) for k in (left.type, right.type))
    if sign == "*":
        precision, scale = p + q, s + t
    else:
        precision, scale = max(p - s, q - t) + max(s, t) + 1, max(s, t)
    if precision > _MAX_DIGITS:
        raise Unfit(
            f"the result may have {precision} digits, and decimals have 38 here; cast the "
            f"sides to fewer digits, or to double precision"
        )
    kind = decimal(precision, scale)
    if sign == "*":
        a, b = as_type(left.tree, decimal(_MAX_DIGITS - q, s)), as_type(right.tree, decimal(q, t))
    else:
        a, b = as_type(left.tree, kind), as_type(right.tree, kind)
    return Typed(as_type(fill(f"$1 {sign} $2", a, b), kind), kind)


def _divided(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    left, right, kind = _sides(translate, nodes, scope)
    if kind.kind == "decimal":
        raise Unfit(
            "how many digits a quotient of numerics has is PostgreSQL's own choice; cast "
            "one side to double precision"
        )
    a, b = (conversions.convert(side, kind).tree for side in (left, right))
    return Typed(fill("$1 // $2" if kind.is_integer else "$1 / $2", a, b), kind)


def _remainder(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    left, right, kind = _sides(translate, nodes, scope)
    if not kind.is_integer:
        raise Unfit(f"% is known of integers here, and got {kind}")
    a, b = (conversions.convert(side, kind).tree for side in (left, right))
    tree = fill("CASE WHEN $2 = -1 THEN $1 & 0 ELSE $1 % $2 END", a, b)
    return Typed(as_type(tree, kind), kind)


def _negative(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value = translate(nodes[0], scope)
    if value.type is None or not is_numeric(value.type):
        raise Unfit("minus takes a number")
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        tree = as_type(integer_literal(-value.constant), value.type)
        return Typed(tree, value.type, -value.constant)
    return Typed(fill("-$1", value.tree), value.type)


def _moved_time(
    translate: Translator, nodes: Sequence[exp.Expr], scope: Scope, sign: str
) -> Typed | None:
    left, right = nodes
    if isinstance(left, exp.Interval) and sign == "+":
        left, right = right, left
    if isinstance(right, exp.Interval):
        value = translate(left, scope)
        if value.type == DATE:
            value = conversions.cast(value, TIMESTAMP)
        return moved(value, *interval(right, sign))
    value = translate(left, scope)
    if value.type == DATE:
        other = translate(right, scope)
        if other.type == DATE and sign == "-":
            return Typed(fill("CAST($1 - $2 AS INT)", value.tree, other.tree), INT)
        if other.type is None or not other.type.is_integer:
            raise Unfit("to a date, days or an INTERVAL can be added")
        tree = fill(f"$1 {sign} $2", value.tree, as_type(other.tree, INT))
        return Typed(tree, DATE)
    if value.type == TIMESTAMP:
        raise Unfit(
            "to a timestamp, an INTERVAL can be added; for a difference subtract "
            "extract(epoch FROM …) of both"
        )
    return None


def _equal(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    is_any = isinstance(nodes[1], exp.Any)
    return (_in_array if is_any else compared("="))(translate, nodes, scope)


def _in_array(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``x = ANY(items)``, by three-valued logic."""
    value, items = translate(nodes[0], scope), translate(nodes[1].this, scope)
    if items.type is None or items.type.item is None:
        raise Unfit("ANY takes an array; a subquery looks at other rows")
    value = conversions.convert(value, items.type.item)
    template = (
        "CASE WHEN $1 IS NULL THEN NULL WHEN len($1) = 0 THEN false WHEN $2 IS NULL THEN NULL "
        "WHEN list_contains($1, $2) THEN true WHEN list_position($1, NULL) IS NOT NULL THEN NULL "
        "ELSE false END"
    )
    return Typed(fill(template, items.tree, value.tree), BOOL)


def _item(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    items, place = (translate(n, scope) for n in nodes)
    if items.type is None or items.type.item is None:
        raise Unfit("[ ] takes an array")
    # The parser counts literals from 0.
    if not isinstance(place.constant, int) or place.constant < 0:
        raise Unfit("[ ] takes a literal number of an item here, from 1 on")
    tree = fill("list_extract($1, $2)", items.tree, integer_literal(place.constant + 1))
    return Typed(tree, items.type.item)


def _matches(*, ignores_case: bool) -> Callable[..., exp.Expr]:
    def meaning(value: Typed, pattern: str) -> exp.Expr:
        known = patterns.postgres(pattern, ignores_case=ignores_case)
        return fill("regexp_matches($1, $2)", value.tree, text(known.text))

    return meaning


def _like(word: str) -> Callable[..., exp.Expr]:
    def meaning(value: Typed, pattern: str, escape: str = "\\") -> exp.Expr:
        if word == "ILIKE" and not pattern.isascii():
            raise Unfit("ILIKE is known here for a pattern in ASCII")
        return patterns.likened(word, value, pattern, escape)

    return meaning


def _like_rules(word: str) -> DialectFunction:
    return repaired(
        "the escape character is \\ unless another is named",
        ("string, string! -> bool", _like(word)),
        ("string, string!, string! -> bool", _like(word)),
    )


OPERATORS: Mapping[str, DialectFunction] = {
    "+": special("", _arithmetic("+")),
    "-": special("", _arithmetic("-")),
    "*": special("", _arithmetic("*")),
    "/": special("integers give an integer, cut off; of numerics it is refused", _divided),
    **dict.fromkeys(
        ("%", "mod"), special("of integers; the sign is that of the left side", _remainder)
    ),
    "negative": special("", _negative),
    "=": special("", _equal),
    "<>": special("", compared("<>")),
    "<": special("", compared("<")),
    "<=": special("", compared("<=")),
    ">": special("", compared(">")),
    ">=": special("", compared(">=")),
    "<=>": special("", compared("IS NOT DISTINCT FROM")),
    "is distinct from": special("", compared("IS DISTINCT FROM")),
    "between": special("", between),
    "and": special("", logic("AND")),
    "or": special("", logic("OR")),
    "not": special("", logic("NOT")),
    "[]": special("counted from 1, by a literal; null beyond the ends", _item),
    "||": same(
        ("string, string -> string", "$1 || $2"),
        ("string, integer -> string", "$1 || CAST($2 AS TEXT)"),
        ("integer, string -> string", "CAST($1 AS TEXT) || $2"),
    ),
    "rlike": repaired(
        "patterns of PostgreSQL as RE2's; what RE2 lacks is refused",
        ("string, string! -> bool", _matches(ignores_case=False)),
    ),
    "~*": repaired(
        "patterns of PostgreSQL as RE2's; letters in ASCII",
        ("string, string! -> bool", _matches(ignores_case=True)),
    ),
    "like": _like_rules("LIKE"),
    "ilike": _like_rules("ILIKE"),
    "&": same(("same, same -> same", "$1 & $2")),
    "|": same(("same, same -> same", "$1 | $2")),
    "^": same(("same, same -> same", "xor($1, $2)")),
    "~": same(("integer -> 1", "~$1")),
    "power": close("", ("double, double -> double", "pow($1, $2)")),
}
