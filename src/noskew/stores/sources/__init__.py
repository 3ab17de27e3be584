"""Batch sources: a user's tables, read in identifiable parts. Backends load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noskew._lazy import lazy_names
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.opening import open_source

if TYPE_CHECKING:
    from noskew.stores.sources.csv import CsvSource
    from noskew.stores.sources.delta import DeltaSource
    from noskew.stores.sources.duckdb import DuckDbQuery
    from noskew.stores.sources.frame import FrameSource
    from noskew.stores.sources.iceberg import IcebergSource
    from noskew.stores.sources.json import JsonSource
    from noskew.stores.sources.named import NamedSource
    from noskew.stores.sources.parquet import ParquetSource
    from noskew.stores.sources.postgres import PostgresQuery

__all__ = [
    "BatchSource",
    "CsvSource",
    "DeltaSource",
    "DuckDbQuery",
    "FrameSource",
    "IcebergSource",
    "JsonSource",
    "NamedSource",
    "ParquetSource",
    "Part",
    "PostgresQuery",
    "open_source",
]

__getattr__ = lazy_names(
    globals(),
    {
        "noskew.stores.sources.csv": ("CsvSource",),
        "noskew.stores.sources.delta": ("DeltaSource",),
        "noskew.stores.sources.duckdb": ("DuckDbQuery",),
        "noskew.stores.sources.frame": ("FrameSource",),
        "noskew.stores.sources.iceberg": ("IcebergSource",),
        "noskew.stores.sources.json": ("JsonSource",),
        "noskew.stores.sources.named": ("NamedSource",),
        "noskew.stores.sources.parquet": ("ParquetSource",),
        "noskew.stores.sources.postgres": ("PostgresQuery",),
    },
)
