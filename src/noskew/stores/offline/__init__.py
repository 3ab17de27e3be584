"""Offline stores: append-only tables of facts. Backends are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noskew._lazy import lazy_names
from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
    KNOWN_TIME,
    SEQUENCE,
    SYSTEM_COLUMNS,
    Commit,
    Filter,
    OfflineStore,
    RowProgress,
    TableInfo,
    TableSpec,
    WrittenFacts,
)

if TYPE_CHECKING:
    from noskew.stores.offline.iceberg import IcebergStore

__all__ = [
    "BUCKET",
    "EVENT_TIME",
    "KNOWN_TIME",
    "SEQUENCE",
    "SYSTEM_COLUMNS",
    "Commit",
    "Filter",
    "IcebergStore",
    "OfflineStore",
    "RowProgress",
    "TableInfo",
    "TableSpec",
    "WrittenFacts",
]


__getattr__ = lazy_names(globals(), {"noskew.stores.offline.iceberg": ("IcebergStore",)})
