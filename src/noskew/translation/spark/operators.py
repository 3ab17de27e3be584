"""Operators of Spark SQL, arithmetic as with ANSI mode off: integers wrap, x / 0 is null."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from noskew.translation.comparisons import between, compared, logic
from noskew.translation.intervals import interval, moved
from noskew.translation.rules import DialectFunction, repaired, same, special
from noskew.translation.spark import casts, conversions
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import (
    DATE,
    DOUBLE,
    INT,
    LONG,
    TIMESTAMP,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
    integer_literal,
    is_numeric,
)
from noskew.types import DType

_MAX_DIGITS = 38


# ---------------------------------------------------------------------------------- arithmetic


def _sides(
    translate: Translator, nodes: Sequence[exp.Expr], scope: Scope
) -> tuple[Typed, Typed, DType]:
    """Two numbers, and the type that they have in common."""
    left, right = (translate(n, scope) for n in nodes)
    for side in (left, right):
        if side.type is not None and not is_numeric(side.type):
            raise Unfit(f"arithmetic takes numbers, and got {side.type}; cast it")
    kind = translate.language.common([left, right])
    if kind is None:
        raise Unfit("NULL has no value to compute with")
    return left, right, kind


def _arithmetic(sign: str) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        if sign in "+-" and (moved := _moved_time(translate, nodes, scope, sign)):
            return moved
        left, right, kind = _sides(translate, nodes, scope)
        if kind.kind == "decimal":
            return _decimals(sign, left, right)
        a, b = (conversions.convert(side, kind).tree for side in (left, right))
        if kind.is_integer:
            wider = "HUGEINT" if kind == LONG else "BIGINT"
            return Typed(casts.wrap(fill(f"CAST($1 AS {wider}) {sign} $2", a, b), kind), kind)
        return Typed(fill(f"$1 {sign} $2", a, b), kind)

    return meaning


def _decimals(sign: str, left: Typed, right: Typed) -> Typed:
    """A sum, difference or product of decimals, where it has no more than 38 digits."""
    (a, p, s), (b, q, t) = (_as_decimal(side) for side in (left, right))
    if sign == "*":
        precision, scale = p + q + 1, s + t
    else:
        precision, scale = max(p - s, q - t) + max(s, t) + 1, max(s, t)
    if precision > _MAX_DIGITS:
        raise Unfit(
            f"the result would have {precision} digits, and there Spark gives up some of "
            f"them; cast the sides to fewer digits, or to double"
        )
    kind = decimal(precision, scale)
    if sign != "*":
        a, b = as_type(a, kind), as_type(b, kind)
    elif p + q > 18:  # DuckDB multiplies in 64 bits unless a side has more digits.
        a = as_type(a, decimal(_MAX_DIGITS - q, s))
    return Typed(as_type(fill(f"$1 {sign} $2", a, b), kind), kind)


def _as_decimal(value: Typed) -> tuple[exp.Expr, int, int]:
    kind = value.type
    if kind is None:
        raise Unfit("NULL has no digits to compute with; cast it to a decimal")
    if kind.kind != "decimal":
        digits = conversions.digits_of(value)
        kind = decimal(digits, 0)
    return casts.cast(value, kind).tree, kind.precision, kind.scale


def _divided(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    left, right, kind = _sides(translate, nodes, scope)
    if kind.kind == "decimal":
        raise Unfit(
            "the digits of a quotient of decimals are not known to be Spark's; cast one "
            "side to double"
        )
    a, b = (casts.cast(side, DOUBLE).tree for side in (left, right))
    return Typed(fill("$1 / nullif($2, 0)", a, b), DOUBLE)


def _divided_whole(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    left, right, kind = _sides(translate, nodes, scope)
    if not kind.is_integer:
        raise Unfit(f"div is known of integers, and got {kind}")
    a, b = left.tree, right.tree
    quotient = fill("CAST($1 AS HUGEINT) // nullif($2, 0)", a, b)
    return Typed(casts.wrap(quotient, LONG), LONG)


def _remainder(*, positive: bool) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        left, right, kind = _sides(translate, nodes, scope)
        if kind.kind == "decimal":
            raise Unfit("the remainder of decimals is not known to be Spark's; cast to double")
        a, b = (conversions.convert(side, kind).tree for side in (left, right))
        if kind.is_integer:  # The remainder of the least number by -1 overflows.
            b = fill("nullif($1, 0)", b)
            rest = fill("CASE WHEN $2 = -1 THEN $1 & 0 ELSE $1 % $2 END", a, b)
            rest = fill("CASE WHEN $2 IS NOT NULL THEN $1 END", rest, b)
            again = casts.wrap(fill("CAST($1 AS HUGEINT) + $2", rest, b), kind)
        else:
            rest = fill("$1 % nullif($2, 0)", a, b)
            again = fill("$1 + $2", rest, b)
        if positive:
            rest = fill("CASE WHEN $1 < 0 THEN $2 % $3 ELSE $1 END", rest, again, b)
        return Typed(as_type(rest, kind), kind)

    return meaning


def _negative(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    value = translate(nodes[0], scope)
    kind = value.type
    if not is_numeric(kind) or kind is None:
        raise Unfit("minus takes a number")
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return Typed(
            integer_literal(-value.constant)
            if kind != LONG
            else as_type(integer_literal(-value.constant), kind),
            kind,
            -value.constant,
        )
    if kind.is_integer:
        return Typed(casts.wrap(fill("0 - CAST($1 AS HUGEINT)", value.tree), kind), kind)
    return Typed(fill("-$1", value.tree), kind)


# --------------------------------------------------------------------------------------- times


def _moved_time(
    translate: Translator, nodes: Sequence[exp.Expr], scope: Scope, sign: str
) -> Typed | None:
    """A date or a timestamp and an interval, or a date and days; None if it is neither."""
    left, right = nodes
    if isinstance(left, exp.Interval) and sign == "+":
        left, right = right, left
    if isinstance(right, exp.Interval):
        return moved(translate(left, scope), *interval(right, sign))
    value = translate(left, scope)
    if value.type == DATE:
        days = translate(right, scope)
        if days.type is None or not days.type.is_integer:
            raise Unfit(
                "to a date, days or an INTERVAL can be added; for a difference of dates "
                "write datediff"
            )
        days = casts.cast(days, INT)
        return Typed(casts.date_after(value.tree, days.tree, sign), DATE)
    if value.type == TIMESTAMP:
        raise Unfit(
            "to a timestamp, an INTERVAL can be added; for a difference of timestamps "
            "subtract what unix_micros or unix_timestamp gives"
        )
    return None


# --------------------------------------------------------------------------------- comparisons


#: An item counted from 0; null beyond the ends.
ITEM_FROM_0 = "CASE WHEN $2 >= 0 THEN list_extract($1, CAST($2 AS BIGINT) + 1) END"


def _item(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``items[i]``, counted from 0; null beyond the ends."""
    items, place = (translate(n, scope) for n in nodes)
    if items.type is None or items.type.item is None:
        raise Unfit("[ ] takes an array; maps and structs are no types here")
    if place.type is None or not place.type.is_integer:
        raise Unfit("[ ] takes the number of an item")
    tree = fill(ITEM_FROM_0, items.tree, place.tree)
    if place.constant is not None and isinstance(place.constant, int) and place.constant >= 0:
        tree = fill("list_extract($1, $2)", items.tree, integer_literal(place.constant + 1))
    return Typed(tree, items.type.item)


OPERATORS: Mapping[str, DialectFunction] = {
    "+": special(
        "integers wrap around as in Java; a date and an INTERVAL stay a date", _arithmetic("+")
    ),
    "-": special(
        "integers wrap around as in Java; a date and an INTERVAL stay a date", _arithmetic("-")
    ),
    "*": special("integers wrap around as in Java", _arithmetic("*")),
    "/": special("of integers a float; by 0 it is null; of two decimals it is refused", _divided),
    "div": special("by 0 it is null", _divided_whole),
    "%": special("by 0 it is null; the sign is that of the left side", _remainder(positive=False)),
    "mod": special(
        "by 0 it is null; the sign is that of the left side", _remainder(positive=False)
    ),
    "pmod": special(
        "by 0 it is null; never negative for a positive right side", _remainder(positive=True)
    ),
    "negative": special("integers wrap around as in Java", _negative),
    "=": special("", compared("=")),
    "<>": special("", compared("<>")),
    "<": special("", compared("<")),
    "<=": special("", compared("<=")),
    ">": special("", compared(">")),
    ">=": special("", compared(">=")),
    "<=>": special("", compared("IS NOT DISTINCT FROM")),
    "equal_null": special("", compared("IS NOT DISTINCT FROM")),
    "is distinct from": special("", compared("IS DISTINCT FROM")),
    "between": special("", between),
    "and": special("", logic("AND")),
    "or": special("", logic("OR")),
    "not": special("", logic("NOT")),
    "[]": special("counted from 0; null beyond the ends", _item),
    "&": same(("same, same -> same", "$1 & $2")),
    "|": same(("same, same -> same", "$1 | $2")),
    "^": same(("same, same -> same", "xor($1, $2)")),
    "~": same(("integer -> 1", "~$1")),
    "||": repaired("", ("string, string -> string", "$1 || $2")),
}
