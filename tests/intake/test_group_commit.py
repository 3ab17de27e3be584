"""Many appends for one sync of the disk, each with its own offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from noskew.errors import StoreError, StoreFullError
from noskew.intake import group_commit
from noskew.intake.group_commit import GroupCommit
from noskew.stores.log.local import LocalLog


class GatedLog(LocalLog):
    """A log whose appends wait for a gate, and that remembers how many messages each had."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, partitions=2)
        self.gate, self.began = Event(), Event()
        self.sizes: list[int] = []
        self.full = False

    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        self.began.set()
        assert self.gate.wait(20)
        self.sizes.append(len(payloads))
        if self.full:
            raise StoreFullError("no space left")
        return super().append(partition, payloads)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[GatedLog]:
    with GatedLog(tmp_path / "log") as made:
        yield made


def held(log: LocalLog, partition: int = 0) -> list[bytes]:
    with log.reader({partition: 0}) as reader:
        return [p for m in reader.poll(0) for p in m.payloads.to_pylist()]


def behind(log: GatedLog, commit: GroupCommit) -> Future[int]:
    """The first append, which is under way: all later ones wait."""
    first = commit.append(0, [b"first"])
    assert log.began.wait(20)
    return first


def test_what_waits_is_appended_at_once_and_each_gets_its_own_offset(log: GatedLog):
    with GroupCommit(log) as commit:
        first = behind(log, commit)
        waiting = [commit.append(0, [b"%d" % n] * n) for n in range(1, 40)]
        log.gate.set()
        assert first.result(20) == 1
        after = [w.result(20) for w in waiting]
    assert log.sizes == [1, sum(range(1, 40))]
    messages = held(log)
    for n, end in enumerate(after, 1):
        assert messages[end - n : end] == [b"%d" % n] * n


def test_partitions_do_not_wait_for_each_other(log: GatedLog):
    with GroupCommit(log) as commit:
        first = behind(log, commit)
        log.began.clear()
        other = commit.append(1, [b"other"])
        assert log.began.wait(20)
        log.gate.set()
        assert (first.result(20), other.result(20)) == (1, 1)
    assert held(log, 1) == [b"other"]


def test_a_group_is_no_larger_than_it_may_be_but_for_one_that_is(
    log: GatedLog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group_commit, "GROUP_BYTES", 10)
    with GroupCommit(log) as commit:
        behind(log, commit)
        sizes = (4, 6, 1, 11, 5, 5, 1)
        waiting = [commit.append(0, [bytes(n)]) for n in sizes]
        log.gate.set()
        assert [w.result(20) for w in waiting] == list(range(2, 9))
    assert log.sizes == [1, 2, 1, 1, 2, 1]


def test_a_failure_is_told_to_everybody_it_befell_and_to_nobody_else(log: GatedLog):
    with GroupCommit(log) as commit:
        first = behind(log, commit)
        waiting = [commit.append(0, [b"x"]) for _ in range(3)]
        log.full = True
        log.gate.set()
        for failed in (first, *waiting):
            with pytest.raises(StoreFullError):
                failed.result(20)
        log.full = False
        assert commit.append(0, [b"again"]).result(20) == 1
    assert held(log) == [b"again"]


def test_one_that_is_cancelled_before_its_turn_appends_nothing(log: GatedLog):
    with GroupCommit(log) as commit:
        first = behind(log, commit)
        waiting = [commit.append(0, [b"%d" % n]) for n in range(3)]
        assert waiting[1].cancel()
        assert not first.cancel()
        log.gate.set()
        assert (waiting[0].result(20), waiting[2].result(20)) == (2, 3)
        with pytest.raises(CancelledError):
            waiting[1].result(20)
    assert held(log) == [b"first", b"0", b"2"]


def test_closing_appends_what_waits_and_takes_no_more(log: GatedLog):
    commit = GroupCommit(log)
    behind(log, commit)
    waiting = [commit.append(0, [b"%d" % n]) for n in range(5)]
    with ThreadPoolExecutor(1) as other:
        closing = other.submit(commit.close)
        log.gate.set()
        closing.result(20)
    assert [w.result(0) for w in waiting] == list(range(2, 7))
    with pytest.raises(StoreError, match="no more events"):
        commit.append(0, [b"late"])
    commit.close()


def test_many_threads_and_two_owners_of_one_log(tmp_path: Path):
    with LocalLog(tmp_path / "log") as a, LocalLog(tmp_path / "log") as b:
        commits = [GroupCommit(log) for log in (a, b)]

        def push(caller: int) -> list[tuple[int, bytes]]:
            named = [b"%d %d" % (caller, n) for n in range(25)]
            return [(commits[caller % 2].append(0, [m]).result(20), m) for m in named]

        with ThreadPoolExecutor(16) as callers:
            given = [pair for pairs in callers.map(push, range(16)) for pair in pairs]
        for commit in commits:
            commit.close()
        messages = held(a)
    assert sorted(end for end, _ in given) == list(range(1, 401))
    assert all(messages[end - 1] == message for end, message in given)
