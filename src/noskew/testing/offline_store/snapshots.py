"""Snapshots, compaction and expiry."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import pytest

from noskew.errors import (
    ConflictError,
    NotFoundError,
)
from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
    KNOWN_TIME,
    SEQUENCE,
    OfflineStore,
)
from noskew.testing.offline_store.facts import (
    BUCKETS,
    facts,
    listed,
    simple,
)
from noskew.testing.offline_store.suite import OfflineStoreSuite


class SnapshotTests(OfflineStoreSuite):
    """Earlier states of a table, and its upkeep."""

    # -- snapshots ---------------------------------------------------------------------------

    def test_snapshots_stay_as_they_were(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = [
            store.append("facts", [facts([(n, n, float(n))])], token=f"t{n}") for n in range(4)
        ]
        numbers = []
        for n, commit in enumerate(commits):
            read = store.read("facts", ["k"], snapshot=commit.snapshot)
            assert sorted(listed(read.column("k"))) == list(range(n + 1))
            info = store.info("facts", snapshot=commit.snapshot)
            assert (info.rows, info.snapshot) == (n + 1, commit.snapshot)
            assert info.bytes > 0
            numbers.append(info.snapshot_number)
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert store.info("facts").snapshot == commits[-1].snapshot
        for call in (store.info, lambda t, snapshot: store.read(t, ["k"], snapshot=snapshot)):
            with pytest.raises(NotFoundError):
                call("facts", snapshot=12_345)

    def test_a_reader_sees_commits_of_others(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.read("facts", ["k"]).num_rows == 0
        with self.reopen(store) as other:
            other.append("facts", [facts([(1, 1, 1.0)])], token="a")
        assert store.read("facts", ["k"]).num_rows == 1
        assert store.committed("facts", "a") is not None

    def test_compact_changes_files_and_nothing_else(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = []
        for n in range(5):
            rows = [(k, (k * n) % 3, float(n)) for k in range(20)]
            commits.append(store.append("facts", [facts(rows)], token=f"t{n}"))
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        before = store.read("facts", columns).sort_by(keys)
        old = store.read("facts", columns, snapshot=commits[2].snapshot)
        progress: list[int] = []
        assert store.compact("facts", progress=progress.append) == 5 * BUCKETS
        assert sum(progress) == 100
        assert len(store.files("facts")) == BUCKETS
        for bucket in range(BUCKETS):
            run = store.read("facts", columns, bucket=bucket)
            assert run.equals(run.sort_by(keys)), "one sorted run"
        assert store.read("facts", columns).sort_by(keys).equals(before)
        assert store.read("facts", columns, snapshot=commits[2].snapshot).equals(old)
        with self.reopen(store) as again:
            assert again.read("facts", columns, snapshot=commits[2].snapshot).equals(old)
            assert again.read("facts", columns).sort_by(keys).equals(before)
            commit = again.committed("facts", "t3")
            assert commit is not None
            assert (commit.snapshot, commit.rows) == (commits[3].snapshot, 20)
        info = store.info("facts")
        assert (info.rows, info.files) == (100, BUCKETS)
        assert (
            info.snapshot_number
            > store.info("facts", snapshot=commits[-1].snapshot).snapshot_number
        )
        assert store.compact("facts") == 0
        store.append("facts", [facts([(1, 9, 9.0)])], token="later")
        assert max(listed(store.read("facts", [SEQUENCE]).column(SEQUENCE))) == 100

    @pytest.mark.parametrize("small", [False, True])
    def test_compacting_and_appending_do_not_stop_each_other(
        self, store: OfflineStore, small: bool
    ) -> None:
        """Neither loses anything, and the notes are those of the last append."""
        store.create(simple())
        for n in range(6):
            rows = [(k, n, float(n)) for k in range(BUCKETS)]
            store.append("facts", [facts(rows)], notes={"n": f"{n}"})
        with self.reopen(store) as other:

            def append(rows: int) -> None:
                number = int((other.info("facts").notes or {})["n"])
                batch = facts([(k, 100 + number, 100.0) for k in range(BUCKETS)])
                other.append(
                    "facts", [batch], notes={"n": f"{number + 1}"}, expected={"n": f"{number}"}
                )

            assert store.compact("facts", small=small, progress=append) == 6 * BUCKETS
            assert store.info("facts").notes == {"n": f"{5 + BUCKETS}"}
            assert store.info("facts").rows == (6 + BUCKETS) * BUCKETS
            assert store.info("facts").files == BUCKETS * (1 + BUCKETS)
            left = BUCKETS * (2 if small else 1)  # six rows and four, in a bucket

            def compact(rows: int) -> None:
                other.compact("facts", small=small)

            batch = facts([(k, 1_000, 1_000.0) for k in range(BUCKETS)])
            store.append("facts", [batch], expected={"n": f"{5 + BUCKETS}"}, progress=compact)
        assert store.info("facts").files == left + BUCKETS
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        order = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        appended = [*(float(n) for n in range(6)), *[100.0] * BUCKETS, 1_000.0]
        assert order == [value for value in appended for _ in range(BUCKETS)]
        assert len({row[SEQUENCE] for row in read}) == len(read)
        assert len(self.read_raw(store, "facts")) == len(read)

    def test_small_files_are_merged_now_and_then(self, store: OfflineStore) -> None:
        """There are never many, and no row is written again often."""
        store.create(simple())
        commits, rewritten = 60, 0

        def count(rows: int) -> None:
            nonlocal rewritten
            rewritten += rows

        rows, snapshots = 0, []
        for n in range(commits):
            batch = [(k, n, float(n)) for k in range(BUCKETS + n % 3)]
            rows += len(batch)
            commit = store.append("facts", [facts(batch)], notes={"n": f"{n}"})
            snapshots.append((commit.snapshot, rows))
            store.compact("facts", small=True, progress=count)
            for bucket in range(BUCKETS):
                inside = store.read("facts", ["k"], bucket=bucket).num_rows
                assert len(store.files("facts", bucket=bucket)) <= 4 + math.log2(inside)
        assert commits < rewritten <= rows * math.log2(rows / BUCKETS + 2)
        info = store.info("facts")
        assert (info.rows, info.last_sequence, info.notes) == (rows, rows - 1, {"n": "59"})
        read = store.read("facts", ["v", SEQUENCE]).to_pylist()
        order = sorted(read, key=lambda row: row[SEQUENCE])
        assert [row[SEQUENCE] for row in order] == list(range(rows))
        assert [row["v"] for row in order] == sorted(row["v"] for row in read)
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        slices = store.scan("facts", ["k", EVENT_TIME, SEQUENCE], bucket=0)
        assert sum(map(len, slices)) == store.read("facts", ["k"], bucket=0).num_rows
        for snapshot, there in snapshots[::10]:
            assert store.read("facts", ["k"], snapshot=snapshot).num_rows == there
        assert store.compact("facts") > 0
        run = store.read("facts", ["k", EVENT_TIME, SEQUENCE], bucket=0)
        assert run.equals(run.sort_by(keys))

    def test_few_or_large_files_are_left_alone(self, store: OfflineStore) -> None:
        store.create(simple())
        large = [(0, n, float(n)) for n in range(1_000)]
        store.append("facts", [facts(large)], token="large")
        (kept,) = store.files("facts")
        for n in range(3):
            store.append("facts", [facts([(0, n, float(n))])])
            before = store.info("facts")
            assert store.compact("facts", small=True) == 0
            assert store.info("facts") == before
        store.append("facts", [facts([(0, 9, 9.0)])])
        assert store.compact("facts", small=True) == 4
        assert kept in store.files("facts")
        assert store.info("facts").files == 2

    def test_expire_forgets_snapshots_and_nothing_else(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.expire("facts", before=2**62) == 0
        commits = []
        for n in range(8):
            rows = [(k, n, float(n)) for k in range(6)]
            token = f"t{n}" if n % 2 else None
            commits.append(store.append("facts", [facts(rows)], token=token, notes={"n": f"{n}"}))
            if n == 4:
                store.compact("facts")
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        pinned, latest = commits[2].snapshot, store.info("facts")
        everything = store.read("facts", columns).sort_by(keys)
        old = store.read("facts", columns, snapshot=pinned).sort_by(keys)
        assert latest.committed_at is not None
        # Snapshots of eight appends and a compaction; the latest and the pinned one stay.
        forgotten = store.expire("facts", before=latest.committed_at + 1, keep=[pinned, 12_345])
        assert forgotten == 7
        for own in (store, self.reopen(store)):
            with own:
                info = own.info("facts")
                assert (info.rows, info.last_sequence) == (48, latest.last_sequence)
                assert info.notes == {"n": "7"}
                assert info.snapshot_number >= latest.snapshot_number
                assert own.read("facts", columns).sort_by(keys).equals(everything)
                assert own.read("facts", columns, snapshot=pinned).sort_by(keys).equals(old)
                assert own.info("facts", snapshot=pinned).rows == 18
                assert own.read("facts", ["k"], snapshot=latest.snapshot).num_rows == 48
                for n in (0, 1, 3, 4, 5, 6):
                    with pytest.raises(NotFoundError):
                        own.read("facts", ["k"], snapshot=commits[n].snapshot)
                    with pytest.raises(NotFoundError):
                        own.info("facts", snapshot=commits[n].snapshot)
                for n in (1, 3, 5, 7):
                    commit = own.committed("facts", f"t{n}")
                    assert commit == dataclasses.replace(commits[n], repeated=True)
                    assert own.append("facts", [], token=f"t{n}") == commit
                assert own.committed("facts", "t0") is None
        with self.reopen(store) as again:
            again.append("facts", [facts([(1, 9, 9.0)])], expected={"n": "7"})
            assert max(listed(again.read("facts", [SEQUENCE]).column(SEQUENCE))) == 48

    def test_expire_goes_by_when_a_snapshot_was_replaced(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = [store.append("facts", [facts([(n, n, float(n))])]) for n in range(6)]
        times = [store.info("facts", snapshot=c.snapshot).committed_at or 0 for c in commits]
        assert times == sorted(times)
        assert store.expire("facts", before=times[0]) == 0
        # The fourth was the latest still when the fifth was made, and so at every time before.
        expected = [n for n in range(5) if times[n + 1] < times[4]]
        assert store.expire("facts", before=times[4]) == len(expected)
        for n, commit in enumerate(commits):
            if n in expected:
                with pytest.raises(NotFoundError):
                    store.read("facts", ["k"], snapshot=commit.snapshot)
            else:
                assert store.read("facts", ["k"], snapshot=commit.snapshot).num_rows == n + 1
        assert store.expire("facts", before=times[4]) == 0

    def test_tokens_of_snapshots_long_forgotten_are_known(self, store: OfflineStore) -> None:
        """However often snapshots are expired."""
        store.create(simple())
        for n in range(6):
            store.append("facts", [facts([(n, n, float(n))] * n)], token=f"t{n}")
            store.expire("facts", before=2**62)
        with self.reopen(store) as again:
            for n in range(6):
                commit = again.append("facts", [facts([(n, n, float(n))])], token=f"t{n}")
                assert (commit.rows, commit.repeated) == (n, True)
            assert again.info("facts").rows == 15

    def test_expiring_while_others_write(self, store: OfflineStore) -> None:
        """Files that wait for their commit are not taken for files that nobody needs."""
        store.create(simple())
        for n in range(5):
            store.append("facts", [facts([(k, n, float(n)) for k in range(BUCKETS)])])
        with self.reopen(store) as other:

            def expire(rows: int) -> None:
                other.expire("facts", before=2**62)

            store.append("facts", [facts([(9, 9, 9.0)])], token="a", progress=expire)
            assert len(self.read_raw(store, "facts")) == 5 * BUCKETS + 1
            try:
                store.compact("facts", progress=expire)
            except ConflictError:
                assert store.info("facts").files > BUCKETS
            assert len(self.read_raw(store, "facts")) == 5 * BUCKETS + 1
        assert store.compact("facts") in (0, 5 * BUCKETS + 1)
        read = store.read("facts", ["v"])
        assert sorted(listed(read.column("v"))) == sorted([*range(5)] * BUCKETS + [9])

    def test_a_reader_at_a_forgotten_snapshot(self, store: OfflineStore) -> None:
        """It finishes, or learns that the snapshot was forgotten: not that files are lost."""
        store.create(simple())
        first = store.append("facts", [facts([(0, n, float(n)) for n in range(100)])])
        store.append("facts", [facts([(0, 0, 0.0)])])
        with self.reopen(store) as reader:
            assert reader.read("facts", ["k"], snapshot=first.snapshot).num_rows == 100
            slices = reader.scan("facts", ["k"], bucket=0, snapshot=first.snapshot)
            store.compact("facts")
            assert store.expire("facts", before=2**62) >= 1
            with contextlib.suppress(NotFoundError):
                assert reader.read("facts", ["k"], snapshot=first.snapshot).num_rows == 100
            with contextlib.suppress(NotFoundError):
                assert sum(table.num_rows for table in slices) == 100
            assert reader.read("facts", ["k"]).num_rows == 101

    def test_raw_files_hold_what_the_store_reads(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(k, -k, k / 3) for k in range(100)])], token="a")
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        raw = self.read_raw(store, "facts").select(columns).sort_by("k")
        read = store.read("facts", columns).sort_by("k")
        assert raw.cast(read.schema).equals(read)
        assert listed(raw.column("v")) == [k / 3 for k in range(100)]

    def test_close_twice(self, store: OfflineStore) -> None:
        own = self.reopen(store)
        own.create(simple())
        own.close()
        own.close()
