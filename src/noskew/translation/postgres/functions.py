"""Functions of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from noskew.translation.comparisons import array, call, coalesced
from noskew.translation.intervals import naive_timestamp, zoned
from noskew.translation.postgres import conversions
from noskew.translation.rules import DialectFunction, close, repaired, same, special
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import (
    DATE,
    DOUBLE,
    TIMESTAMP,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
    integer_literal,
    text,
)

_TRUNCATED = frozenset("year quarter month week day hour minute second".split())
#: What ``extract`` gives, by field, of a timestamp without a zone.
_FIELDS: Mapping[str, str] = {
    "year": "year($1)",
    "month": "month($1)",
    "day": "day($1)",
    "hour": "hour($1)",
    "minute": "minute($1)",
    "quarter": "quarter($1)",
    "week": "weekofyear($1)",
    "dow": "dayofweek($1)",
    "isodow": "isodow($1)",
    "doy": "dayofyear($1)",
    "isoyear": "isoyear($1)",
}


def _field(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``extract(field FROM time)``: a numeric; of date_part, a double precision."""
    name = str(translate(nodes[0], scope).constant).lower()
    value = translate(nodes[1], scope)
    if value.type not in (DATE, TIMESTAMP):
        raise Unfit(f"it takes a date or a timestamp, and got {value.type}")
    if value.type == DATE:
        value = conversions.cast(value, TIMESTAMP)
    if name == "epoch":
        return _scaled(fill("epoch_us($1)", value.tree), 20)
    if name == "second":
        return _scaled(fill("microsecond($1)", naive_timestamp(value.tree)), 8)
    if name not in _FIELDS:
        known = ", ".join((*_FIELDS, "second", "epoch"))
        raise Unfit(f"{name!r} is no field that it knows; known are {known}")
    kind = decimal(10, 0)
    return Typed(as_type(fill(_FIELDS[name], naive_timestamp(value.tree)), kind), kind)


def _scaled(micros: exp.Expr, digits: int) -> Typed:
    """Microseconds as seconds, with six digits after the point."""
    kind = decimal(digits, 6)
    wide = fill("CAST($1 AS DECIMAL(20, 0)) * CAST('0.000001' AS DECIMAL(6, 6))", micros)
    return Typed(as_type(wide, kind), kind)


def _date_part(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    return conversions.cast(_field(translate, nodes, scope), DOUBLE)


def _truncated_time(name: str, value: Typed) -> exp.Expr:
    if name.lower() not in _TRUNCATED:
        raise Unfit(f"{name!r} is no unit that it knows; known are {', '.join(sorted(_TRUNCATED))}")
    return zoned(fill(f"date_trunc('{name.lower()}', $1)", naive_timestamp(value.tree)))


def _rounded(word: str) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        value = translate(nodes[0], scope)
        kind = value.type
        places = translate(nodes[1], scope).constant if len(nodes) == 2 else 0
        if kind is None or len(nodes) > 2 or not isinstance(places, int):
            raise Unfit("it takes a number, and a literal number of places")
        if kind.is_float or kind.is_integer:
            if len(nodes) == 2:
                raise Unfit(f"PostgreSQL has it for a numeric with places, and got {kind}; cast it")
            function = "round_even($1, 0)" if word == "round" else f"{word}($1)"
            tree = conversions.cast(value, DOUBLE).tree
            return Typed(fill(function, tree), DOUBLE)
        if kind.kind != "decimal" or places < 0:
            raise Unfit(f"it takes a number and places from 0 on, and got {kind}")
        scale = min(places, kind.scale)
        to = decimal(min(kind.precision - kind.scale + scale + 1, 38), scale)
        wide = decimal(min(kind.precision + 1, 38), kind.scale)
        same_scale = scale == kind.scale
        function = f"{word}($1, {scale})" if word == "round" or scale else f"{word}($1)"
        tree = value.tree if same_scale else fill(function, as_type(value.tree, wide))
        return Typed(as_type(tree, to), to)

    return meaning


def _whole(word: str) -> Callable[..., Typed]:
    def meaning(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        value = translate(nodes[0], scope)
        kind = value.type
        if kind is None or len(nodes) != 1:
            raise Unfit("it takes one number")
        if kind.kind == "decimal":
            to = decimal(min(kind.precision - kind.scale + 1, 38), 0)
            return Typed(as_type(fill(f"{word}($1)", value.tree), to), to)
        return Typed(fill(f"{word}($1)", conversions.convert(value, DOUBLE).tree), DOUBLE)

    return meaning


def _length(value: Typed, dimension: int) -> exp.Expr:
    if dimension != 1:
        raise Unfit("arrays have one dimension here")
    return fill("CAST(nullif(len($1), 0) AS INT)", value.tree)


def _part(value: Typed, separator: str, place: int) -> exp.Expr:
    if not separator or place == 0:
        raise Unfit("the separator is not empty, and parts count from 1, or from the end")
    return fill("split_part($1, $2, $3)", value.tree, text(separator), integer_literal(place))


def _padded(side: str) -> Callable[..., exp.Expr]:
    def meaning(value: Typed, length: Typed, pad: str = " ") -> exp.Expr:
        size = fill("CASE WHEN $1 < 0 THEN 0 ELSE $1 END", length.tree)
        if not pad:
            return fill("left($1, $2)", value.tree, size)
        return fill(f"{side}pad($1, $2, $3)", value.tree, size, text(pad))

    return meaning


#: Characters before the first are not there, but count.
_SUBSTRING = (
    "CASE WHEN $2 IS NOT NULL AND $3 IS NOT NULL THEN substring($1, greatest($2, 1)::BIGINT, "
    "greatest(CAST($2 AS BIGINT) + $3 - greatest($2, 1), 0)) END"
)
_TO_END = "CASE WHEN $2 IS NOT NULL THEN substring($1, greatest($2, 1)::BIGINT) END"
_FIND = same(("string, string -> int", "CAST(instr($1, $2) AS INT)"))
_CASES = "letters beyond ASCII become one letter; in PostgreSQL they follow the collation"

FUNCTIONS: Mapping[str, DialectFunction] = {
    **dict.fromkeys(("extract",), special("", _field)),
    "date_part": special("extract, as a double precision", _date_part),
    "date_trunc": repaired(
        "in UTC; the unit is a literal", ("string!, timestamp -> timestamp", _truncated_time)
    ),
    **dict.fromkeys(
        ("length", "char_length", "character_length"),
        same(("string -> int", "CAST(length($1) AS INT)")),
    ),
    "octet_length": same(("string -> int", "CAST(strlen($1) AS INT)")),
    "lower": repaired(_CASES, ("string -> string", "lower($1)")),
    "upper": repaired(_CASES, ("string -> string", "upper($1)")),
    "trim": same(("string -> string", "trim($1, ' ')")),
    "btrim": same(
        ("string -> string", "trim($1, ' ')"), ("string, string -> string", "trim($1, $2)")
    ),
    "ltrim": same(
        ("string -> string", "ltrim($1, ' ')"), ("string, string -> string", "ltrim($1, $2)")
    ),
    "rtrim": same(
        ("string -> string", "rtrim($1, ' ')"), ("string, string -> string", "rtrim($1, $2)")
    ),
    "trim both": same(("string, string -> string", "trim($1, $2)")),
    "trim leading": same(("string, string -> string", "ltrim($1, $2)")),
    "trim trailing": same(("string, string -> string", "rtrim($1, $2)")),
    **dict.fromkeys(
        ("substring", "substr"),
        repaired(
            "positions before the first character count",
            ("string, int, int -> string", _SUBSTRING),
            ("string, int -> string", _TO_END),
        ),
    ),
    "left": same(("string, int -> string", "left($1, $2)")),
    "right": same(("string, int -> string", "right($1, $2)")),
    "position": same(("string, string -> int", "CAST(instr($2, $1) AS INT)")),
    "strpos": _FIND,
    "replace": same(("string, string, string -> string", "replace($1, $2, $3)")),
    "translate": same(("string, string, string -> string", "translate($1, $2, $3)")),
    "repeat": same(
        ("string, int -> string", "repeat($1, CAST(CASE WHEN $2 < 0 THEN 0 ELSE $2 END AS BIGINT))")
    ),
    "reverse": repaired(
        "code points, not what is seen as one sign",
        ("string -> string", "array_to_string(list_reverse(string_split($1, '')), '')"),
    ),
    "lpad": repaired(
        "padding may be empty; it is a literal",
        ("string, int -> string", _padded("l")),
        ("string, int, string! -> string", _padded("l")),
    ),
    "rpad": repaired(
        "padding may be empty; it is a literal",
        ("string, int -> string", _padded("r")),
        ("string, int, string! -> string", _padded("r")),
    ),
    "split_part": same(("string, string!, int! -> string", _part)),
    "starts_with": same(("string, string -> bool", "starts_with($1, $2)")),
    "ascii": same(("string -> int", "ascii($1)")),
    "md5": same(("string -> string", "md5(encode($1))")),
    "concat": same(("string, … -> string", call("concat"))),
    "coalesce": special("", coalesced),
    "nullif": same(("same, same -> same", "nullif($1, $2)")),
    "greatest": same(("same, same, … -> same", call("greatest"))),
    "least": same(("same, same, … -> same", call("least"))),
    "abs": same(("number -> 1", "abs($1)")),
    "ceil": special("", _whole("ceil")),
    "ceiling": special("", _whole("ceil")),
    "floor": special("", _whole("floor")),
    "round": DialectFunction(
        (),
        "halves of a double precision go to the even digit, of a numeric away from zero",
        special=_rounded("round"),
    ),
    "trunc": special("", _rounded("trunc")),
    "sign": repaired(
        "the sign of NaN is 0",
        ("double -> double", "CASE WHEN isnan($1) THEN 0 ELSE CAST(sign($1) AS DOUBLE) END"),
    ),
    "sqrt": same(("double -> double", "sqrt($1)")),
    "cbrt": close("", ("double -> double", "cbrt($1)")),
    "exp": close("", ("double -> double", "exp($1)")),
    "ln": close("", ("double -> double", "ln($1)")),
    "log": close("", ("double -> double", "log10($1)")),
    "log10": close("", ("double -> double", "log10($1)")),
    "power": close("", ("double, double -> double", "pow($1, $2)")),
    "pi": same(("-> double", "pi()")),
    "array": special("", array),
    "cardinality": same(("list -> int", "CAST(len($1) AS INT)")),
    "array_length": repaired("null for an empty one", ("list, int! -> int", _length)),
    "array_position": same(("list, item -> int", "CAST(list_position($1, $2) AS INT)")),
    "array_append": repaired(
        "to null, too", ("list, item -> list", "list_append(coalesce($1, []), $2)")
    ),
}
