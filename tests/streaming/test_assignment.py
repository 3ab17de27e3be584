"""Workers share the partitions of a source, take over from each other, and never both count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.clock import FixedClock
from noskew.errors import RegistryError
from noskew.registry.records.streaming import Assignments
from noskew.registry.sql.registry import SqlRegistry
from noskew.streaming.workers.assignment import PartitionAssignment, share
from noskew.testing import processes
from tests import chaos
from tests.servers import wait_until
from tests.streaming import naive, shop
from tests.streaming.test_streams import contents, expected

WORKERS = ["h-1-a", "h-2-b", "h-3-c", "h-4-d"]


@given(
    partitions=st.integers(1, 20),
    stages=st.lists(st.lists(st.sampled_from(WORKERS), min_size=1, unique=True), min_size=1),
    data=st.data(),
)
def test_whoever_comes_and_goes_all_partitions_find_one_owner(
    partitions: int, stages: list[list[str]], data: st.DataObject
) -> None:
    agreed = Assignments()
    for alive in stages:
        for _ in range(4):
            for worker in data.draw(st.permutations(alive)):
                before = agreed.owners
                agreed, wanted = share(agreed, worker, alive, partitions)
                assert wanted <= agreed.of(worker)
                taken = {n for n, w in agreed.owners.items() if before.get(n) not in (None, w)}
                assert all(before[n] not in alive for n in taken), "nothing is taken from the live"
                given_up = agreed.of(worker) - wanted
                owners = {n: w for n, w in agreed.owners.items() if n not in given_up}
                agreed = Assignments(agreed.workers, owners)
        assert set(agreed.owners) == set(range(partitions))
        sizes = [len(agreed.of(worker)) for worker in alive]
        assert sum(sizes) == partitions
        assert max(sizes) - min(sizes) <= 1
        assert set(agreed.workers) == set(alive)


def test_partitions_move_with_those_who_leave_and_with_the_silent(tmp_path: Path) -> None:
    with SqlRegistry(f"sqlite:///{tmp_path}/registry.db") as registry:

        def worker(name: str) -> PartitionAssignment:
            return PartitionAssignment(
                registry, "p", "s", lambda: 4, FixedClock(0), worker=f"other-1-{name}"
            )

        one, two = worker("one"), worker("two")
        assert one.look() == {0, 1, 2, 3}
        assert two.look() == set(), "all are taken"
        assert one.look() == {0, 1}
        one.release([2, 3])
        assert two.look() == {2, 3}
        one.close()
        assert two.look() == {0, 1, 2, 3}
        three = worker("three")
        assert three.look() == set()
        three.lease_s = 0.0  # whoever did not speak since the last look is dead
        assert three.look() == {0, 1, 2, 3}


def test_whoever_was_taken_for_dead_is_heard_again(tmp_path: Path) -> None:
    """It spoke once, was dropped, and speaks for the second time: not again for the first."""
    with SqlRegistry(f"sqlite:///{tmp_path}/registry.db") as registry:
        one = PartitionAssignment(
            registry, "p", "s", lambda: 2, FixedClock(0), worker="other-1-one"
        )
        two = PartitionAssignment(
            registry, "p", "s", lambda: 2, FixedClock(0), worker="other-1-two"
        )
        one.look()
        two.look()
        two.lease_s = 0.0
        assert two.look() == {0, 1}
        two.lease_s = 60.0
        assert one.look() == set()
        assert two.look() == {0}, "it is heard, and gets its share"


def test_a_dead_process_of_this_machine_is_known_to_be_dead(tmp_path: Path) -> None:
    with SqlRegistry(f"sqlite:///{tmp_path}/registry.db") as registry:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        one = PartitionAssignment(registry, "p", "s", lambda: 2, FixedClock(0))
        host, _, token = one.worker.rsplit("-", 2)
        dead = PartitionAssignment(
            registry, "p", "s", lambda: 2, FixedClock(0), worker=f"{host}-{gone.pid}-{token}"
        )
        assert dead.look() == {0, 1}
        assert one.look() == {0, 1}, "without waiting for its lease to end"


def test_a_registry_that_is_away_changes_nothing_once_it_was_reached(tmp_path: Path) -> None:
    registry = SqlRegistry(f"sqlite:///{tmp_path}/registry.db")
    assignment = PartitionAssignment(registry, "p", "s", lambda: 2, FixedClock(0))
    assert assignment.look() == {0, 1}

    def fail(*_: object, **__: object) -> bool:
        raise RegistryError("away")

    registry.swap_record = fail  # type: ignore[method-assign]
    assert assignment.look() == {0, 1}
    assignment.release([1])
    assert isinstance(assignment.fault, RegistryError)
    registry.close()


@dataclass
class Worker:
    """A process that works on the stream of a project."""

    process: BaseProcess
    ready: Path
    report: Path

    @property
    def partitions(self) -> int:
        """How many it works on; −1 before it began."""
        text = self.ready.read_text() if self.ready.exists() else ""
        return int(text) if text else -1

    def send(self, which: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, which)

    def end(self) -> int:
        """Stop in good order; how many of its commits were refused."""
        self.process.terminate()
        self.process.join(60)
        assert self.process.exitcode == 0
        return int(self.report.read_text())


@contextmanager
def worker(root: Path, name: str) -> Iterator[Worker]:
    ready, report = root / f"{name}.ready", root / f"{name}.report"
    process = processes.start(shop.work, root, ready, report)
    try:
        yield Worker(process, ready, report)
    finally:
        process.kill()  # a process that is stopped, too
        process.join()


@pytest.mark.chaos
def test_a_worker_that_was_paused_is_overtaken_and_changes_nothing(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store, worker(tmp_path, "one") as one:
        store.push("orders", shop.orders(200, 1))
        wait_until(lambda: contents(store) == expected(store), "the first worker has it online")
        one.send(signal.SIGSTOP)
        store.push("orders", shop.orders(200, 2))
        with worker(tmp_path, "two") as two:
            wait_until(lambda: contents(store) == expected(store), "the second took over")
            before = contents(store)
            one.send(signal.SIGCONT)
            wait_until(lambda: (one.partitions, two.partitions) == (1, 1), "they share the work")
            assert contents(store) == before
            store.push("orders", shop.orders(200, 3))
            wait_until(lambda: contents(store) == expected(store), "both go on")
            refused = one.end()
            assert refused > 0, "the zombie tried to commit"
            store.push("orders", shop.orders(200, 4))
            wait_until(lambda: contents(store) == expected(store), "who stays takes all")
            assert two.end() == 0
            compared = len(contents(store)) + naive.check_answers(store)
            chaos.note(
                "pause of a worker, another takes over, the first wakes up",
                faults=1,
                traces=refused > 0,
                compared=compared,
            )


@pytest.mark.chaos
def test_workers_come_and_are_killed_and_every_row_is_the_fold_of_its_log(tmp_path: Path) -> None:
    kills, turns = 0, chaos.times(2, 10)
    with shop.store(tmp_path) as store:
        for turn in range(turns):
            with worker(tmp_path, f"a{turn}") as one, worker(tmp_path, f"b{turn}") as two:
                for part in range(4):
                    store.push("orders", shop.orders(50, 10 * turn + part))
                wait_until(lambda: one.partitions > 0 or two.partitions > 0, "somebody works")
                one.process.kill()
                one.process.join()
                kills += one.process.exitcode == -signal.SIGKILL
                wait_until(lambda: contents(store) == expected(store), "the other one has it all")
        chaos.note(
            "kill -9 of one of two workers",
            faults=turns,
            traces=kills,
            compared=turns * len(contents(store)) + naive.check_answers(store),
        )
        assert kills == turns, "the nemesis left its trace"
