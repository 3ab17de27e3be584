"""Threads and processes that use one store at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from threading import Event, Thread

import pytest

from noskew.stores.online.base import OnlineStore
from noskew.testing import processes
from noskew.testing.online_store.rows import row, stored_version
from noskew.testing.online_store.suite import OnlineStoreSuite


class SharingTests(OnlineStoreSuite):
    """They converge to the greatest version."""

    def test_threads_converge_to_the_greatest_version(self, store: OnlineStore) -> None:
        keys = [b"%d" % i for i in range(40)]
        failures: list[BaseException] = []
        finished = Event()

        def write(seed: int) -> None:
            try:
                _write_versions(store, keys, seed)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must fail
                failures.append(error)

        def watch() -> None:
            seen = [-1] * len(keys)
            try:
                while not finished.is_set():
                    now = [-1 if r is None else stored_version(r) for r in store.read(keys)]
                    assert all(map(int.__le__, seen, now)), "a version went backwards"
                    seen = now
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must fail
                failures.append(error)

        writers = [Thread(target=write, args=(seed,)) for seed in range(4)]
        watchers = [Thread(target=watch) for _ in range(2)]
        for thread in writers + watchers:
            thread.start()
        for thread in writers:
            thread.join()
        finished.set()
        for thread in watchers:
            thread.join()
        assert failures == []
        assert store.read(keys) == [row(_VERSIONS - 1, key) for key in keys]

    def test_processes_converge_to_the_greatest_version(self, store: OnlineStore) -> None:
        if not self.supports_processes:
            pytest.skip("this store belongs to one process")
        keys = [b"%d" % i for i in range(40)]
        opener = self.opener(store)
        writers = [processes.start(_write_in_process, opener, keys, seed) for seed in (1, 2)]
        _write_versions(store, keys, 3)
        for process in writers:
            process.join()
        assert [process.exitcode for process in writers] == [0, 0]
        assert store.read(keys) == [row(_VERSIONS - 1, key) for key in keys]

    def test_a_second_opening_sees_writes_at_once(self, store: OnlineStore) -> None:
        if not self.supports_reopen:
            pytest.skip("the rows of this store live and die with it")
        with self.opener(store)() as other:
            store.write([b"k"], [row(1)])
            assert other.read([b"k"]) == [row(1)]
            other.write([b"k"], [row(2)])
            assert store.read([b"k"]) == [row(2)]
        # The first is not harmed by the end of the second.
        assert store.read([b"k"]) == [row(2)]
        assert store.write([b"k"], [row(3)]) == 1


#: How many versions of each key the concurrent writers write.
_VERSIONS = 60


def _write_versions(store: OnlineStore, keys: Sequence[bytes], seed: int) -> None:
    """Write every version of every key, in an order of its own and in uneven batches."""
    order = random.Random(seed)
    items = [(key, row(version, key)) for key in keys for version in range(_VERSIONS)]
    order.shuffle(items)
    while items:
        part = [items.pop() for _ in range(min(len(items), order.randint(1, 60)))]
        store.write([key for key, _ in part], [found for _, found in part])


def _write_in_process(opener: Callable[[], OnlineStore], keys: Sequence[bytes], seed: int) -> None:
    with opener() as store:
        _write_versions(store, keys, seed)
