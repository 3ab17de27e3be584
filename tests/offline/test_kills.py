"""What is left after kill -9, at any moment of what a store does, and what others make of it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from noskew.errors import NoteMismatchError
from noskew.stores.offline import SEQUENCE, IcebergStore
from noskew.testing import processes
from noskew.testing.offline_store import bits, facts, simple
from tests import chaos
from tests.offline.crashing_work import (
    BATCHES,
    FOREVER,
    NOTE,
    ROWS,
    TOKEN,
    WORK,
    archive_and_die,
    batches,
    open_store,
    work_and_die,
)

COLUMNS = ["k", "v", SEQUENCE]
#: Kills spread over all that is done, beside those near its end; ``make chaos`` asks for more.
KILLS = max(6, int(os.environ.get("CHAOS_KILLS", "0")))


def run(home: Path, work: str, kill_at: int) -> tuple[int | None, int]:
    """The exit code of a process that does one thing, and the calls that it made."""
    receiver, sender = processes.clean_context().Pipe(duplex=False)
    process = processes.start(work_and_die, str(home), work, kill_at, sender)
    sender.close()
    process.join(120)
    calls = receiver.recv() if process.exitcode == 0 else 0
    return process.exitcode, calls


def points(calls: int) -> Iterator[int]:
    """Evenly spread, and closer together at the end, where the commit of an append is.

    No two runs make the same number of calls (a cache, a thread), so one of the last points may
    lie behind the end.
    """
    yield from (1 + calls * number // KILLS for number in range(KILLS))
    yield from (calls - 4**number for number in range(2, 7))


def files_left(home: Path) -> set[str]:
    """The data files that are there, named by a snapshot or not."""
    return {str(path) for path in (home / "noskew").rglob("*.parquet")}


@pytest.mark.chaos
@pytest.mark.parametrize("work", ["append", "append at a note"])
def test_a_killed_append_is_all_or_nothing(tmp_path: Path, work: str) -> None:
    """Killed at points spread over all that an append does, then repeated."""
    whole = tmp_path / "whole"
    with open_store(str(whole)) as store:
        store.create(simple())
        nothing = bits(store.read("facts", COLUMNS))
        code, calls = run(whole, work, 0)
        assert code == 0
        everything = bits(store.read("facts", COLUMNS))
    outcomes, kills = set(), 0
    for number, kill_at in enumerate(points(calls)):
        home = tmp_path / f"killed{number}"
        with open_store(str(home)) as store:
            store.create(simple())
            code, _ = run(home, work, kill_at)
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
            committed = is_committed(store, work)
            outcomes.add(committed)
            assert bits(store.read("facts", COLUMNS)) == (everything if committed else nothing)
            repeat(store, work, committed)
            assert bits(store.read("facts", COLUMNS)) == everything
            if work == "append at a note":
                store.compact("facts")
            assert files_left(home) == set(store.files("facts")), "what the kill left is removed"
            assert bits(store.read("facts", COLUMNS)) == everything
    assert kills >= KILLS, "points before the end must kill"
    assert outcomes == {True, False}, "the points must lie on both sides of the commit"
    chaos.note(
        "kill -9 of a writer of offline tables",
        faults=len(list(points(calls))),
        traces=kills,
        compared=len(list(points(calls))) * BATCHES * ROWS,
    )


def is_committed(store: IcebergStore, work: str) -> bool:
    """Whether the append is in, as its token or its note say."""
    notes = store.info("facts").notes
    if work == "append":
        return store.committed("facts", TOKEN) is not None
    assert notes in ({}, {NOTE: "600"})
    return bool(notes)


def repeat(store: IcebergStore, work: str, committed: bool) -> None:
    """Append again; what was committed is refused or recognised."""
    if work == "append":
        assert store.append("facts", batches(), token=TOKEN).repeated == committed
    elif committed:
        with pytest.raises(NoteMismatchError):
            WORK[work](store)
    else:
        WORK[work](store)


@pytest.mark.chaos
@pytest.mark.parametrize("work", ["compact", "compact small files", "expire"])
def test_killed_upkeep_loses_nothing(tmp_path: Path, work: str) -> None:
    """Nor does it leave anything that the next one does not clear away."""
    home, kept = tmp_path / "table", tmp_path / "kept"
    with table_of_many_appends(home):
        pass
    shutil.copytree(home, kept)
    with open_store(str(home)) as store:
        snapshots_before = snapshots(store)
        everything = bits(sorted_facts(store))
        code, calls = run(home, work, 0)
        assert code == 0
        assert bits(sorted_facts(store)) == everything
        after = (store.info("facts").files, len(snapshots(store)))
    outcomes, kills = set(), 0
    for kill_at in points(calls):
        shutil.rmtree(home)
        shutil.copytree(kept, home)  # files name each other by their paths
        with open_store(str(home)) as store:
            first, *_ = snapshots(store)
            old = bits(store.read("facts", COLUMNS, snapshot=first))
            code, _ = run(home, work, kill_at)
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
            info = store.info("facts")
            outcomes.add((info.files, len(snapshots(store))) == after)
            assert bits(sorted_facts(store)) == everything
            assert info.notes == {NOTE: "6"}
            assert {store.append("facts", [], token=f"t{n}").repeated for n in range(6)} == {True}
            if first in snapshots(store):
                assert bits(store.read("facts", COLUMNS, snapshot=first)) == old
            else:
                assert work == "expire"
            WORK[work](store)
            assert bits(sorted_facts(store)) == everything
            store.compact("facts")
            store.expire("facts", before=FOREVER)
            store.expire("facts", before=FOREVER)
            assert files_left(home) == set(store.files("facts")), "what the kill left is removed"
            assert bits(sorted_facts(store)) == everything
    assert len(snapshots_before) == 6
    assert kills >= KILLS, "points before the end must kill"
    assert outcomes == {True, False}, "the points must lie on both sides of the commit"
    chaos.note(
        "kill -9 of a writer of offline tables",
        faults=len(list(points(calls))),
        traces=kills,
        compared=len(list(points(calls))) * 48,
    )


def table_of_many_appends(home: Path) -> IcebergStore:
    """Six files a bucket, tokens and a note."""
    store = open_store(str(home))
    store.create(simple())
    for n in range(6):
        rows = [(k, n, float(n)) for k in range(8)]
        store.append("facts", [facts(rows)], token=f"t{n}", notes={NOTE: f"{n + 1}"})
    return store


def sorted_facts(store: IcebergStore) -> object:
    return store.read("facts", COLUMNS).sort_by(SEQUENCE)


def snapshots(store: IcebergStore) -> list[int]:
    return [s.snapshot_id for s in store._state("facts").table.snapshots()]


def test_two_archivers_of_one_log_write_each_row_once(tmp_path: Path) -> None:
    """In processes of their own, one of which is killed on the way. Neither uses a token."""
    end, overtaken, killed = 12, 0, 0
    for number, kill_at in enumerate((0, 20_000, 61_000, 90_000, 150_000)):
        home = tmp_path / str(number)
        with open_store(str(home)) as store:
            store.create(simple())
            overtaken_now, codes = race(home, end, [kill_at, 0])
            overtaken += overtaken_now
            killed += codes[0] == -signal.SIGKILL
            assert codes[1] == 0
            rows = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
            in_order = [row["k"] for row in sorted(rows, key=lambda row: row[SEQUENCE])]
            assert in_order == list(range(end))
            assert store.info("facts").notes == {NOTE: str(end)}
    assert killed >= 2, "points on the way must kill"
    assert overtaken, "they must have met"


def race(home: Path, end: int, kills: list[int]) -> tuple[int, list[int | None]]:
    """Run archivers side by side; give how often they were overtaken, and their exit codes."""
    start = processes.clean_context().Barrier(len(kills))
    pipes, started = [], []
    for kill_at in kills:
        receiver, sender = processes.clean_context().Pipe(duplex=False)
        process = processes.start(archive_and_die, str(home), end, kill_at, start, sender)
        sender.close()
        pipes.append(receiver)
        started.append(process)
    for process in started:
        process.join(120)
    codes = [process.exitcode for process in started]
    lost = sum(pipe.recv() for pipe, code in zip(pipes, codes, strict=True) if code == 0)
    return lost, codes
