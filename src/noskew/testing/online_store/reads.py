"""Rows are read as they were written."""

from __future__ import annotations

import asyncio
import random

from noskew.stores.online.base import VERSION_BYTES, OnlineStore
from noskew.testing.online_store.rows import read_async, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class ReadTests(OnlineStoreSuite):
    """What is written is read, in the order of the request."""

    # --- read and write, each on its own

    def test_read_gives_what_is_stored(self, store: OnlineStore) -> None:
        self.raw_write(store, b"k", row(7, b"payload"))
        assert store.read([b"k"]) == [row(7, b"payload")]
        assert store.read([b"k", b"k"]) == [row(7, b"payload")] * 2

    def test_write_stores_the_row_as_it_is(self, store: OnlineStore) -> None:
        assert store.write([b"k"], [row(7, b"payload")]) == 1
        assert self.raw_read(store, b"k") == row(7, b"payload")

    def test_what_is_written_is_read(self, store: OnlineStore) -> None:
        keys = [b"%d" % i for i in range(100)]
        rows = [row(i + 1, b"x" * i) for i in range(100)]
        assert store.write(keys, rows) == 100
        assert store.read(keys) == rows

    def test_absent_keys_give_none(self, store: OnlineStore) -> None:
        assert store.read([b"absent"]) == [None]
        assert store.read([b"absent", b"absent too"]) == [None, None]

    def test_rows_come_in_the_order_of_the_request(self, store: OnlineStore) -> None:
        store.write([b"a", b"b", b"c"], [row(1, b"a"), row(1, b"b"), row(1, b"c")])
        asked = [b"c", b"x", b"a", b"c", b"b", b"x", b"a"]
        values = [r and r[VERSION_BYTES:] for r in store.read(asked)]
        assert values == [b"c", None, b"a", b"c", b"b", None, b"a"]

    def test_an_empty_request_is_answered(self, store: OnlineStore) -> None:
        assert store.read([]) == []
        assert store.write([], []) == 0
        assert store.delete([]) == 0
        assert list(store.scan()) == []

    def test_tuples_are_as_good_as_lists(self, store: OnlineStore) -> None:
        assert store.write((b"a", b"b"), (row(1), row(2))) == 2
        assert store.read((b"b", b"a")) == [row(2), row(1)]
        assert store.delete((b"b", b"a")) == 2

    def test_many_rows_in_one_call(self, store: OnlineStore) -> None:
        keys = [b"%06d" % i for i in range(self.many)]
        random.Random(3).shuffle(keys)
        rows = [row(1, key) for key in keys]
        assert store.write(keys, rows) == self.many
        assert store.read(keys) == rows
        assert store.write(keys, [row(2, key) for key in keys]) == self.many
        assert dict(store.scan()) == {key: row(2, key) for key in keys}
        assert store.delete(keys) == self.many
        assert list(store.scan()) == []

    # --- what is handed over belongs to the caller

    def test_rows_that_were_read_do_not_change(self, store: OnlineStore) -> None:
        store.write([b"k", b"l"], [row(1, b"one" * 100)] * 2)
        rows = store.read([b"k", b"l"])
        scanned = dict(store.scan())
        store.write([b"k", b"l"], [row(2, b"two" * 100)] * 2)
        store.delete([b"l"])
        store.close()
        assert rows == [row(1, b"one" * 100)] * 2
        assert scanned == {b"k": row(1, b"one" * 100), b"l": row(1, b"one" * 100)}
        assert {type(found) for found in rows} == {bytes}

    def test_arguments_are_left_alone(self, store: OnlineStore) -> None:
        keys, rows = [b"b", b"a", b"b"], [row(1), row(2), row(3)]
        store.write(keys, rows)
        store.read(keys)
        store.delete(keys)
        assert keys == [b"b", b"a", b"b"]
        assert rows == [row(1), row(2), row(3)]

    # --- asynchronous reads

    def test_asynchronous_reads_give_the_same(self, store: OnlineStore) -> None:
        keys = [b"%d" % i for i in range(300)]
        store.write(keys[::2], [row(1, key) for key in keys[::2]])
        for asked in ([], keys[:1], keys[1:2], keys, keys[::-1], keys[:3] * 2):
            # Each run has an event loop of its own.
            assert asyncio.run(read_async(store, asked)) == store.read(asked)

    def test_asynchronous_reads_do_not_mix(self, store: OnlineStore) -> None:
        keys = [b"%d" % i for i in range(200)]
        store.write(keys, [row(1, key) for key in keys])

        async def read_all() -> None:
            doomed = [asyncio.ensure_future(store.read_async([key])) for key in keys[:50]]
            wanted = [asyncio.ensure_future(store.read_async([key, b"absent"])) for key in keys]
            await asyncio.sleep(0)
            for task in doomed:
                task.cancel()
            for key, task in zip(keys, wanted, strict=True):
                assert await task == [row(1, key), None]
            assert await store.read_async(keys) == [row(1, key) for key in keys]

        asyncio.run(read_all())
