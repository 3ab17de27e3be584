"""What a store says of itself is so."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.testing.online_store.rows import read_async, row
from noskew.testing.online_store.suite import OnlineStoreSuite

#: A scan of one row out of many takes less than this part of a scan of all.
_SHARE = 0.25


class AbilityTests(OnlineStoreSuite):
    """Each ability, as its property states it."""

    def test_a_remote_store_is_awaited_and_no_other(self, store: OnlineStore) -> None:
        store.write([b"k"], [row(1)])

        async def read() -> bool:
            reading = asyncio.ensure_future(read_async(store, [b"k"]))
            await asyncio.sleep(0)  # one step of it, which cannot have brought an answer from afar
            answers_at_once = reading.done()
            assert await reading == [row(1)]
            return not answers_at_once

        assert asyncio.run(read()) == store.is_remote

    def test_a_store_that_may_lose_writes_tells_when(self, store: OnlineStore) -> None:
        if store.may_lose_writes:
            assert store.generation() != b""
        else:
            assert store.generation() == b""

    def test_rows_up_to_the_longest_are_taken(self, store: OnlineStore) -> None:
        longest = store.max_row_bytes
        if longest is None:
            pytest.skip("rows of this store have no bound")
        keys = [b"k", bytes(range(256)) + b"k" * 255]
        rows = [row(1, bytes(longest - len(row(1))))] * 2
        assert store.write(keys, rows) == 2
        assert store.read(keys) == rows

    def test_longer_rows_are_refused_before_any_is_written(self, store: OnlineStore) -> None:
        longest = store.max_row_bytes
        if longest is None:
            pytest.skip("rows of this store have no bound")
        with pytest.raises(ValueError, match=f"{longest} bytes"):
            store.write([b"good", b"k"], [row(1), row(1, bytes(longest - len(row(1)) + 1))])
        assert store.read([b"good", b"k"]) == [None, None]

    def test_an_embedded_store_shares_its_files_with_a_state(self, store: OnlineStore) -> None:
        if store.embedded_at is None:
            pytest.skip("the rows of this store are not in LMDB files")
        assert not store.is_remote
        with StateStore(store.embedded_at) as state:
            space = state.space(b"tests")
            space.commit([(b"beside", b"x")], rows=[(b"k", row(1))], epoch=space.claim())
            assert store.read([b"k"]) == [row(1)]
            assert dict(store.scan()) == {b"k": row(1)}, "what stands beside rows is none"
            store.write([b"k"], [row(2)])
            assert state.rows([b"k"]) == [row(2)]

    def test_a_scan_of_a_prefix_costs_what_it_gives(self, store: OnlineStore) -> None:
        if not store.scans_by_prefix:
            pytest.skip("a scan looks at every key of this store")
        keys = [b"all%06d" % i for i in range(self.many)]
        store.write([*keys, b"one"], [row(1)] * (self.many + 1))
        costs = {}
        for prefix, expected in ((b"", self.many + 1), (b"one", 1)):
            begun = perf_counter()
            assert sum(1 for _ in store.scan(prefix)) == expected
            costs[prefix] = perf_counter() - begun
        assert costs[b"one"] < _SHARE * costs[b""]
