"""Telling how far work on several views has come."""

from __future__ import annotations

from collections.abc import Callable

#: Told the name of a view and how many more rows of it are done.
ViewProgress = Callable[[str, int], None]


def of_one(progress: ViewProgress | None, name: str) -> Callable[[int], None] | None:
    """What a store is told to call, for one view."""
    return None if progress is None else lambda rows: progress(name, rows)
