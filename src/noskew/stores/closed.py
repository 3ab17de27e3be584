"""The error for the use of a store after it was closed."""

from __future__ import annotations

from noskew.errors import StoreUnavailableError


def closed(place: str) -> StoreUnavailableError:
    """The error for the use of ``place`` after ``close``."""
    return StoreUnavailableError(f"{place} was closed; open it again to use it")
