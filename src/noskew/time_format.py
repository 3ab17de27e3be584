"""How times are written in a user's text: a format of ``strptime`` as parts that can be found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noskew.errors import DefinitionError

_MONTHS = "January February March April May June July August September October November December"
#: English names by number, whatever the language of the machine.
MONTHS = tuple(_MONTHS.split())
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "b": rf"(?P<b>(?i:{'|'.join(name[:3] for name in MONTHS)}))",
    "B": rf"(?P<B>(?i:{'|'.join(MONTHS)}))",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>0?[1-9]|1[0-2])",
    "p": r"(?P<p>(?i:AM|PM))",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,6})",
    "z": r"(?P<z>Z|[+-]\d{2}(?::?\d{2})?)",
}
_MEANINGS = ("Y", "y"), ("m", "b", "B"), ("H", "I")


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """``pattern`` finds the ``parts`` of a text, each in a group of that name."""

    text: str
    pattern: str
    parts: frozenset[str]

    @classmethod
    def of(cls, text: str) -> TimeFormat:
        """Read a format such as ``"%d/%m/%Y %H:%M"``.

        Directives mean what they do in Python's ``strptime``. Raises DefinitionError for one that
        is not known or is there twice, and for a format that does not name a day.
        """
        pattern, parts = "", []
        for piece in re.findall(r"%.?|[^%]+", text, re.DOTALL):
            if not piece.startswith("%"):
                pattern += re.escape(piece)
            elif piece == "%%":
                pattern += "%"
            elif piece[1:] not in _DIRECTIVES:
                known = ", ".join(f"%{name}" for name in _DIRECTIVES)
                raise DefinitionError(
                    f"timestamp_format {text!r}: {piece!r} is not known; use {known}"
                )
            else:
                pattern += _DIRECTIVES[piece[1:]]
                parts.append(piece[1:])
        _check(text, parts)
        return cls(text, f"^{pattern}$", frozenset(parts))


def _check(text: str, parts: list[str]) -> None:
    for meanings in _MEANINGS:
        parts_of = [part for part in parts if part in meanings]
        if len(parts_of) > 1:
            raise DefinitionError(f"timestamp_format {text!r} gives one part of a time twice")
    years, months = (any(part in parts for part in names) for names in _MEANINGS[:2])
    if len(set(parts)) < len(parts) or not (years and months and "d" in parts):
        raise DefinitionError(
            f"timestamp_format {text!r} must have a year, a month and a day, each once, such as "
            f"'%d/%m/%Y %H:%M'"
        )
    if ("I" in parts) != ("p" in parts):
        raise DefinitionError(f"timestamp_format {text!r}: %I and %p are only used together")
