"""Runs: each call of ingest has a number, which is in all that it wrote."""

from __future__ import annotations

import secrets

from noskew.errors import NotFoundError

#: Of a thousand runs a day for ten years, two have the same number in one case of forty.
_BITS = 48
_DIGITS = _BITS // 4


def new_run() -> int:
    """A number for a run, which no other one has."""
    return secrets.randbits(_BITS)


def run_id(run: int) -> str:
    """As people read it."""
    return f"{run:0{_DIGITS}x}"


def run_number(text: str) -> int:
    """The inverse of :func:`run_id`. Raises NotFoundError for text that is none."""
    try:
        run = int(text, 16)
    except ValueError:
        run = -1
    if not 0 <= run < 1 << _BITS or len(text) != _DIGITS:
        raise NotFoundError(
            f"there is no ingest {text[:40]!r}: an id has {_DIGITS} digits, and 'noskew list "
            f"ingests' shows them"
        )
    return run
