"""IcebergStore passes the suite, on a SQLite and on a PostgreSQL catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noskew.stores.offline import IcebergStore, OfflineStore
from noskew.testing.offline_store import OfflineStoreTests

pytestmark = pytest.mark.conformance


class TestIcebergOnSqlite(OfflineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[OfflineStore]:
        # A path with characters that mean something in a URI.
        home = tmp_path / "ware house#1%20"
        self.arguments = (f"sqlite:///{tmp_path}/catalog.db", str(home))
        with IcebergStore(*self.arguments) as store:
            yield store

    def reopen(self, store: OfflineStore) -> OfflineStore:
        return IcebergStore(*self.arguments)


class TestIcebergOnPostgres(OfflineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path, postgres_url: str) -> Iterator[OfflineStore]:
        self.arguments = (postgres_url, str(tmp_path / "warehouse"))
        with IcebergStore(*self.arguments) as store:
            for table in store.tables():
                store.drop(table)
            yield store

    def reopen(self, store: OfflineStore) -> OfflineStore:
        return IcebergStore(*self.arguments)
