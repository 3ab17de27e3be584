"""Which SELECTs an engine of their own dialect may run itself, and on which rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from noskew.definitions.connectors import Postgres
from noskew.errors import TransformError

if TYPE_CHECKING:
    from noskew.definitions.source import Source

#: Dialects that have an engine to push down to, and what it is called.
ENGINES: Mapping[str, str] = {"postgres": "PostgreSQL", "spark": "Spark"}


def check_native(dialect: str, what: str) -> None:
    """Raise TransformError for a dialect that has no engine to push down to."""
    if dialect not in ENGINES:
        known = ", ".join(f"dialect={name!r}" for name in ENGINES)
        raise TransformError(
            f"{what}: native=True needs a dialect whose engine runs the SELECT itself: {known}; "
            f"got {dialect!r}"
        )


def check_pushable(dialect: str, source: Source, what: str) -> None:
    """Raise TransformError for a source whose rows the engine cannot read, or reads unfiltered."""
    if source.filter is not None:
        raise TransformError(
            f"{what}: native=True does without a filter of the source, which DuckDB runs: write "
            f"it as the WHERE of the SELECT"
        )
    if dialect == "postgres" and not isinstance(source.batch, Postgres):
        raise TransformError(
            f"{what}: PostgreSQL can run the SELECT itself where the rows are: give source "
            f"{source.name!r} batch=ns.Postgres(…), or leave native=True out"
        )
