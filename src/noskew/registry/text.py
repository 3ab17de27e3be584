"""Text that every registry can keep."""

from __future__ import annotations

from noskew.errors import InputError


def storable_text(value: str, what: str) -> str:
    """Return text that every database takes. Raises InputError for NUL and lone surrogates."""
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise InputError(f"{what} must be text without NUL characters, got {value!r}")
    return value
