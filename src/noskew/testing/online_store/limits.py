"""Keys and rows of odd bytes, and of sizes at the limits."""

from __future__ import annotations

import asyncio
import random

import pytest

from noskew.errors import CorruptDataError
from noskew.stores.online.base import MAX_KEY_BYTES, VERSION_BYTES, OnlineStore
from noskew.testing.online_store.rows import read_async, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class LimitTests(OnlineStoreSuite):
    """What is allowed is kept as it is, the rest is refused."""

    @pytest.mark.parametrize("length", [1, 2, 255, 256, MAX_KEY_BYTES])
    def test_keys_of_any_allowed_length(self, store: OnlineStore, length: int) -> None:
        key = bytes(i % 256 for i in range(length))
        assert store.write([key], [row(1)]) == 1
        assert self.raw_read(store, key) == row(1)
        assert store.read([key, key]) == [row(1)] * 2
        assert dict(store.scan()) == {key: row(1)}
        assert store.delete([key]) == 1

    @pytest.mark.parametrize("key", [b"", b"k" * (MAX_KEY_BYTES + 1)])
    def test_keys_outside_the_limits_are_refused(self, store: OnlineStore, key: bytes) -> None:
        for keys in ([key], [b"good", key]):
            with pytest.raises(ValueError, match="bytes"):
                store.read(keys)
            with pytest.raises(ValueError, match="bytes"):
                asyncio.run(read_async(store, keys))
            with pytest.raises(ValueError, match="bytes"):
                store.write(keys, [row(1)] * len(keys))
            with pytest.raises(ValueError, match="bytes"):
                store.delete(keys)

    def test_rows_outside_the_limits_are_refused(self, store: OnlineStore) -> None:
        with pytest.raises(ValueError, match="16 bytes"):
            store.write([b"a", b"b"], [row(1), b"x" * (VERSION_BYTES - 1)])
        with pytest.raises(ValueError, match="16 bytes"):
            store.write([b"a"], [b""])
        with pytest.raises(ValueError, match="one row for each key"):
            store.write([b"a", b"b"], [row(1)])
        assert store.write([b"shortest"], [row(1)]) == 1

    @pytest.mark.parametrize("size", [100_000, 1_000_000])
    def test_large_rows(self, store: OnlineStore, size: int) -> None:
        keys = [b"%d" % i for i in range(10)]
        size = min(size, (store.max_row_bytes or 2 * size) - len(row(1, keys[0])))
        payload = random.Random(size).randbytes(size)
        rows = [row(1, payload + key) for key in keys]
        assert store.write(keys, rows) == 10
        assert store.read(keys) == rows
        assert asyncio.run(read_async(store, keys)) == rows
        assert dict(store.scan()) == dict(zip(keys, rows, strict=True))

    @pytest.mark.parametrize("payload", [b"\x00", b"a\x00b", b"\r\n$-1\r\n", bytes(range(256))])
    def test_any_bytes_are_kept(self, store: OnlineStore, payload: bytes) -> None:
        keys = [payload, b"\x00" + payload, b"{" + payload + b"}"]
        store.write(keys, [row(0, payload)] * 3)
        assert store.read(keys) == [row(0, payload)] * 3

    def test_foreign_bytes_are_noticed(self, store: OnlineStore) -> None:
        if not self.detects_foreign_bytes:
            pytest.skip("nobody else can write to this store")
        self.raw_write(store, b"k", b"foreign")
        with pytest.raises(CorruptDataError, match="7 bytes"):
            store.read([b"k"])
        with pytest.raises(CorruptDataError, match="7 bytes"):
            store.read([b"a", b"k"])
        with pytest.raises(CorruptDataError, match="7 bytes"):
            store.write([b"k"], [row(1)])
        with pytest.raises(CorruptDataError, match="7 bytes"):
            list(store.scan())
        assert self.raw_read(store, b"k") == b"foreign"
