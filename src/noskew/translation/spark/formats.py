"""Spark's patterns of dates and times as DuckDB's formats, letter by letter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from noskew.translation.typed import Unfit

_TOKEN = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']")
#: DuckDB's code for each run of letters.
_WRITTEN: Mapping[str, str] = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "h": "%-I",
    "mm": "%M",
    "m": "%-M",
    "ss": "%S",
    "s": "%-S",
    "SSSSSS": "%f",
    "SSS": "%g",
    "a": "%p",
    "EEEE": "%A",
    "EEE": "%a",
    "EE": "%a",
    "E": "%a",
    "DDD": "%j",
    "D": "%-j",
}
#: What a text must look like, and DuckDB's code that reads it. Java wants a year of an era, from
#: year 1 on, and as many digits as there are letters.
_READ: Mapping[str, tuple[str, str]] = {
    "yyyy": ("(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])", "%Y"),
    "MM": ("[0-9]{2}", "%m"),
    "dd": ("[0-9]{2}", "%d"),
    "HH": ("[0-9]{2}", "%H"),
    "mm": ("[0-9]{2}", "%M"),
    "ss": ("[0-9]{2}", "%S"),
    **{"S" * n: (f"[0-9]{{1,{n}}}", "%f") for n in range(1, 7)},
}


def written(pattern: str) -> str:
    """A pattern that times are written by, as a format of ``strftime``. Raises Unfit."""
    parts = []
    for letters, literal in _tokens(pattern):
        if letters and letters not in _WRITTEN:
            raise _unknown(pattern, letters, _WRITTEN)
        parts.append(_WRITTEN[letters] if letters else literal.replace("%", "%%"))
    return "".join(parts)


def parse_pattern(pattern: str) -> tuple[str, str]:
    """A pattern that times are read by: what texts look like, and a format of ``strptime``.

    Raises Unfit.
    """
    looks, codes, last = [], [], ""
    for letters, literal in _tokens(pattern):
        if letters and letters not in _READ:
            raise _unknown(pattern, letters, _READ)
        if letters and letters in codes:
            raise Unfit(f"the pattern {pattern!r} has {letters} twice")
        if letters.startswith("S") and last != ".":
            raise Unfit(f"in the pattern {pattern!r} a fraction must follow a point")
        look, code = _READ[letters] if letters else (_looks_like(literal), literal)
        looks.append(look)
        codes.append(code.replace("%", "%%") if not letters else code)
        last = literal
    if "%Y" not in codes:
        raise Unfit(f"the pattern {pattern!r} has no yyyy")
    return "".join(looks), "".join(codes)


def _tokens(pattern: str) -> Iterator[tuple[str, str]]:
    """Runs of letters, and literal text."""
    at = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or token[0] in tuple("[]{}#"):
            raise Unfit(f"the pattern {pattern!r} has {pattern[at]!r}, which is not known here")
        at = token.end()
        if token[1]:
            yield token[0], ""
        elif token[2] is not None:
            yield "", token[2].replace("''", "'") or "'"
        else:
            yield "", token[0]


def _looks_like(literal: str) -> str:
    # Java compares without regard to case; DuckDB does not, and so only without letters.
    if any(c.isalpha() for c in literal) and literal != "T":
        raise Unfit(f"a literal with letters, {literal!r}, in a pattern that times are read by")
    return "".join(f"\\x{{{ord(c):x}}}" for c in literal)


def _unknown(pattern: str, letters: str, known: Mapping[str, object]) -> Unfit:
    return Unfit(f"the pattern {pattern!r} has {letters}; known are {', '.join(known)}")
