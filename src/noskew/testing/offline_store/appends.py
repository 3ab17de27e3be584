"""Appends, whole and in two halves."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from noskew.errors import (
    ConflictError,
    InputError,
    InvalidNameError,
    NoteMismatchError,
    SchemaMismatchError,
)
from noskew.stores.offline.base import BUCKET, EVENT_TIME, SEQUENCE, OfflineStore, WrittenFacts
from noskew.testing.offline_store.facts import (
    BUCKETS,
    TIME,
    bits,
    facts,
    listed,
    simple,
)
from noskew.testing.offline_store.suite import OfflineStoreSuite


class AppendTests(OfflineStoreSuite):
    """What is committed, once, by whoever does it."""

    # -- appends -----------------------------------------------------------------------------

    def test_a_token_is_committed_once(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.committed("facts", "day:1.a-B_") is None
        first = store.append("facts", [facts([(1, 1, 1.0), (2, 1, 1.0)])], token="day:1.a-B_")
        assert (first.rows, first.repeated) == (2, False)

        def unread() -> Iterator[pa.RecordBatch]:
            raise AssertionError("a repeated append must not read its batches")
            yield

        with self.reopen(store) as again:
            for repeat in (
                again.append("facts", unread(), token="day:1.a-B_"),
                again.committed("facts", "day:1.a-B_"),
            ):
                assert repeat is not None
                assert (repeat.snapshot, repeat.rows, repeat.repeated) == (first.snapshot, 2, True)
            assert again.info("facts").rows == 2

    def test_an_empty_append_records_its_token(self, store: OfflineStore) -> None:
        store.create(simple())
        commit = store.append("facts", [], token="nothing")
        assert commit.rows == 0
        empty = facts([])
        assert store.append("facts", [empty, empty], token="nothing2").rows == 0
        again = store.committed("facts", "nothing")
        assert again is not None
        assert again.snapshot == commit.snapshot
        assert store.read("facts", ["k"], snapshot=commit.snapshot).num_rows == 0
        store.append("facts", [facts([(1, 1, 1.0)])], token="some")
        assert store.read("facts", ["k"]).num_rows == 1

    @pytest.mark.parametrize("token", ["", "a b", "a/b", "é", "x" * 129, "a\n"])
    def test_tokens_are_checked(self, store: OfflineStore, token: str) -> None:
        store.create(simple())
        with pytest.raises(InvalidNameError):
            store.append("facts", [], token=token)

    def test_batches_of_another_shape_are_refused_whole(self, store: OfflineStore) -> None:
        store.create(simple())
        good = facts([(1, 1, 1.0)])
        names = good.schema.names
        null_key = good.set_column(names.index("k"), "k", pa.array([None], pa.int64()))
        null_time = good.set_column(1, EVENT_TIME, pa.array([None], TIME))
        wide = good.append_column("w", pa.array([1]))
        narrow = good.drop_columns(["v"])
        text = good.set_column(names.index("v"), "v", pa.array(["1"]))
        naive = good.set_column(1, EVENT_TIME, pa.array([1], pa.timestamp("us")))
        outside = good.set_column(3, BUCKET, pa.array([BUCKETS], pa.int32()))
        negative = good.set_column(3, BUCKET, pa.array([-1], pa.int32()))
        for number, bad in enumerate(
            (null_key, null_time, wide, narrow, text, naive, outside, negative)
        ):
            with pytest.raises(SchemaMismatchError):
                store.append("facts", [good, bad], token=f"bad{number}")
            assert store.committed("facts", f"bad{number}") is None
        assert store.info("facts").snapshot is None
        assert store.files("facts") == []

    def test_an_error_in_the_callers_iterator_is_the_callers(self, store: OfflineStore) -> None:
        store.create(simple())

        def failing() -> Iterator[pa.RecordBatch]:
            yield facts([(1, 1, 1.0)])
            raise FileNotFoundError("the caller's own")

        with pytest.raises(FileNotFoundError, match="the caller's own"):
            store.append("facts", failing(), token="a")
        assert store.info("facts").rows == 0

    def test_progress_counts_every_row(self, store: OfflineStore) -> None:
        store.create(simple())
        seen: list[int] = []
        rows = [(k, 1, 1.0) for k in range(1_000)]
        store.append("facts", [facts(rows)], token="a", progress=seen.append)
        assert sum(seen) == 1_000
        assert min(seen) > 0

    def test_an_append_that_was_overtaken_comes_after(self, store: OfflineStore) -> None:
        """Also where the table was empty when it began, and however often it is overtaken."""
        store.create(simple())
        counts: list[int] = []
        with self.reopen(store) as other:

            def overtaken() -> Iterator[pa.RecordBatch]:
                yield facts([(1, 1, 1.0), (2, 1, 1.0)])
                other.append("facts", [facts([(3, 2, 2.0)])], token="fast")
                yield facts([(1, 3, 3.0)])

            def again(rows: int) -> None:
                counts.append(rows)
                other.append("facts", [facts([(4, len(counts), 4.0)])])

            commit = store.append("facts", overtaken(), token="slow", progress=again)
        assert (commit.rows, commit.repeated) == (3, False)
        assert sum(counts) == 3
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        order = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        assert order == [2.0, *[4.0] * len(counts), 1.0, 1.0, 3.0]
        assert len({row[SEQUENCE] for row in read}) == len(read)
        assert store.info("facts").last_sequence == max(row[SEQUENCE] for row in read)
        store.append("facts", [facts([(9, 9, 9.0)])])
        last = max(store.read("facts", ["v", SEQUENCE]).to_pylist(), key=lambda r: r[SEQUENCE])
        assert last["v"] == 9.0

    def test_an_overtaken_append_of_a_token_that_was_committed_is_a_repetition(
        self, store: OfflineStore
    ) -> None:
        store.create(simple())
        with self.reopen(store) as other:

            def overtaken(rows: int) -> None:
                other.append("facts", [facts([(1, 1, 1.0)])], token="same")

            commit = store.append("facts", [facts([(1, 1, 1.0)])], token="same", progress=overtaken)
        assert commit.repeated
        assert commit == store.committed("facts", "same")
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]

    def test_appends_without_a_token_are_never_repetitions(self, store: OfflineStore) -> None:
        store.create(simple())
        for _ in range(2):
            commit = store.append("facts", [facts([(1, 1, 1.0)])])
            assert (commit.token, commit.rows, commit.repeated) == (None, 1, False)
        assert store.info("facts").rows == 2

    def test_many_writers_lose_nothing(self, store: OfflineStore) -> None:
        store.create(simple())
        failures: list[BaseException] = []

        def write(writer: int) -> None:
            try:
                with self.reopen(store) as own:
                    for number in range(3):
                        rows = [(writer, number, float(number))]
                        _append_until_done(own, facts(rows), f"w{writer}-{number}")
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        assert sorted((row["k"], row["v"]) for row in read) == [
            (k, float(n)) for k in range(4) for n in range(3)
        ]
        order = sorted(read, key=lambda row: row[SEQUENCE])
        assert len({row[SEQUENCE] for row in read}) == 12
        for k in range(4):
            assert [row["v"] for row in order if row["k"] == k] == [0.0, 1.0, 2.0]
        assert store.info("facts").snapshot_number >= 12

    # -- appends in two halves ---------------------------------------------------------------

    def test_two_halves_make_an_append(self, store: OfflineStore) -> None:
        """Files of several writers, told of as plain data; nobody sees them before the commit."""
        store.create(simple())
        store.append("facts", [facts([(7, 1, 7.0)])])
        counts: list[int] = []
        with self.reopen(store) as other:
            parts = [
                store.write_files("facts", [facts([(1, 1, 1.0), (2, 1, 2.0)])], token="t", first=1),
                other.write_files(
                    "facts",
                    iter([facts([(1, 1, 3.0)])]),
                    token="t",
                    first=9,
                    progress=counts.append,
                ),
                other.write_files("facts", [], token="t", first=20),
            ]
            assert [(p.table, p.rows, p.first, p.end) for p in parts] == [
                ("facts", 2, 1, 3),
                ("facts", 1, 9, 10),
                ("facts", 0, 20, 20),
            ]
            assert counts == [1]
            assert store.info("facts").rows == 1
            assert len(store.files("facts")) == 1
            travelled = [
                WrittenFacts(**json.loads(json.dumps(dataclasses.asdict(part)))) for part in parts
            ]
            commit = store.commit_files("facts", travelled, token="t")
            assert (commit.rows, commit.token, commit.repeated) == (3, "t", False)
            assert other.committed("facts", "t") == dataclasses.replace(commit, repeated=True)
        read = store.read("facts", ["k", "v", SEQUENCE, BUCKET]).sort_by(SEQUENCE)
        assert bits(read) == bits(
            pa.table(
                {
                    "k": [7, 1, 2, 1],
                    "v": [7.0, 1.0, 2.0, 3.0],
                    SEQUENCE: [0, 1, 2, 9],
                    BUCKET: [3, 1, 2, 1],
                }
            )
        )
        assert len(self.read_raw(store, "facts")) == 4
        store.append("facts", [facts([(1, 1, 8.0)])])
        assert store.info("facts").last_sequence == 20

    def test_numbered_facts_have_their_numbers(self, store: OfflineStore) -> None:
        store.create(simple())

        def numbered(numbers: list[int], values: list[float]) -> pa.RecordBatch:
            batch = facts([(1, 5, value) for value in values])
            column = pa.array(numbers, pa.int64())
            return pa.RecordBatch.from_arrays(
                [column, *batch.columns], [SEQUENCE, *batch.schema.names]
            )

        parts = [
            store.write_files("facts", [numbered(*given)], token="t", first=100, numbered=True)
            for given in (([3, 0], [3.0, 0.0]), ([2, 1], [2.0, 1.0]))
        ]
        assert [(p.first, p.end) for p in parts] == [(100, 104), (100, 103)]
        store.commit_files("facts", parts, token="t")
        read = store.read("facts", ["v", SEQUENCE], bucket=1)
        runs = [[0.0, 3.0], [1.0, 2.0]]  # each file is sorted
        assert listed(read.column("v")) in (runs[0] + runs[1], runs[1] + runs[0])
        assert listed(read.column(SEQUENCE)) == [100 + v for v in listed(read.column("v"))]
        for batch, is_numbered in ((facts([(1, 5, 1.0)]), True), (numbered([0], [1.0]), False)):
            with pytest.raises(SchemaMismatchError, match=SEQUENCE):
                store.write_files("facts", [batch], token="u", first=200, numbered=is_numbered)
        with pytest.raises(SchemaMismatchError, match=SEQUENCE):
            store.write_files("facts", [numbered([-1], [1.0])], token="u", first=9, numbered=True)
        with pytest.raises(InputError):
            store.write_files("facts", [], token="u", first=-1)

    def test_files_are_committed_once(self, store: OfflineStore) -> None:
        """Also by the call whose answer was lost, and by another that did the same work."""
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        twin = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        done = store.commit_files("facts", [part], token="t")
        for again in (part, twin):
            repeated = store.commit_files("facts", [again], token="t")
            assert repeated == dataclasses.replace(done, repeated=True)
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]
        assert len(self.read_raw(store, "facts")) == 1
        assert store.append("facts", [facts([(9, 9, 9.0)])], token="t").repeated
        store.create(simple("other"))
        with pytest.raises(InputError, match="facts"):
            store.commit_files("other", [part], token="u")

    def test_an_empty_commit_of_files_records_its_token(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.commit_files("facts", [], token="t").rows == 0
        assert store.committed("facts", "t") is not None
        store.append("facts", [facts([(1, 1, 1.0)])])
        assert store.info("facts").last_sequence == 0

    def test_files_that_were_overtaken_are_refused(self, store: OfflineStore) -> None:
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        store.append("facts", [facts([(2, 1, 2.0)])])
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        assert store.committed("facts", "t") is None
        ahead = store.info("facts").last_sequence + 100
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=ahead)
        store.append("facts", [facts([(2, 1, 3.0)])])  # still before it
        store.commit_files("facts", [part], token="t")
        read = store.read("facts", ["v", SEQUENCE]).sort_by(SEQUENCE)
        assert listed(read.column("v")) == [2.0, 3.0, 1.0]

    def test_files_that_may_be_gone_are_refused(self, store: OfflineStore) -> None:
        """What nothing refers to is removed by an upkeep; a commit must not name it any more."""
        store.create(simple())
        for n in range(2):
            store.append("facts", [facts([(1, n, 1.0)])])
        part = store.write_files("facts", [facts([(1, 9, 9.0)])], token="t", first=10)
        store.compact("facts")
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        store.drop("facts")
        store.create(simple())
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        assert store.info("facts").rows == 0

    def test_notes_change_with_a_commit_of_files(self, store: OfflineStore) -> None:
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        with pytest.raises(NoteMismatchError):
            store.commit_files("facts", [part], token="t", expected={"n": "1"})
        store.commit_files("facts", [part], token="t", notes={"n": "1"}, expected={"n": None})
        assert store.info("facts").notes == {"n": "1"}
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]


def _append_until_done(store: OfflineStore, batch: pa.RecordBatch, token: str) -> None:
    """Repeat on conflict. Each conflict means that another writer got on, so this ends."""
    while True:
        try:
            store.append("facts", [batch], token=token)
        except ConflictError:
            continue
        return
