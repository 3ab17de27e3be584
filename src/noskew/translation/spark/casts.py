"""Casts of Spark SQL with ANSI mode off: no value makes one fail.

Integers wrap around, floats that become integers are cut off and saturate (NaN becomes 0), and
text that is no value of the type becomes null.
"""

from __future__ import annotations

from sqlglot import exp

from noskew.translation.casting import Casts, by_duckdb, cast_by
from noskew.translation.intervals import naive_timestamp, zoned
from noskew.translation.typed import (
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    INTEGERS,
    LONG,
    STRING,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
)
from noskew.types import DType

#: What Spark takes off both ends of a text before it reads a number or a date: ASCII white space
#: and control characters.
_SPACE = r"[\x{00}-\x{20}\x{7f}]*"
_INTEGER_TEXT = rf"{_SPACE}[+-]?(?:\d+(?:\.\d*)?|\.\d*){_SPACE}"
_NUMBER_TEXT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
#: Java trims what is not above the space, and nothing else.
_JAVA_SPACE = r"[\x{00}-\x{20}]*"
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def wrap(tree: exp.Expr, to: DType) -> exp.Expr:
    """The integer of a type with the lowest bits of a wider one: Java's overflow."""
    bits = _BITS[to.kind]
    mask, sign = 2**bits - 1, 2 ** (bits - 1)
    suffix = "::HUGEINT" if bits == 64 else ""
    wrapped = fill(f"xor($1 & {mask}{suffix}, {sign}{suffix}) - {sign}{suffix}", tree)
    return as_type(wrapped, to)


def seconds_of(tree: exp.Expr) -> exp.Expr:
    """Whole seconds since the epoch, rounded down, of a timestamp from year 1 on."""
    return fill("(epoch_us($1) + 62135596800000000) // 1000000 - 62135596800", tree)


# ------------------------------------------------------------------------------------- numbers


def _integer_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    is_wider = INTEGERS.index(kind) < INTEGERS.index(to)
    return as_type(tree, to) if is_wider else wrap(tree, to)


def timestamp_of(tree: exp.Expr, micros: int) -> exp.Expr:
    """The timestamp of a number of units since the epoch; null beyond the years 1 to 9999.

    A CASE and no TRY: DuckDB computes what occurs twice in a statement outside of a TRY.
    """
    low, high = -62_135_596_800_000_000 // micros, 253_402_300_799_999_999 // micros
    return fill(
        f"CASE WHEN $1 BETWEEN ({low})::BIGINT AND {high}::BIGINT "
        f"THEN make_timestamptz(CAST($1 AS BIGINT) * {micros}) END",
        tree,
    )


def date_after(tree: exp.Expr, days: exp.Expr, sign: str = "+") -> exp.Expr:
    """A date some days later; the number of days since the epoch wraps around as in Java."""
    since = fill(f"($1 - DATE '1970-01-01') {sign} CAST($2 AS BIGINT)", tree, days)
    return fill("make_date($1)", wrap(since, INT))


def date_of(year: exp.Expr, month: exp.Expr, day: exp.Expr) -> exp.Expr:
    """The date of three texts of digits; null where there is none."""
    return as_type(fill("$1 || '-' || $2 || '-' || $3", year, month, day), DATE, safe=True)


def _integer_to_timestamp(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    return timestamp_of(tree, 1_000_000)


def _float_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    if to in INTEGERS[:2]:
        return wrap(_float_to_integer(tree, kind, INT), to)
    bits = _BITS[to.kind]
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
    return fill(
        f"CASE WHEN isnan($1) THEN 0 WHEN $1 >= {high}::DOUBLE THEN {high - 1} "
        f"WHEN $1 <= ({low})::DOUBLE THEN ({low})::{'BIGINT' if bits == 64 else 'INT'} "
        f"ELSE CAST(trunc($1) AS {'BIGINT' if bits == 64 else 'INT'}) END",
        tree,
    )


def _double_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    # From the middle between the largest float and the next power of two on, it is infinite.
    limit = float(2**128 - 2**103)
    return fill(
        f"CASE WHEN isfinite($1) AND abs($1) >= {limit!r}::DOUBLE "
        f"THEN CAST(sign($1) * 'inf'::DOUBLE AS FLOAT) ELSE CAST($1 AS FLOAT) END",
        tree,
    )


def _float_to_decimal(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return _read_decimal(fill("CAST(CAST($1 AS DOUBLE) AS TEXT)", tree), to)


def _read_decimal(tree: exp.Expr, to: DType) -> exp.Expr:
    """A text as a decimal. DuckDB checks the size of texts with an exponent at 38 digits only."""
    return as_type(as_type(tree, decimal(38, to.scale), safe=True), to, safe=True)


def _decimal_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return wrap(fill("CAST(trunc($1) AS HUGEINT)", tree), to)


def _decimal_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    # DuckDB divides by a power of ten, which rounds twice; text is read correctly rounded.
    return as_type(fill("CAST($1 AS TEXT)", tree), to)


def _decimal_to_text(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    if kind.scale > 6:
        raise Unfit(
            "Spark writes small decimals of more than 6 places with an exponent; cast it "
            "to decimal(38, 6) or fewer places first"
        )
    return as_type(tree, to)


def _to_bool(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    return fill("$1 <> 0", tree)


# ---------------------------------------------------------------------------------------- text


def _text_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    digits = fill(
        rf"CASE WHEN regexp_full_match($1, '{_INTEGER_TEXT}') "
        rf"THEN concat(regexp_extract($1, '([+-]?)', 1), '0', regexp_extract($1, '[+-]?(\d*)', 1)) "
        rf"END",
        fill(f"regexp_replace($1, '^{_SPACE}', '')", tree),
    )
    return as_type(digits, to, safe=True)


def _text_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(
        fill(
            rf"CASE WHEN regexp_full_match($1, '{_NUMBER_TEXT}[dDfF]?') THEN rtrim($1, 'dDfF') "
            rf"WHEN regexp_full_match($1, '[+-]?(?i:inf|infinity)') THEN $1 "
            rf"WHEN regexp_full_match($1, '(?i:nan)') THEN $1 END",
            fill(f"regexp_extract($1, '^{_JAVA_SPACE}((?s:.*?)){_JAVA_SPACE}$', 1)", tree),
        ),
        to,
        safe=True,
    )


def _text_to_decimal(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    number = fill(f"regexp_extract($1, '^{_SPACE}({_NUMBER_TEXT}){_SPACE}$', 1)", tree)
    return _read_decimal(fill("nullif($1, '')", number), to)


def _text_to_bool(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    word = fill(f"lower(regexp_extract($1, '^{_SPACE}((?s:.*?)){_SPACE}$', 1))", tree)
    return fill(
        "CASE WHEN $1 IN ('t', 'true', 'y', 'yes', '1') THEN true "
        "WHEN $1 IN ('f', 'false', 'n', 'no', '0') THEN false END",
        word,
    )


def _text_to_date(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    # yyyy, yyyy-m, yyyy-m-d, and then a space or a T and anything.
    year = "[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]"
    day = r"(?:-(\d{1,2})(?:[ T](?s:.*))?)?"
    pattern = rf"^{_SPACE}\+?0{{0,3}}({year})(?:-(\d{{1,2}}){day})?{_SPACE}$"
    parts = fill(f"regexp_extract($1, '{pattern}', ['y', 'm', 'd'])", tree)
    month, number = (
        fill(f"coalesce(nullif(struct_extract($1, '{name}'), ''), '1')", parts) for name in "md"
    )
    return date_of(fill("struct_extract($1, 'y')", parts), month, number)


def _text_to_timestamp(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del tree, kind, to
    raise Unfit(
        "Spark reads time zones by name, and times without a date, from the text; give a "
        "format: to_timestamp(text, 'yyyy-MM-dd HH:mm:ss')"
    )


# --------------------------------------------------------------------------------------- times


def _safely_by_duckdb(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(tree, to, safe=True)


def _date_to_timestamp(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind, to
    return zoned(fill("CAST($1 AS TIMESTAMP)", tree))


def _timestamp_to_date(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(naive_timestamp(tree), to)


def _timestamp_to_text(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    return as_type(naive_timestamp(tree), to)


def _timestamp_to_integer(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    seconds = seconds_of(tree)
    return seconds if to == LONG else as_type(seconds, to, safe=True)


def _timestamp_to_float(tree: exp.Expr, kind: DType, to: DType) -> exp.Expr:
    del kind
    seconds = fill("CAST(epoch_us($1) AS DOUBLE) / 1000000.0::DOUBLE", tree)
    return seconds if to == DOUBLE else _double_to_float(seconds, DOUBLE, FLOAT)


#: By the group of the type that a value has and of the one that it gets.
_CASTS: Casts = {
    ("integer", "integer"): _integer_to_integer,
    ("integer", "float"): by_duckdb,
    ("integer", "decimal"): _safely_by_duckdb,
    ("integer", "string"): by_duckdb,
    ("integer", "bool"): _to_bool,
    ("integer", "timestamp"): _integer_to_timestamp,
    ("float", "integer"): _float_to_integer,
    ("float", "decimal"): _float_to_decimal,
    ("float", "bool"): _to_bool,
    ("decimal", "integer"): _decimal_to_integer,
    ("decimal", "float"): _decimal_to_float,
    ("decimal", "decimal"): _safely_by_duckdb,
    ("decimal", "string"): _decimal_to_text,
    ("decimal", "bool"): _to_bool,
    ("bool", "integer"): by_duckdb,
    ("bool", "float"): by_duckdb,
    ("bool", "string"): by_duckdb,
    ("string", "integer"): _text_to_integer,
    ("string", "float"): _text_to_float,
    ("string", "decimal"): _text_to_decimal,
    ("string", "bool"): _text_to_bool,
    ("string", "date"): _text_to_date,
    ("string", "timestamp"): _text_to_timestamp,
    ("date", "timestamp"): _date_to_timestamp,
    ("date", "string"): by_duckdb,
    ("timestamp", "date"): _timestamp_to_date,
    ("timestamp", "string"): _timestamp_to_text,
    ("timestamp", "integer"): _timestamp_to_integer,
    ("timestamp", "float"): _timestamp_to_float,
}


def cast(value: Typed, to: DType) -> Typed:
    """The value as another type. Raises Unfit where Spark has no such cast, or we do not."""
    kind = value.type
    if kind is None:
        return Typed(as_type(value.tree, to), to)
    if kind == to:
        return value
    if kind == FLOAT and to == DOUBLE:
        return Typed(as_type(value.tree, to), to)
    if kind == DOUBLE and to == FLOAT:
        return Typed(_double_to_float(value.tree, kind, to), to)
    if kind.kind == "vector" and to.kind == "list" and kind.item == to.item:
        return Typed(as_type(value.tree, to), to)
    if kind.is_float and to == STRING:
        raise Unfit(
            "Java writes floats in a way of its own (1.0E10); round it and cast it to a "
            "decimal first: CAST(CAST(x AS DECIMAL(18, 2)) AS STRING)"
        )
    return cast_by(_CASTS, value, to)
