"""Many batches in one call."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest

from noskew.stores.online.base import MAX_KEY_BYTES, VERSION_BYTES, OnlineStore
from noskew.testing.online_store.rows import batch_of, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class LoadTests(OnlineStoreSuite):
    """A load is a write of all its batches."""

    def test_a_load_is_a_write_of_all_its_batches(self, store: OnlineStore) -> None:
        keys = [b"%05d" % i for i in range(self.many * 3 // 4)]
        random.Random(4).shuffle(keys)
        store.write(keys[:2], [row(9, b"newer"), row(1, b"older")])
        parts = [keys[:1], keys[1 : self.many // 2], [], keys[self.many // 2 :]]
        given = [batch_of(part, [row(5, key) for key in part]) for part in parts]
        assert store.load(iter(given)) == len(keys) - 1
        assert store.read(keys) == [row(9, b"newer"), *(row(5, key) for key in keys[1:])]
        assert store.load(given) == 0
        assert store.load([]) == 0

    def test_a_key_in_several_batches_of_a_load(self, store: OnlineStore) -> None:
        given = [[(b"a", 1), (b"b", 2)], [(b"b", 3), (b"a", 4), (b"b", 1)], [(b"a", 2)]]
        store.load(batch_of([k for k, _ in some], [row(v) for _, v in some]) for some in given)
        assert store.read([b"a", b"b"]) == [row(4), row(3)]

    def test_a_load_that_fails_can_be_repeated(self, store: OnlineStore) -> None:
        keys = [b"%05d" % i for i in range(3_000)]
        batch = batch_of(keys, [row(2)] * len(keys))

        def failing() -> Iterator[pa.RecordBatch]:
            yield batch
            raise OSError("the source is gone")

        with pytest.raises(OSError, match="the source is gone"):
            store.load(failing())
        assert set(store.read(keys)) <= {None, row(2)}
        store.load([batch])
        assert store.read(keys) == [row(2)] * len(keys)

    def test_a_load_outside_the_limits_is_refused(self, store: OnlineStore) -> None:
        for keys, rows in (
            ([b"k", b""], [row(1), row(1)]),
            ([b"k" * (MAX_KEY_BYTES + 1)], [row(1)]),
            ([b"k"], [bytes(VERSION_BYTES - 1)]),
        ):
            with pytest.raises(ValueError, match="bytes"):
                store.load([batch_of(keys, rows)])
