"""Opening, closing and failing."""

from __future__ import annotations

import asyncio

import pytest

from noskew.errors import StoreUnavailableError
from noskew.stores.online.base import OnlineStore
from noskew.testing.online_store.rows import batch_of, read_async, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class LifetimeTests(OnlineStoreSuite):
    """Rows outlive a store; a store that cannot answer says so."""

    def test_rows_outlive_the_store(self, store: OnlineStore) -> None:
        if not self.supports_reopen:
            pytest.skip("the rows of this store live and die with it")
        opener = self.opener(store)
        store.write([b"a", b"b"], [row(1), row(2)])
        store.sync()
        store.close()
        with opener() as again:
            assert again.read([b"a", b"b"]) == [row(1), row(2)]
            assert again.write([b"a", b"b"], [row(2), row(2)]) == 1

    def test_the_generation_stays_while_nothing_is_lost(self, store: OnlineStore) -> None:
        first = store.generation()
        store.write([b"k"], [row(1)])
        store.delete([b"k"])
        assert store.generation() == first

    def test_ping_and_sync_return(self, store: OnlineStore) -> None:
        store.ping()
        store.sync()
        store.write([b"k"], [row(1)])
        store.sync()
        store.ping()
        assert store.read([b"k"]) == [row(1)]

    def test_a_closed_store_refuses_everything(self, store: OnlineStore) -> None:
        store.write([b"k"], [row(1)])
        store.close()
        store.close()
        _assert_unavailable(store)

    def test_a_store_that_is_down_says_so(self) -> None:
        if not self.can_be_stopped:
            pytest.skip("there is nothing to stop")
        with self.outage() as (store, stop):
            store.write([b"k"], [row(1)])
            asyncio.run(read_async(store, [b"k"]))
            stop()
            _assert_unavailable(store)


def _assert_unavailable(store: OnlineStore) -> None:
    with pytest.raises(StoreUnavailableError):
        store.read([b"k"])
    with pytest.raises(StoreUnavailableError):
        store.read([b"k", b"l"])
    with pytest.raises(StoreUnavailableError):
        asyncio.run(read_async(store, [b"k"]))
    with pytest.raises(StoreUnavailableError):
        store.write([b"k"], [row(9)])
    with pytest.raises(StoreUnavailableError):
        store.load([batch_of([b"k"], [row(9)])])
    with pytest.raises(StoreUnavailableError):
        store.delete([b"k"])
    with pytest.raises(StoreUnavailableError):
        list(store.scan())
    with pytest.raises(StoreUnavailableError):
        store.ping()
