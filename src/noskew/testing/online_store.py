"""The tests every online store passes, for our backends and for yours.

Derive a class, give it a store and a way around it, and run it with pytest::

    class TestMyStore(OnlineStoreTests):
        can_be_stopped = False

        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path) as store:
                yield store

        def raw_read(self, store, key): ...
        def raw_write(self, store, key, row): ...
        def opener(self, store): return functools.partial(MyStore, store.path)

``raw_read`` and ``raw_write`` bypass the store (they use the client library of the backend), so
that reading and writing are each tested on their own, and not only against each other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from threading import Event, Thread

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from noskew.errors import CorruptDataError, StoreUnavailableError
from noskew.stores.online.base import MAX_KEY_BYTES, VERSION_BYTES, OnlineStore

#: Longer than any batch a backend is likely to cut a request into.
_MANY = 40_000
_LARGEST_VERSION = (1 << 8 * VERSION_BYTES) - 1
#: Where a comparison of versions by signed bytes, by words, by floats or as text goes wrong.
_EDGES = [0, 1, 127, 128, 255, 256, (1 << 53), (1 << 53) + 1, (1 << 63) - 1, 1 << 63]
_EDGES += [(1 << 64) - 1, 1 << 64, (1 << 80) + 1, (1 << 127) - 1, 1 << 127, _LARGEST_VERSION]
#: Where a prefix is taken for text, for a pattern, or for a string that ends at its first zero.
_PREFIXES = [b"", b"a", b"ab", b"\xff", b"\xff\xff", b"\x00", b"\x00\x00", b"\xc3\x28", b"a*"]
_PREFIXES += [b"?", b"[a-z]", b"[", b"]", b"\\", b"\\*", b"{a}", b"^", b"-", b"\r\n", b"%s"]


def row(version: int, payload: bytes = b"") -> bytes:
    """A row of a version."""
    return version.to_bytes(VERSION_BYTES, "big") + payload


def batch_of(keys: Sequence[bytes], rows: Sequence[bytes]) -> pa.RecordBatch:
    """A batch of a load."""
    columns = [pa.array(list(column), pa.large_binary()) for column in (keys, rows)]
    return pa.RecordBatch.from_arrays(columns, ["key", "row"])


def version_of(stored: bytes | None) -> int:
    """The version of a row that is there."""
    assert stored is not None, "expected a row, found none"
    return int.from_bytes(stored[:VERSION_BYTES], "big")


class OnlineStoreTests:
    """What :class:`noskew.stores.online.base.OnlineStore` promises, as tests."""

    #: Rows outlive the object: ``opener`` opens them again. False for a store in memory.
    supports_reopen = True
    #: Several processes may have the store open.
    supports_processes = True
    #: Somebody else can put bytes into the backend, so that the store has to notice.
    detects_foreign_bytes = True
    #: ``outage`` gives a store whose backend can be stopped.
    can_be_stopped = False

    @pytest.fixture
    def store(self) -> Iterator[OnlineStore]:
        """An open and empty store; close it afterwards."""
        raise NotImplementedError("give the class a fixture named store")

    def raw_read(self, store: OnlineStore, key: bytes) -> bytes | None:
        """What the backend holds at ``key``, read without the store."""
        raise NotImplementedError

    def raw_write(self, store: OnlineStore, key: bytes, stored: bytes) -> None:
        """Put ``stored`` at ``key``, whatever is there, without the store."""
        raise NotImplementedError

    def opener(self, store: OnlineStore) -> Callable[[], OnlineStore]:
        """Opens the rows of ``store`` again; it is sent to other processes, so no closure."""
        raise NotImplementedError

    def outage(self) -> AbstractContextManager[tuple[OnlineStore, Callable[[], None]]]:
        """A store on a backend of its own, and what stops that backend."""
        raise NotImplementedError

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
        found = [r and r[VERSION_BYTES:] for r in store.read(asked)]
        assert found == [b"c", None, b"a", b"c", b"b", None, b"a"]

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
        keys = [b"%06d" % i for i in range(_MANY)]
        random.Random(3).shuffle(keys)
        rows = [row(1, key) for key in keys]
        assert store.write(keys, rows) == _MANY
        assert store.read(keys) == rows
        assert store.write(keys, [row(2, key) for key in keys]) == _MANY
        assert dict(store.scan()) == {key: row(2, key) for key in keys}
        assert store.delete(keys) == _MANY
        assert list(store.scan()) == []

    # --- the greater version stays

    @pytest.mark.parametrize("newer", _EDGES[1:])
    def test_a_greater_version_replaces_and_a_smaller_does_not(
        self, store: OnlineStore, newer: int
    ) -> None:
        for older in [version for version in _EDGES if version < newer]:
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
        assert [version_of(r) for r in store.read(keys)] == [5, 5, 5, 5, 5, 5, 6, 7, 8, 9]

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

    # --- load

    def test_a_load_is_a_write_of_all_its_batches(self, store: OnlineStore) -> None:
        keys = [b"%05d" % i for i in range(30_000)]
        random.Random(4).shuffle(keys)
        store.write(keys[:2], [row(9, b"newer"), row(1, b"older")])
        parts = [keys[:1], keys[1:20_000], [], keys[20_000:]]
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

    @pytest.mark.parametrize("prefix", _PREFIXES)
    def test_scan_gives_the_keys_of_a_prefix(self, store: OnlineStore, prefix: bytes) -> None:
        keys = {a + b for a in _PREFIXES for b in (b"", b"a", b"\xff", b"\x00", b"zz")} - {b""}
        expected = {key: row(1, key) for key in keys}
        store.write(list(expected), list(expected.values()))
        found = list(store.scan(prefix))
        assert dict(found) == {k: r for k, r in expected.items() if k.startswith(prefix)}
        assert len(found) == len(dict(found))

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

    # --- limits and odd bytes

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
                asyncio.run(_read_async(store, keys))
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
        payload = random.Random(size).randbytes(size)
        keys = [b"%d" % i for i in range(10)]
        rows = [row(1, payload + key) for key in keys]
        assert store.write(keys, rows) == 10
        assert store.read(keys) == rows
        assert asyncio.run(_read_async(store, keys)) == rows
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

    # --- what is handed over belongs to the caller

    def test_rows_that_were_read_do_not_change(self, store: OnlineStore) -> None:
        store.write([b"k", b"l"], [row(1, b"one" * 100)] * 2)
        held = store.read([b"k", b"l"])
        scanned = dict(store.scan())
        store.write([b"k", b"l"], [row(2, b"two" * 100)] * 2)
        store.delete([b"l"])
        store.close()
        assert held == [row(1, b"one" * 100)] * 2
        assert scanned == {b"k": row(1, b"one" * 100), b"l": row(1, b"one" * 100)}
        assert {type(found) for found in held} == {bytes}

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
            assert asyncio.run(_read_async(store, asked)) == store.read(asked)

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

    # --- many at once

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
                    now = [-1 if r is None else version_of(r) for r in store.read(keys)]
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
        context = multiprocessing.get_context("spawn")
        writers = [
            context.Process(target=_write_in_process, args=(opener, keys, s)) for s in (1, 2)
        ]
        for process in writers:
            process.start()
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

    # --- opening, closing, failing

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
            asyncio.run(_read_async(store, [b"k"]))
            stop()
            _assert_unavailable(store)

    # --- against a dict

    def test_it_behaves_as_a_dict_that_keeps_the_greater_version(self, store: OnlineStore) -> None:
        numbers = count()

        class Machine(_StoreBesideDict):
            def __init__(self) -> None:
                super().__init__(store, b"%d/" % next(numbers))

        run_state_machine_as_test(Machine, settings=settings(deadline=None, stateful_step_count=25))


_keys = st.sampled_from([b"a", b"b", b"ab", b"\xff", b"\x00", b"*", b"{a}b"]) | st.binary(
    min_size=1, max_size=6
)
_versions = st.integers(0, 4) | st.sampled_from(_EDGES) | st.integers(0, _LARGEST_VERSION)
_batches = st.lists(st.tuples(_keys, _versions), max_size=12)


class _StoreBesideDict(RuleBasedStateMachine):
    """A store and a dict are told the same; they must never be told apart.

    ``space`` starts every key, so that each run begins empty without a new store.
    """

    def __init__(self, store: OnlineStore, space: bytes) -> None:
        super().__init__()
        self.store = store
        self.space = space
        self.model: dict[bytes, int] = {}

    @rule(batch=_batches)
    def write(self, batch: list[tuple[bytes, int]]) -> None:
        before = dict(self.model)
        for key, version in batch:
            if version > self.model.get(key, -1):
                self.model[key] = version
        changed = self.store.write(
            [self.space + key for key, _ in batch],
            # Rows of one key and version are equal, as the contract takes them to be.
            [row(version, key * 3) for key, version in batch],
        )
        assert changed == sum(before.get(key) != version for key, version in self.model.items())

    @rule(keys=st.lists(_keys, max_size=5))
    def delete(self, keys: list[bytes]) -> None:
        there = {key for key in keys if key in self.model}
        assert self.store.delete([self.space + key for key in keys]) == len(there)
        for key in there:
            del self.model[key]

    @rule(keys=st.lists(_keys, max_size=8))
    def read(self, keys: list[bytes]) -> None:
        found = self.store.read([self.space + key for key in keys])
        assert found == [self._row(key) for key in keys]

    @rule(prefix=_keys | st.just(b""))
    def scan(self, prefix: bytes) -> None:
        found = list(self.store.scan(self.space + prefix))
        wanted = [(self.space + k, self._row(k)) for k in self.model if k.startswith(prefix)]
        assert sorted(found) == sorted(wanted, key=lambda item: item[0])

    @invariant()
    def holds_the_same(self) -> None:
        keys = list(self.model)
        found = self.store.read([self.space + key for key in keys])
        assert found == [self._row(key) for key in keys]

    def _row(self, key: bytes) -> bytes | None:
        version = self.model.get(key)
        return None if version is None else row(version, key * 3)


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


async def _read_async(store: OnlineStore, keys: Sequence[bytes]) -> list[bytes | None]:
    return await store.read_async(keys)


def _assert_unavailable(store: OnlineStore) -> None:
    with pytest.raises(StoreUnavailableError):
        store.read([b"k"])
    with pytest.raises(StoreUnavailableError):
        store.read([b"k", b"l"])
    with pytest.raises(StoreUnavailableError):
        asyncio.run(_read_async(store, [b"k"]))
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
