"""The simulated offline store passes the suite of offline stores: what it promises is real."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from noskew.clock import FixedClock
from noskew.stores.offline.base import OfflineStore
from noskew.testing.offline_store import OfflineStoreTests
from tests.simulation.calls import Undisturbed
from tests.simulation.offline import OfflineServer, SimulatedOffline


@pytest.mark.conformance
class TestSimulatedOffline(OfflineStoreTests):
    @pytest.fixture
    def store(self) -> Iterator[OfflineStore]:
        self.server = OfflineServer(FixedClock(0))
        with SimulatedOffline(self.server, Undisturbed(), "one") as store:
            yield store

    def reopen(self, store: OfflineStore) -> OfflineStore:
        return SimulatedOffline(self.server, Undisturbed(), "another")

    def read_raw(self, store: OfflineStore, table: str) -> pa.Table:
        """It has no files; what stands in their place."""
        runs = self.server.tables[table].at(None).runs
        return pa.concat_tables([run.facts for run in runs])
