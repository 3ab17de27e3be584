"""Dates and timestamps: with a zone and without, written in the text, and moved by intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from sqlglot import exp

from noskew.translation.typed import DATE, TIMESTAMP, Typed, Unfit, as_type, fill, integer_literal
from noskew.types import DType

_UNITS: Mapping[str, str] = {
    "YEAR": "year",
    "MONTH": "month",
    "WEEK": "week",
    "DAY": "day",
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
}
_DATE_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_TEXT = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?)?"
)
#: So many years from any date of noskew are still a date of DuckDB.
_UNITS_AT_MOST = 100_000


def naive_timestamp(tree: exp.Expr) -> exp.Expr:
    """A timestamp in UTC as one without a zone, by arithmetic alone."""
    if isinstance(tree, exp.Anonymous) and tree.name == "make_timestamptz":
        inner = tree.expressions[0]  # It was made by zoned().
        if isinstance(inner, exp.Anonymous) and inner.name == "epoch_us":
            plain: exp.Expr = inner.expressions[0]
            return plain
    return fill("make_timestamp(epoch_us($1))", tree)


def zoned(tree: exp.Expr) -> exp.Expr:
    """A timestamp without a zone as one in UTC."""
    return fill("make_timestamptz(epoch_us($1))", tree)


def literal_time(value: str, to: DType) -> Typed:
    """A date or a timestamp that stands in the text. Raises Unfit for anything but ISO forms."""
    try:
        if to == DATE:
            day = exp.Literal.string(date.fromisoformat(value).isoformat())
            return Typed(as_type(day, DATE), DATE)
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Unfit(f"{value!r} is no {to}: write '2020-01-31' or '2020-01-31 12:00:00'") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    text = exp.Literal.string(moment.isoformat(sep=" "))
    return Typed(as_type(text, TIMESTAMP), TIMESTAMP)


def written_time(value: Typed, to: DType) -> Typed:
    """A text that is a literal, as a date or a timestamp. Raises Unfit for anything else."""
    pattern = _DATE_TEXT if to == DATE else _TIME_TEXT
    if not isinstance(value.constant, str) or not pattern.fullmatch(value.constant):
        form = "'2020-01-31'" if to == DATE else "'2020-01-31 12:00:00'"
        raise Unfit(f"a text becomes a {to} here if it is a literal like {form}")
    return literal_time(value.constant, to)


def interval(node: exp.Expr, sign: str) -> tuple[int, str]:
    """A literal INTERVAL, added or subtracted, as a number of units. Raises Unfit."""
    unit = node.args.get("unit")
    name = unit.name.upper().removesuffix("S") if isinstance(unit, exp.Var) else ""
    count = node.this
    is_negative = isinstance(count, exp.Neg)
    written = (count.this if is_negative else count).name
    if name not in _UNITS or not written.lstrip("-").isdigit():
        raise Unfit(
            "an INTERVAL is a literal number of YEAR, MONTH, WEEK, DAY, HOUR, MINUTE or "
            "SECOND; for a number that is a column use date_add, add_months or "
            "timestamp_micros"
        )
    value = int(written) * (-1 if is_negative else 1)
    if abs(value) > _UNITS_AT_MOST:
        raise Unfit(f"an INTERVAL has {_UNITS_AT_MOST} units at most here")
    return (value if sign == "+" else -value), name


def moved(value: Typed, count: int, unit: str) -> Typed:
    """A date or timestamp moved by some units."""
    step = f"to_{_UNITS[unit]}s($2)"
    count_tree = integer_literal(count)
    if value.type == DATE and unit in ("YEAR", "MONTH", "WEEK", "DAY"):
        tree = fill(f"CAST($1 + {step} AS DATE)", value.tree, count_tree)
        return Typed(tree, DATE)
    if value.type == DATE:
        value = Typed(zoned(fill("CAST($1 AS TIMESTAMP)", value.tree)), TIMESTAMP)
    if value.type != TIMESTAMP:
        raise Unfit(f"an INTERVAL is added to a date or a timestamp, and got {value.type}")
    tree = fill(f"$1 + {step}", naive_timestamp(value.tree), count_tree)
    return Typed(zoned(tree), TIMESTAMP)
