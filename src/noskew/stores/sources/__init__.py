"""Batch sources: a user's tables, read in identifiable parts. Backends load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.opening import open_source

if TYPE_CHECKING:
    from noskew.stores.sources.csv import CsvSource
    from noskew.stores.sources.duckdb import DuckDbQuery
    from noskew.stores.sources.frame import FrameSource
    from noskew.stores.sources.iceberg import IcebergSource
    from noskew.stores.sources.parquet import ParquetSource
    from noskew.stores.sources.postgres import PostgresQuery

__all__ = [
    "BatchSource",
    "CsvSource",
    "DuckDbQuery",
    "FrameSource",
    "IcebergSource",
    "ParquetSource",
    "Part",
    "PostgresQuery",
    "open_source",
]
_MODULES = {
    "CsvSource": "csv",
    "DuckDbQuery": "duckdb",
    "FrameSource": "frame",
    "IcebergSource": "iceberg",
    "ParquetSource": "parquet",
    "PostgresQuery": "postgres",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
