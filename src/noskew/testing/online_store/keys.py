"""Deleting keys, and looking which there are."""

from __future__ import annotations

import pytest

from noskew.stores.online.base import MAX_KEY_BYTES, OnlineStore
from noskew.testing.online_store.rows import PREFIXES, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class KeyTests(OnlineStoreSuite):
    """Deletes and scans."""

    # --- delete

    def test_delete(self, store: OnlineStore) -> None:
        store.write([b"a", b"b", b"c"], [row(1)] * 3)
        assert store.delete([b"a", b"absent", b"c"]) == 2
        assert store.read([b"a", b"b", b"c"]) == [None, row(1), None]
        assert store.delete([b"a"]) == 0

    def test_delete_counts_a_repeated_key_once(self, store: OnlineStore) -> None:
        store.write([b"a"], [row(1)])
        assert store.delete([b"a", b"a"]) == 1

    def test_after_delete_any_version_is_new(self, store: OnlineStore) -> None:
        store.write([b"a"], [row(9)])
        store.delete([b"a"])
        assert store.write([b"a"], [row(1)]) == 1
        assert store.read([b"a"]) == [row(1)]

    # --- scan

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_scan_gives_the_keys_of_a_prefix(self, store: OnlineStore, prefix: bytes) -> None:
        keys = {a + b for a in PREFIXES for b in (b"", b"a", b"\xff", b"\x00", b"zz")} - {b""}
        expected = {key: row(1, key) for key in keys}
        store.write(list(expected), list(expected.values()))
        items = list(store.scan(prefix))
        assert dict(items) == {k: r for k, r in expected.items() if k.startswith(prefix)}
        assert len(items) == len(dict(items))

    def test_scan_of_a_prefix_nobody_has(self, store: OnlineStore) -> None:
        store.write([b"a", b"c"], [row(1)] * 2)
        assert list(store.scan(b"b")) == []
        assert list(store.scan(b"a" * (MAX_KEY_BYTES + 100))) == []

    def test_namespaces_are_apart(self, store: OnlineStore) -> None:
        keys = [space + key for space in (b"a\x00", b"a\x01") for key in (b"k", b"l")]
        store.write(keys, [row(1, key) for key in keys])
        assert sorted(store.scan(b"a\x00")) == [(key, row(1, key)) for key in keys[:2]]
        store.delete([key for key, _ in store.scan(b"a\x00")])
        assert sorted(store.scan()) == [(key, row(1, key)) for key in keys[2:]]

    def test_scan_gives_unchanged_rows_once_while_others_change(self, store: OnlineStore) -> None:
        still = {b"still%04d" % i: row(1, b"%d" % i) for i in range(3_000)}
        store.write(list(still), list(still.values()))
        scanned: list[bytes] = []
        for at, (key, found) in enumerate(store.scan()):
            if key in still:
                assert found == still[key]
                scanned.append(key)
            if at % 300 == 0:
                others = [b"%s%d-%d" % (side, at, i) for side in (b"a", b"z") for i in range(200)]
                store.write(others, [row(1)] * len(others))
                store.delete(others[::2])
        assert sorted(scanned) == sorted(still)
