"""The one module that reads the wall clock.

Time is int64 microseconds since 1970-01-01T00:00:00Z everywhere in noskew. Code that needs
"now" takes a :class:`Clock`; tests and replays pass a :class:`FixedClock`.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta
from numbers import Number
from typing import Protocol

from noskew.errors import InputError

MICROS_PER_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": MICROS_PER_SECOND,
    "m": 60 * MICROS_PER_SECOND,
    "min": 60 * MICROS_PER_SECOND,
    "h": 3_600 * MICROS_PER_SECOND,
    "d": 86_400 * MICROS_PER_SECOND,
    "w": 7 * 86_400 * MICROS_PER_SECOND,
}
_DURATION = re.compile(r"\s*(\d+)\s*(us|ms|s|min|m|h|d|w)\s*")
#: Years 1 to 9999, the range of ``datetime``; anything outside is a damaged timestamp.
MIN_TIME = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
MAX_TIME = (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC) - _EPOCH) // timedelta(microseconds=1)


class Clock(Protocol):
    """Gives the present time in microseconds since the epoch, UTC."""

    def now(self) -> int: ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000


class FixedClock:
    """A clock that stands still until it is moved; for tests and for replaying the past."""

    def __init__(self, at: int | str | datetime) -> None:
        self._now = to_micros(at)

    def now(self) -> int:
        return self._now

    def advance(self, by: int | str | timedelta) -> None:
        """Move forward by a duration (microseconds, ``"5min"``, or a timedelta)."""
        self._now += duration_micros(by)

    def set(self, at: int | str | datetime) -> None:
        """Move to a time, forwards or backwards."""
        self._now = to_micros(at)


def to_micros(value: int | str | datetime | date) -> int:
    """A point in time as microseconds since the epoch, UTC.

    Integers are taken as microseconds. A datetime without a zone is UTC (as for a column
    without a zone). A string must carry an offset or ``Z``.

    Raises InputError for strings without an offset, and for times outside the years 1 to 9999.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str, datetime, date)):
        raise InputError(
            f"expected a time (datetime, ISO 8601 string with an offset, or microseconds as "
            f"int), got {type(value).__name__}: {value!r}"
        )
    if isinstance(value, int):
        micros = value
    elif isinstance(value, str):
        micros = _from_datetime(_parse(value))
    elif isinstance(value, datetime):
        micros = _from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))
    else:
        micros = _from_datetime(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if not MIN_TIME <= micros <= MAX_TIME:
        raise InputError(f"the time {value!r} is outside the years 1 to 9999")
    return micros


def given_time(value: str | datetime | date, what: str) -> int:
    """A point in time that a caller gives for ``what``, as :func:`to_micros` has it.

    Numbers are refused as they are in columns: nothing says whether they count seconds or
    microseconds. Raises InputError.
    """
    if isinstance(value, Number):
        raise InputError(
            f"{what}={value!r}: numbers are not taken as times, since their unit is unknown; give "
            f"a datetime, or text with an offset such as '2025-05-02T00:00:00Z'"
        )
    return to_micros(value)


def to_datetime(micros: int) -> datetime:
    """Microseconds since the epoch as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=micros)


def to_text(micros: int) -> str:
    """Microseconds since the epoch as ISO 8601 with ``Z``."""
    return to_datetime(micros).isoformat().replace("+00:00", "Z")


def duration_micros(value: int | str | timedelta) -> int:
    """A duration as microseconds: an int, a timedelta, or text such as ``"90s"`` or ``"1h30min"``.

    Units: us, ms, s, m or min, h, d (24 h), w (7 d). Raises InputError for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str, timedelta)):
        raise InputError(f"expected a duration such as '1h', got {value!r}")
    if isinstance(value, int):
        return value
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    total, end = 0, 0
    for part in _DURATION.finditer(value):
        if part.start() != end:
            break
        total += int(part[1]) * _UNITS[part[2]]
        end = part.end()
    if end == 0 or end != len(value):
        raise InputError(f"expected a duration such as '30s', '5min', '1h' or '7d', got {value!r}")
    return total


def duration_text(micros: int) -> str:
    """The shortest text that :func:`duration_micros` reads back: ``3_600_000_000`` → ``"1h"``."""
    for unit in ("d", "h", "min", "s", "ms"):
        if micros and micros % _UNITS[unit] == 0:
            return f"{micros // _UNITS[unit]}{unit}"
    return f"{micros}us"


def _parse(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(re.sub("z$", "Z", text.strip()))
    except ValueError as error:
        raise InputError(
            f"{text[:64]!r} is not a time; expected ISO 8601 with an offset, for example "
            f"'2013-06-01T12:00:00Z'"
        ) from error
    if parsed.tzinfo is None:
        raise InputError(
            f"the time {text!r} has no offset, so it could mean any of 24 hours; "
            f"write {parsed.isoformat() + 'Z'!r} for UTC or add an offset such as '+02:00'"
        )
    return parsed


def _from_datetime(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(microseconds=1)
