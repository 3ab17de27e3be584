"""What each part of the suite of offline stores stands on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pyarrow as pa
import pytest

from noskew.duckdb_session import connect
from noskew.stores.offline.base import OfflineStore


class OfflineStoreSuite(ABC):
    """A store, another handle on it, and its files."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> Iterator[OfflineStore]:
        """An empty store, closed afterwards."""

    @abstractmethod
    def reopen(self, store: OfflineStore) -> OfflineStore:
        """Another handle on the same data, with nothing in common in memory."""

    def read_raw(self, store: OfflineStore, table: str) -> pa.Table:
        """All rows of the table's files, read by DuckDB and not by the store."""
        with connect() as connection:
            # The relational API: file names are values, never part of a statement.
            raw: pa.Table = connection.read_parquet(store.files(table)).to_arrow_table()
            return raw
