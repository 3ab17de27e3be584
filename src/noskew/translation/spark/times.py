"""Functions of dates and times of Spark SQL, in the time zone UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlglot import exp

from noskew.translation.intervals import moved, naive_timestamp, zoned
from noskew.translation.rules import DialectFunction, repaired, same, special
from noskew.translation.spark import casts, formats
from noskew.translation.translator import Scope, Translator
from noskew.translation.typed import DATE, LONG, TIMESTAMP, Typed, Unfit, as_type, fill, text

_PLAIN = "make_timestamp(epoch_us($1))"
_DEFAULT = "yyyy-MM-dd HH:mm:ss"


def _of_date(template: str) -> DialectFunction:
    return same(("date -> int", f"CAST({template} AS INT)"))


def _of_time(template: str) -> DialectFunction:
    plain = template.replace("$1", _PLAIN)
    return same(("timestamp -> int", f"CAST({plain} AS INT)"))


# ----------------------------------------------------------------------------------- truncating

_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("year", "yyyy", "yy"), "year"),
    "quarter": "quarter",
    **dict.fromkeys(("month", "mm", "mon"), "month"),
    "week": "week",
}
_TIME_UNITS: Mapping[str, str] = {
    **_UNITS,
    **dict.fromkeys(("day", "dd"), "day"),
    "hour": "hour",
    "minute": "minute",
    "second": "second",
    "millisecond": "milliseconds",
    "microsecond": "microseconds",
}


def _unit(name: str, known: Mapping[str, str]) -> str:
    if name.lower() not in known:
        raise Unfit(f"{name!r} is no unit that it knows; known are {', '.join(known)}")
    return known[name.lower()]


def _date_truncated(value: Typed, name: str) -> exp.Expr:
    unit = _unit(name, _UNITS)
    return fill(f"CAST(date_trunc('{unit}', $1) AS DATE)", value.tree)


def _truncated(name: str, value: Typed) -> exp.Expr:
    unit = _unit(name, _TIME_UNITS)
    if unit == "microseconds":
        return value.tree
    return zoned(fill(f"date_trunc('{unit}', $1)", naive_timestamp(value.tree)))


# ---------------------------------------------------------------------------------------- parts


def _part(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``extract(year FROM at)``: the function of that name."""
    name = translate(nodes[0], scope).constant
    known = {
        **dict.fromkeys(("year", "y", "years", "yr", "yrs"), "year"),
        **dict.fromkeys(("quarter", "qtr"), "quarter"),
        **dict.fromkeys(("month", "mon", "mons", "months"), "month"),
        **dict.fromkeys(("week", "w", "weeks"), "weekofyear"),
        **dict.fromkeys(("day", "d", "days"), "day"),
        **dict.fromkeys(("dayofweek", "dow"), "dayofweek"),
        **dict.fromkeys(("hour", "h", "hours", "hr", "hrs"), "hour"),
        **dict.fromkeys(("minute", "m", "min", "mins", "minutes"), "minute"),
        "doy": "dayofyear",
    }
    function = known.get(str(name).lower())
    if function is None:
        raise Unfit(f"{name!r} is no part that it knows; known are {', '.join(known)}")
    return translate(exp.Anonymous(this=function, expressions=[nodes[1]]), scope)


# -------------------------------------------------------------------------------------- formats


def _formatted(value: Typed, pattern: str) -> exp.Expr:
    return fill("strftime($1, $2)", naive_timestamp(value.tree), text(formats.written(pattern)))


def _parsed(value: exp.Expr, pattern: str) -> exp.Expr:
    """A text as a timestamp without a zone; null if it is none."""
    looks, code = formats.parse_pattern(pattern)
    return fill(
        "CASE WHEN regexp_full_match($1, $2) THEN try_strptime($1, $3) END",
        value,
        text(looks),
        text(code),
    )


def _to_date(value: Typed, pattern: str) -> exp.Expr:
    return as_type(_parsed(value.tree, pattern), DATE)


def _to_timestamp(value: Typed, pattern: str) -> exp.Expr:
    return zoned(_parsed(value.tree, pattern))


def _to_seconds(value: Typed, pattern: str = _DEFAULT) -> exp.Expr:
    return casts.seconds_of(_parsed(value.tree, pattern))


def _from_seconds(value: Typed, pattern: str = _DEFAULT) -> exp.Expr:
    moment = naive_timestamp(casts.timestamp_of(value.tree, 1_000_000))
    return fill("strftime($1, $2)", moment, text(formats.written(pattern)))


# ---------------------------------------------------------------------------------------- zones


def _zone(name: str) -> exp.Expr:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise Unfit(f"{name!r} is no time zone like 'America/New_York'") from None
    if "/" not in name and name != "UTC":
        raise Unfit(f"the time zone {name!r} is known here by the name of a place, or as UTC")
    return text(name)


def _from_utc(value: Typed, zone: str) -> exp.Expr:
    return zoned(fill("timezone($2, $1)", value.tree, _zone(zone)))


def _to_utc(value: Typed, zone: str) -> exp.Expr:
    """The time in UTC of a time on a zone's clocks; the earlier, of two in the hour that repeats.

    DuckDB takes the later. The other one has the offset of the day before.
    """
    name, local = _zone(zone), naive_timestamp(value.tree)
    later = fill("epoch_us(timezone($2, $1))", local, name)
    day_before = fill("timezone($2, make_timestamptz($1 - 86400000000))", later, name)
    offset = fill("epoch_us($1) - ($2 - 86400000000)", day_before, later)
    other = fill("epoch_us($1) - ($2)", local, offset)
    is_same = fill("timezone($3, make_timestamptz($1)) = $2", other, local, name)
    earliest = fill("CASE WHEN $3 THEN least($1, $2) ELSE $1 END", later, other, is_same)
    return fill("make_timestamptz($1)", earliest)


# ----------------------------------------------------------------------------------- arithmetic


def _months_added(value: Typed, months: Typed) -> exp.Expr:
    # Months beyond those between the years 1 and 9999 are none that dates have here.
    return fill(
        "CASE WHEN $2 BETWEEN -119988 AND 119988 THEN CAST($1 + to_months($2) AS DATE) END",
        value.tree,
        months.tree,
    )


def _added(translate: Translator, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
    """``date_add(date, days)``, or ``timestampadd(UNIT, count, time)``."""
    if len(nodes) == 2:
        return translate(exp.Add(this=nodes[0], expression=nodes[1]), scope)
    unit, count, value = nodes[0].name.upper(), translate(nodes[1], scope), nodes[2]
    if not isinstance(count.constant, int):
        raise Unfit("it takes a literal number of units")
    return moved(casts.cast(translate(value, scope), TIMESTAMP), count.constant, unit)


_DAYS = same(("date, int -> date", lambda a, b: casts.date_after(a.tree, b.tree)))
_DAYS_BACK = same(("date, int -> date", lambda a, b: casts.date_after(a.tree, b.tree, "-")))
_BETWEEN_DAYS = same(("date, date -> int", "CAST(date_diff('day', $2, $1) AS INT)"))
_NEXT: Mapping[str, int] = {
    **dict.fromkeys(("mo", "mon", "monday"), 1),
    **dict.fromkeys(("tu", "tue", "tuesday"), 2),
    **dict.fromkeys(("we", "wed", "wednesday"), 3),
    **dict.fromkeys(("th", "thu", "thursday"), 4),
    **dict.fromkeys(("fr", "fri", "friday"), 5),
    **dict.fromkeys(("sa", "sat", "saturday"), 6),
    **dict.fromkeys(("su", "sun", "sunday"), 7),
}


def _next_day(value: Typed, name: str) -> exp.Expr:
    if name.lower() not in _NEXT:
        raise Unfit(f"{name!r} is no day of the week")
    return fill(f"$1 + CAST((6 + {_NEXT[name.lower()]} - isodow($1)) % 7 + 1 AS INT)", value.tree)


#: 31 days a month, rounded to 8 places, unless both are the same day of the month or both the last.
_MONTHS_BETWEEN = (
    "CASE WHEN day($1) = day($2) OR (last_day($1) = CAST($1 AS DATE) AND last_day($2) = "
    "CAST($2 AS DATE)) THEN CAST($3 AS DOUBLE) ELSE $4 END"
)


def _months_between(later: Typed, earlier: Typed) -> exp.Expr:
    a, b = naive_timestamp(later.tree), naive_timestamp(earlier.tree)
    months = fill("(year($1) - year($2)) * 12 + month($1) - month($2)", a, b)
    seconds = "day(${0}) * 86400 + hour(${0}) * 3600 + minute(${0}) * 60 + second(${0})"
    apart = fill(f"({seconds.format(1)}) - ({seconds.format(2)})", a, b)
    part = fill(
        "floor(($1 + $2 / 2678400.0::DOUBLE) * 100000000.0::DOUBLE + 0.5::DOUBLE) "
        "/ 100000000.0::DOUBLE",
        months,
        as_type(apart, LONG),
    )
    return fill(_MONTHS_BETWEEN, a, b, months, part)


def _made_date(year: Typed, month: Typed, day: Typed) -> exp.Expr:
    digits = fill(
        "CASE WHEN $1 BETWEEN 1 AND 9999 THEN lpad(CAST($1 AS TEXT), 4, '0') END", year.tree
    )
    return casts.date_of(digits, *(fill("CAST($1 AS TEXT)", p.tree) for p in (month, day)))


def _epoch(scale: int) -> str:
    if scale == 1:
        return "epoch_us($1)"
    offset = 62_135_596_800_000_000
    return f"(epoch_us($1) + {offset}) // {scale} - {offset // scale}"


_SECONDS = repaired(
    "parts of a second are cut off, also before 1970",
    ("timestamp -> long", "epoch_us($1) // 1000000"),
    ("date -> long", "epoch_us(CAST($1 AS TIMESTAMP)) // 1000000"),
    ("string, string! -> long", _to_seconds),
    ("string -> long", _to_seconds),
)

TIMES: Mapping[str, DialectFunction] = {
    "year": _of_date("year($1)"),
    "quarter": _of_date("quarter($1)"),
    "month": _of_date("month($1)"),
    **dict.fromkeys(("day", "dayofmonth"), _of_date("day($1)")),
    "dayofweek": repaired("1 is Sunday", ("date -> int", "CAST(dayofweek($1) + 1 AS INT)")),
    "weekday": repaired("0 is Monday", ("date -> int", "CAST(isodow($1) - 1 AS INT)")),
    "dayofyear": _of_date("dayofyear($1)"),
    "weekofyear": _of_date("weekofyear($1)"),
    "hour": _of_time("hour($1)"),
    "minute": _of_time("minute($1)"),
    "second": _of_time("second($1)"),
    **dict.fromkeys(("date_part", "datepart"), special("", _part)),
    "dayname": same(("date -> string", "strftime($1, '%a')")),
    "monthname": same(("date -> string", "strftime($1, '%b')")),
    "date_add": _DAYS,
    "date_sub": _DAYS_BACK,
    "dateadd": special("units, of literal numbers", _added),
    "timestampadd": special("units, of literal numbers", _added),
    **dict.fromkeys(("datediff", "date_diff"), _BETWEEN_DAYS),
    "add_months": repaired("", ("date, int -> date", _months_added)),
    "months_between": repaired(
        "months of 31 days, rounded to 8 places",
        ("timestamp, timestamp -> double", _months_between),
    ),
    "last_day": same(("date -> date", "last_day($1)")),
    "next_day": repaired("the day is a literal", ("date, string! -> date", _next_day)),
    "trunc": repaired(
        "of a date; the unit is a literal", ("date, string! -> date", _date_truncated)
    ),
    "date_trunc": repaired(
        "the unit is a literal", ("string!, timestamp -> timestamp", _truncated)
    ),
    "to_date": repaired(
        "yyyy, MM, dd, HH, mm, ss and S, of just as many digits",
        ("string, string! -> date", _to_date),
        ("string -> date", lambda v: casts.cast(v, DATE).tree),
        ("date -> date", "$1"),
        ("timestamp -> date", lambda v: casts.cast(v, DATE).tree),
    ),
    "to_timestamp": repaired(
        "with a format: yyyy, MM, dd, HH, mm, ss and S",
        ("string, string! -> timestamp", _to_timestamp),
        ("string -> timestamp", lambda v: casts.cast(v, TIMESTAMP).tree),
        ("timestamp -> timestamp", "$1"),
        ("date -> timestamp", lambda v: casts.cast(v, TIMESTAMP).tree),
    ),
    "date_format": repaired(
        "y M d H h m s S a E D, of those lengths that are known",
        ("timestamp, string! -> string", _formatted),
    ),
    **dict.fromkeys(("unix_timestamp", "to_unix_timestamp"), _SECONDS),
    "from_unixtime": repaired(
        "seconds, in UTC",
        ("long, string! -> string", _from_seconds),
        ("long -> string", _from_seconds),
    ),
    "unix_seconds": same(("timestamp -> long", _epoch(1_000_000))),
    "unix_millis": same(("timestamp -> long", _epoch(1_000))),
    "unix_micros": same(("timestamp -> long", _epoch(1))),
    "unix_date": same(("date -> int", "CAST(date_diff('day', DATE '1970-01-01', $1) AS INT)")),
    "date_from_unix_date": same(("int -> date", "make_date(CAST($1 AS INT))")),
    "timestamp_seconds": same(
        ("long -> timestamp", lambda value: casts.timestamp_of(value.tree, 1_000_000))
    ),
    "timestamp_millis": same(
        ("long -> timestamp", lambda value: casts.timestamp_of(value.tree, 1_000))
    ),
    "timestamp_micros": same(
        ("long -> timestamp", lambda value: casts.timestamp_of(value.tree, 1))
    ),
    "make_date": repaired("null for what is no date", ("int, int, int -> date", _made_date)),
    "from_utc_timestamp": repaired(
        "zones by the name of a place", ("timestamp, string! -> timestamp", _from_utc)
    ),
    "to_utc_timestamp": repaired(
        "zones by the name of a place", ("timestamp, string! -> timestamp", _to_utc)
    ),
}
