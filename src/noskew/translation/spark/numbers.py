"""Functions of numbers, and of nulls and conditions, of Spark SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from noskew.translation.comparisons import call, coalesced
from noskew.translation.rules import DialectFunction, close, repaired, same, special
from noskew.translation.spark import casts
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import DOUBLE, INT, LONG, STRING, Typed, Unfit, as_type, decimal, fill
from noskew.types import DType

_MAX_PLACES = 15


def _rounded(word: str) -> Callable[..., exp.Expr]:
    """Rounding by the decimal digits that a float is written with, as Java's BigDecimal does."""

    def meaning(value: Typed, places: int = 0) -> exp.Expr:
        kind = value.type
        assert kind is not None
        if kind.is_integer:
            return value.tree if places >= 0 else _rounded_integer(word, value, kind, -places)
        if not 0 <= places <= _MAX_PLACES:
            raise Unfit(f"floats are rounded here to 0 to {_MAX_PLACES} places, not to {places}")
        # A float has no more than 17 digits: from 10^(17 - places) on, it has fewer places.
        wide = decimal(38, 21 + places)
        digits = fill("CAST(CAST($1 AS DOUBLE) AS TEXT)", value.tree)
        exact = fill(f"{word}($1, {places})", as_type(digits, wide))
        exact = as_type(as_type(exact, STRING), kind)
        return fill(
            f"CASE WHEN abs($1) < 1e{17 - places}::DOUBLE THEN $2 ELSE $1 END", value.tree, exact
        )

    return meaning


def _rounded_integer(word: str, value: Typed, kind: DType, zeros: int) -> exp.Expr:
    if word == "round_even" or zeros > 18:
        raise Unfit("integers are rounded here by round, and to 18 zeros at most")
    step = 10**zeros
    half = fill(f"CAST($1 AS HUGEINT) + sign($1) * {step // 2}", value.tree)
    return casts.wrap(fill(f"($1 // {step}) * {step}", half), kind)


def _decimal_rounded(word: str) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        value = translate(nodes[0], scope)
        places = translate(nodes[1], scope).constant if len(nodes) > 1 else 0
        if len(nodes) > 2 or not isinstance(places, int) or isinstance(places, bool):
            raise Unfit("it takes a number, and a literal number of places")
        kind = value.type
        if kind is None or not (kind.is_integer or kind.is_float or kind.kind == "decimal"):
            raise Unfit(f"it takes a number, and got {kind}")
        if kind.kind != "decimal":
            return Typed(_rounded(word)(value, places), kind)
        if places < 0:
            raise Unfit("decimals are rounded here to 0 places or more")
        scale = min(places, kind.scale)
        to = decimal(min(kind.precision - kind.scale + scale + 1, 38), scale)
        wide = decimal(min(kind.precision + 1, 38), kind.scale)
        tree = (
            fill(f"{word}($1, {scale})", as_type(value.tree, wide))
            if scale < kind.scale
            else (value.tree)
        )
        return Typed(as_type(tree, to), to)

    return meaning


def _whole(word: str) -> tuple[tuple[str, str | Callable[..., exp.Expr]], ...]:
    def meaning(value: Typed) -> exp.Expr:
        tree = as_type(fill(f"{word}($1)", value.tree), DOUBLE)
        return casts.cast(Typed(tree, DOUBLE), LONG).tree

    return (
        ("integer -> long", "CAST($1 AS BIGINT)"),
        ("double -> long", meaning),
    )


def _where(test: str, template: str) -> str:
    return f"CASE WHEN {test} THEN {template} END"


def _trigonometric(name: str) -> DialectFunction:
    return close("", ("double -> double", f"{name}($1)"))


def _chosen(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    if len(nodes) != 3:
        raise Unfit("it takes a condition and two values")
    test = translate.as_bool(translate(nodes[0], scope))
    yes, no = translate.unified([translate(n, scope) for n in nodes[1:]])
    tree = fill("CASE WHEN $1 THEN $2 ELSE $3 END", test.tree, yes.tree, no.tree)
    return Typed(tree, yes.type or no.type)


def _absolute(value: Typed) -> exp.Expr:
    assert value.type is not None
    if value.type.is_integer:
        return casts.wrap(fill("abs(CAST($1 AS HUGEINT))", value.tree), value.type)
    return fill("abs($1)", value.tree)


def _shifted(sign: str) -> Callable[..., exp.Expr]:
    """Bits moved as in Java: by the remainder of the width, and those that leave are lost."""

    def meaning(value: Typed, by: Typed) -> exp.Expr:
        kind = LONG if value.type == LONG else INT
        mask = 63 if kind == LONG else 31
        amount = fill(f"$1 & {mask}", by.tree)
        if sign == ">>":
            return fill("$1 >> $2", as_type(value.tree, kind), as_type(amount, kind))
        if sign == ">>>":
            low = 2 ** (mask + 1) - 1
            bits = fill(f"CAST($1 AS HUGEINT) & {low}::HUGEINT", value.tree)
            return casts.wrap(fill("$1 // CAST(pow(2::DOUBLE, $2) AS HUGEINT)", bits, amount), kind)
        kept = fill("CAST($1 AS HUGEINT)", value.tree)
        if kind == LONG:  # 127 bits hold a product of 64 bits by 2^62 only.
            kept = fill("$1 & ((1::HUGEINT << (63 - $2)) * 2 - 1)", kept, amount)
        return casts.wrap(fill("$1 * CAST(pow(2::DOUBLE, $2) AS HUGEINT)", kept, amount), kind)

    return meaning


def _shift_rules(sign: str) -> DialectFunction:
    rules = (("int, int -> int", _shifted(sign)), ("long, int -> long", _shifted(sign)))
    return repaired("by the remainder of the width", *rules)


#: Kahan's way to the last bits near 0, where DuckDB has no such function.
_EXPM1 = (
    "CASE WHEN exp($1) = 1 OR isnan($1) THEN $1 "
    "WHEN exp($1) - 1 = -1 OR isinf(exp($1)) THEN exp($1) - 1 "
    "ELSE (exp($1) - 1) * ($1 / ln(exp($1))) END"
)
_LOG1P = (
    "CASE WHEN $1 > -1 THEN CASE WHEN 1 + $1 = 1 THEN $1 WHEN isfinite($1) "
    "THEN ln(1 + $1) * ($1 / ((1 + $1) - 1)) ELSE $1 END END"
)
_LOG = close("null for 0 and below", ("double -> double", _where("$1 > 0", "ln($1)")))
_CEIL, _FLOOR = (
    repaired("of a float a bigint, cut off at its ends", *_whole(w)) for w in ("ceil", "floor")
)
#: In C, 1 to the power of anything is 1; in Java it may be NaN.
_POWER = close(
    "NaN for 1 to the power of NaN or infinity",
    (
        "double, double -> double",
        "CASE WHEN isnan($2) OR (isinf($2) AND abs($1) = 1) THEN $1 * 'nan'::DOUBLE "
        "ELSE pow($1, $2) END",
    ),
)
_COALESCE = special("", coalesced)
_SIGN = same(
    (
        "double -> double",
        "CASE WHEN isnan($1) OR $1 = 0 THEN $1 ELSE CAST(sign($1) AS DOUBLE) END",
    )
)


def _within(sign: str) -> DialectFunction:
    """Null instead of an overflow."""
    whole = f"TRY_CAST(CAST($1 AS HUGEINT) {sign} $2 AS {{}})"
    return repaired(
        "null beyond the type",
        ("int, int -> int", whole.format("INT")),
        ("long, long -> long", whole.format("BIGINT")),
        ("double, double -> double", f"$1 {sign} $2"),
    )


NUMBERS: Mapping[str, DialectFunction] = {
    **dict.fromkeys(("coalesce", "nvl", "ifnull"), _COALESCE),
    "if": special("", _chosen),
    "nvl2": same(("any, same, same -> same", "CASE WHEN $1 IS NOT NULL THEN $2 ELSE $3 END")),
    "nullif": same(("same, same -> same", "nullif($1, $2)")),
    "nullifzero": same(("integer -> 1", "nullif($1, 0)"), ("fraction -> 1", "nullif($1, 0)")),
    "zeroifnull": same(("integer -> 1", "coalesce($1, 0)"), ("fraction -> 1", "coalesce($1, 0)")),
    "isnull": same(("any -> bool", "$1 IS NULL")),
    "isnotnull": same(("any -> bool", "$1 IS NOT NULL")),
    "isnan": repaired("false for null", ("fraction -> bool", "coalesce(isnan($1), false)")),
    "nanvl": repaired(
        "the second value where the first is NaN",
        ("double, double -> double", "CASE WHEN isnan($1) THEN $2 ELSE $1 END"),
    ),
    "greatest": same(("same, same, … -> same", call("greatest"))),
    "least": same(("same, same, … -> same", call("least"))),
    "abs": repaired("integers wrap around as in Java", ("number -> 1", _absolute)),
    "positive": same(("number -> 1", "$1")),
    **dict.fromkeys(("ceil", "ceiling"), _CEIL),
    "floor": _FLOOR,
    "round": DialectFunction(
        (),
        "floats by their decimal digits, halves away from zero",
        special=_decimal_rounded("round"),
    ),
    "bround": DialectFunction(
        (),
        "floats by their decimal digits, halves to the even digit",
        special=_decimal_rounded("round_even"),
    ),
    "rint": same(("double -> double", "round_even($1, 0)")),
    "sqrt": same(("double -> double", "sqrt($1)")),
    "cbrt": close("", ("double -> double", "cbrt($1)")),
    "exp": close("", ("double -> double", "exp($1)")),
    "expm1": close("", ("double -> double", _EXPM1)),
    "ln": _LOG,
    "log1p": close("null for -1 and below", ("double -> double", _LOG1P)),
    "log": close(
        "null for 0 and below",
        ("double -> double", _where("$1 > 0", "ln($1)")),
        ("double, double -> double", _where("$1 > 0 AND $2 > 0", "ln($2) / ln($1)")),
    ),
    "log2": close("null for 0 and below", ("double -> double", _where("$1 > 0", "log2($1)"))),
    "log10": close("null for 0 and below", ("double -> double", _where("$1 > 0", "log10($1)"))),
    **dict.fromkeys(("pow", "power"), _POWER),
    **{
        n: _trigonometric(n)
        for n in (
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "cot",
            "degrees",
            "radians",
        )
    },
    "atan2": close("", ("double, double -> double", "atan2($1 + 0.0::DOUBLE, $2 + 0.0::DOUBLE)")),
    "pi": same(("-> double", "pi()")),
    "e": same(("-> double", "2.718281828459045::DOUBLE")),
    **dict.fromkeys(("sign", "signum"), _SIGN),
    "factorial": repaired(
        "null beyond 0 to 20",
        ("int -> long", "CASE WHEN $1 BETWEEN 0 AND 20 THEN CAST(factorial($1) AS BIGINT) END"),
    ),
    "bit_count": same(("long -> int", "CAST(bit_count($1) AS INT)")),
    "shiftleft": _shift_rules("<<"),
    "shiftright": _shift_rules(">>"),
    "shiftrightunsigned": _shift_rules(">>>"),
    "bin": same(("long -> string", "bin($1)")),
    "try_divide": repaired("null by 0", ("double, double -> double", "$1 / nullif($2, 0)")),
    "try_add": _within("+"),
    "try_subtract": _within("-"),
    "try_multiply": _within("*"),
}
