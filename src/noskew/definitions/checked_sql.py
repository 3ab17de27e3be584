"""What the SELECTs of views were found to give, kept beside the definitions that were applied.

Checking a SELECT takes some milliseconds (it is parsed, judged, and bound to the source's columns),
and a project may have thousands. What was checked once by the same noskew and the same DuckDB
need not be checked by the next process: a plan of one change checks what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from noskew._version import __version__
from noskew.definitions.source import Source
from noskew.definitions.sql_check import remember_transform
from noskew.definitions.transforms import PySparkTransform, SqlTransform
from noskew.definitions.view import FeatureView
from noskew.types import Schema


@lru_cache(maxsize=1)
def checker() -> str:
    """Who checks: another release of either may refuse more, or find other types."""
    return f"noskew {__version__}, duckdb {version('duckdb')}"


def output_of(view: FeatureView) -> list[list[str]] | None:
    """Names and types of the columns that a view's SELECT gives; None if it has none."""
    transform = view.transform
    if not isinstance(transform, SqlTransform | PySparkTransform):
        return None
    return transform.output_schema(view.source, f"feature view {view.name!r}").pairs()


def remember(view: Mapping[str, Any], source: Source, output: list[list[str]]) -> None:
    """Take a view's SELECT for checked; ``view``: its data, ``output``: what it gives."""
    transform = view["transform"]
    statement = transform.get("statement", transform.get("text"))
    remember_transform(statement, source.name, source.schema, Schema(dict(output)))
