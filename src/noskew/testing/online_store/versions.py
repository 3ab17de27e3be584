"""Of two rows the one of the greater version stays."""

from __future__ import annotations

import pytest

from noskew.stores.online.base import VERSION_BYTES, OnlineStore
from noskew.testing.online_store.rows import EDGES, row, stored_version
from noskew.testing.online_store.suite import OnlineStoreSuite


class VersionTests(OnlineStoreSuite):
    """The order of writes does not matter."""

    @pytest.mark.parametrize("newer", EDGES[1:])
    def test_a_greater_version_replaces_and_a_smaller_does_not(
        self, store: OnlineStore, newer: int
    ) -> None:
        for older in [version for version in EDGES if version < newer]:
            key = b"%d" % older
            self.raw_write(store, key, row(older, b"older"))
            assert store.write([key], [row(newer, b"newer")]) == 1
            assert self.raw_read(store, key) == row(newer, b"newer")
            assert store.write([key], [row(older, b"older")]) == 0
            assert self.raw_read(store, key) == row(newer, b"newer")

    def test_every_byte_of_the_version_counts(self, store: OnlineStore) -> None:
        versions = [bytes(at) + b"\x80" + bytes(15 - at) for at in range(VERSION_BYTES)]
        below = [bytes(at) + b"\x7f" + b"\xff" * (15 - at) for at in range(VERSION_BYTES)]
        keys = [b"%d" % at for at in range(VERSION_BYTES)]
        assert store.write(keys, below) == VERSION_BYTES
        assert store.write(keys, versions) == VERSION_BYTES
        assert store.write(keys, below) == 0
        assert store.read(keys) == versions

    def test_only_the_version_decides(self, store: OnlineStore) -> None:
        store.write([b"k"], [row(2, b"\x00")])
        assert store.write([b"k"], [row(1, b"\xff" * 100)]) == 0
        assert store.read([b"k"]) == [row(2, b"\x00")]

    def test_of_equal_versions_the_first_stays(self, store: OnlineStore) -> None:
        assert store.write([b"k"], [row(5, b"first")]) == 1
        assert store.write([b"k"], [row(5, b"second")]) == 0
        assert self.raw_read(store, b"k") == row(5, b"first")

    def test_a_replay_changes_nothing(self, store: OnlineStore) -> None:
        batches = [([b"a", b"b"], [row(1), row(4)]), ([b"a", b"c"], [row(3), row(2)])]
        for keys, rows in batches:
            store.write(keys, rows)
        before = sorted(store.scan())
        assert [store.write(keys, rows) for keys, rows in batches] == [0, 0]
        assert sorted(store.scan()) == before == [(b"a", row(3)), (b"b", row(4)), (b"c", row(2))]

    def test_a_key_twice_in_one_write(self, store: OnlineStore) -> None:
        versions = [2, 9, 1, 9, 3]
        changed = store.write([b"k"] * 5, [row(v, b"%d" % v) for v in versions])
        assert self.raw_read(store, b"k") == row(9, b"9")
        assert changed == 1

    def test_a_partly_newer_batch_changes_that_part(self, store: OnlineStore) -> None:
        keys = [b"%d" % i for i in range(10)]
        store.write(keys, [row(5, b"old")] * 10)
        assert store.write([*keys, b"new"], [row(i, b"new") for i in range(11)]) == 5
        assert [stored_version(r) for r in store.read(keys)] == [5, 5, 5, 5, 5, 5, 6, 7, 8, 9]

    def test_new_keys_among_many_present_ones(self, store: OnlineStore) -> None:
        # A backend may guess from a few keys that a batch is new, or that it is not.
        present = [b"%04d" % i for i in range(0, 1_000, 7)]
        store.write(present, [row(3, b"present")] * len(present))
        keys = [b"%04d" % i for i in range(1_000)]
        assert store.write(keys, [row(2, b"late")] * 1_000) == 1_000 - len(present)
        assert store.write(keys[::-1], [row(4, b"newest")] * 1_000) == 1_000
        assert store.read(keys) == [row(4, b"newest")] * 1_000

    def test_a_few_present_keys_among_many_new_ones(self, store: OnlineStore) -> None:
        keys = [b"%04d" % i for i in range(1_000)]
        store.write([keys[501], keys[777]], [row(1, b"older"), row(9, b"newer")])
        assert store.write(keys, [row(5, b"batch")] * 1_000) == 999
        expected = [row(5, b"batch")] * 1_000
        expected[777] = row(9, b"newer")
        assert store.read(keys) == expected
