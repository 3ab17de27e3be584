from __future__ import annotations

from collections.abc import Iterator

import pytest

from noskew.stores.online.memory import MemoryStore
from noskew.testing.online_store import OnlineStoreTests

pytestmark = pytest.mark.conformance


class TestMemoryStore(OnlineStoreTests):
    supports_reopen = False
    supports_processes = False
    detects_foreign_bytes = False

    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        with MemoryStore() as store:
            yield store

    def raw_read(self, store, key):
        return store._rows.get(key)

    def raw_write(self, store, key, stored):
        store._rows[key] = stored
