"""Times and dates in UTC: int64 µs and int32 days since the epoch, in the Gregorian calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from noskew.definitions.expression_functions import UNITS
from noskew.definitions.expression_tree import Node
from noskew.kernel.arrays import Mask
from noskew.kernel.expressions.values import Array, Checked, ExpressionFunction, Strict, bad_or_none

SECOND = 1_000_000
DAY = 86_400 * SECOND
_MICROS: Mapping[str, int] = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3_600 * SECOND,
    "day": DAY,
}
_RANGE = "a time is out of range"
#: Where DuckDB's times end: int64, but for its two infinities.
_END = 2**63 - 1


def _days(v: Array) -> Array:
    """Days since the epoch of dates (int32) and of times."""
    return v.astype(np.int64) if v.dtype == np.int32 else v // DAY


def _months(days: Array) -> Array:
    """Months since the epoch."""
    return days.astype("M8[D]").astype("M8[M]").astype(np.int64)


def _years(days: Array) -> Array:
    return days.astype("M8[D]").astype("M8[Y]").astype(np.int64)


def _first_of_month(months: Array) -> Array:
    """The day a month begins with."""
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def _first_of_year(years: Array) -> Array:
    return years.astype("M8[Y]").astype("M8[D]").astype(np.int64)


def _iso_week(days: Array) -> Array:
    thursday = days - (days + 3) % 7 + 3
    return (thursday - _first_of_year(_years(thursday))) // 7 + 1


_OF_DAY: Mapping[str, Callable[[Array], Array]] = {
    "year": lambda d: _years(d) + 1970,
    "quarter": lambda d: _months(d) % 12 // 3 + 1,
    "month": lambda d: _months(d) % 12 + 1,
    "day": lambda d: d - _first_of_month(_months(d)) + 1,
    "week": _iso_week,
    "dayofweek": lambda d: (d + 4) % 7,
    "weekday": lambda d: (d + 4) % 7,
    "isodow": lambda d: (d + 3) % 7 + 1,
    "dayofyear": lambda d: d - _first_of_year(_years(d)) + 1,
}
_OF_TIME: Mapping[str, Callable[[Array], Array]] = {
    "hour": lambda t: t // _MICROS["hour"] % 24,
    "minute": lambda t: t // _MICROS["minute"] % 60,
    "second": lambda t: t // SECOND % 60,
    "millisecond": lambda t: t // 1_000 % 60_000,
    "microsecond": lambda t: t % (60 * SECOND),
}


def _part(node: Node) -> ExpressionFunction:
    if node.op in _OF_TIME:
        return Strict(_OF_TIME[node.op])
    of_day = _OF_DAY[node.op]
    return Strict(lambda v: of_day(_days(v)))


def _epoch(node: Node) -> ExpressionFunction:
    kind = node.children[0].type.name
    if kind == "DATE":
        return Strict(lambda d: d.astype(np.float64) * 86_400.0)
    if kind == "INTERVAL":
        return Strict(_interval_seconds)
    if kind == "TIMESTAMP":
        return Strict(lambda t: t / float(SECOND))
    # As the library of calendars that DuckDB asks: it counts in milliseconds.
    return Strict(lambda t: (t // 1_000) / 1_000.0 + (t % 1_000) / float(SECOND))


def _interval_seconds(v: Array) -> Array:
    """A year has 365.25 days, a month 30."""
    years = np.trunc(v[0] / 12).astype(np.int64)
    quarters = years * 1_461 + (v[0] - years * 12) * 120 + v[1] * 4  # of a day
    seconds: Array = quarters * (86_400 // 4) + v[2] / float(SECOND)
    return seconds


def _epoch_ms(node: Node) -> ExpressionFunction:
    """Milliseconds, halves away from zero."""
    del node
    return Strict(lambda t: np.sign(t) * ((np.abs(t) + 500) // 1_000))


def _epoch_us(node: Node) -> ExpressionFunction:
    del node
    return Strict(np.asarray)


def difference(a: Array, b: Array) -> Array:
    """``a - b`` of times: an interval of days and µs, both of one sign."""
    micros = a - b
    days = np.sign(micros) * (np.abs(micros) // DAY)
    return np.stack(np.broadcast_arrays(np.int64(0), days, micros - days * DAY))


def days_between(a: Array, b: Array) -> Array:
    """``a - b`` of dates: days."""
    return a.astype(np.int64) - b


def add_days(node: Node, sign: int) -> ExpressionFunction:
    """A date and a number of days."""
    at = [c.type.name for c in node.children].index("DATE")

    def run(*values: Array) -> tuple[Array, Mask | None, str]:
        days = values[at].astype(np.int64) + sign * values[1 - at].astype(np.int64)
        return days.astype(np.int32), bad_or_none((days < -(2**31)) | (days > 2**31 - 2)), _RANGE

    return Checked(run)


def shift(node: Node, sign: int) -> ExpressionFunction:
    """A time or a date, and an interval. A day that the month does not have becomes its last."""
    at = [c.type.name for c in node.children].index("INTERVAL")
    kind = node.children[1 - at].type.name
    add = _shift_with_zone if kind == "TIMESTAMP WITH TIME ZONE" else _shift

    def run(*values: Array) -> tuple[Array, Mask | None, str]:
        interval = sign * values[at]
        time = values[1 - at].astype(np.int64) * DAY if kind == "DATE" else values[1 - at]
        months, days, micros = interval
        about = time.astype(np.float64) + days * float(DAY) + micros + months * (31.0 * DAY)
        shifted = add(time, *interval) if np.count_nonzero(months) else time + (days * DAY + micros)
        return shifted, bad_or_none(np.abs(about) >= float(_END)), _RANGE

    return Checked(run)


def _shift(time: Array, months: Array, days: Array, micros: Array) -> Array:
    """First the months, then the rest."""
    return _add_months(time, months) + (days * DAY + micros)


def _shift_with_zone(time: Array, months: Array, days: Array, micros: Array) -> Array:
    """As the library of calendars that DuckDB asks.

    What is no whole millisecond comes first. Then come the months and the rest; or if any part
    is negative, milliseconds, months and days.
    """
    first = np.fmod(micros, 1_000)
    backwards = (months < 0) | (days < 0) | (micros < 0)
    first = np.where(backwards, micros, first)
    return _add_months(time + first, months) + (days * DAY + micros - first)


def _add_months(time: Array, months: Array) -> Array:
    days = _days(time)
    start = _months(days)
    first, last = _first_of_month(start + months), _first_of_month(start + months + 1) - 1
    day: Array = np.minimum(first + days - _first_of_month(start), last)
    return day * DAY + time % DAY


def _to_interval(node: Node) -> ExpressionFunction:
    unit = _MICROS[node.op.removeprefix("to_").removesuffix("s")]

    def run(v: Array) -> tuple[Array, Mask | None, str]:
        v = v.astype(np.int64)
        zero = np.zeros_like(v)
        if unit == DAY:
            return np.stack([zero, v, zero]), bad_or_none(np.abs(v) >= 2**31), _RANGE
        bad = bad_or_none(np.abs(v.astype(np.float64)) >= float(_END // unit))
        return np.stack([zero, zero, v * unit]), bad, _RANGE

    return Checked(run)


def _unit(node: Node) -> str:
    return UNITS[str(node.children[0].value).lower()]


def _step(unit: str) -> Callable[[Array], Array]:
    """Which of the steps of a unit a time or a date is in, counted from any day on."""
    months = {"year": 12, "quarter": 3, "month": 1}
    if unit in months:
        size = months[unit]
        return lambda v: _months(_days(v)) // size
    micros = _MICROS[unit]
    if unit == "day":
        return _days
    return lambda v: (v.astype(np.int64) * DAY if v.dtype == np.int32 else v) // micros


def _diff(node: Node) -> ExpressionFunction:
    """How many ends of the unit lie between two times; weeks: how many times seven days."""
    unit = _unit(node)
    if unit == "week":
        return Strict(lambda _, a, b: _sevenths(_days(b) - _days(a)))
    step = _step(unit)
    return Strict(lambda _, a, b: step(b) - step(a))


def _sevenths(days: Array) -> Array:
    return np.sign(days) * (np.abs(days) // 7)


def _trunc(node: Node) -> ExpressionFunction:
    """The beginning of the unit that a time is in, as a time."""
    unit = _unit(node)
    if unit == "week":
        return Strict(lambda _, v: ((_days(v) + 3) // 7 * 7 - 3) * DAY)
    step = _step(unit)
    if unit in ("year", "quarter", "month"):
        size = {"year": 12, "quarter": 3, "month": 1}[unit]
        return Strict(lambda _, v: _first_of_month(step(v) * size) * DAY)
    return Strict(lambda _, v: step(v) * _MICROS[unit])


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    **dict.fromkeys((*_OF_DAY, *_OF_TIME), _part),
    "epoch": _epoch,
    "epoch_ms": _epoch_ms,
    "epoch_us": _epoch_us,
    **dict.fromkeys(("to_days", "to_hours", "to_minutes"), _to_interval),
    **dict.fromkeys(("date_diff", "datediff"), _diff),
    **dict.fromkeys(("date_trunc", "datetrunc"), _trunc),
}
