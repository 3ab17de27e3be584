"""What the simulation found, as small as it gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event as ThreadEvent
from typing import TypeVar

import pytest

from noskew.errors import (
    FencedError,
    NoskewError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.streaming.publish import publisher
from noskew.streaming.workers import bootstrap
from tests.simulation.calls import Calls, Undisturbed
from tests.simulation.checks import Checks
from tests.simulation.parts import Parts
from tests.simulation.process import Process
from tests.simulation.project import SETTINGS, Event, S
from tests.simulation.world import START, Shape, World
from tests.streaming import shop
from tests.streaming.test_streams import streamed

T = TypeVar("T")
_IDS = next(s for s in SETTINGS if s.has_ids and s.most_rows == 1)


class At(Undisturbed):
    """Does something before a call of a site: the one after ``left`` others."""

    def __init__(self, site: str, action: Callable[[], object], left: int = 0) -> None:
        self._site, self._action, self._left = site, action, left

    def around(
        self, who: str, site: str, call: Callable[[], T], partly: Callable[[], bool] | None = None
    ) -> T:
        self.meet(site)
        return super().around(who, site, call, partly)

    def meet(self, site: str) -> None:
        """Count the call of a site, and do it if it is the one."""
        if site == self._site:
            self._left -= 1
            if self._left == -1:
                self._action()


class Each(Undisturbed):
    """Does several things, each before a call of its own."""

    def __init__(self, *acts: At) -> None:
        self._acts = acts

    def around(
        self, who: str, site: str, call: Callable[[], T], partly: Callable[[], bool] | None = None
    ) -> T:
        for act in self._acts:
            act.meet(site)
        return super().around(who, site, call, partly)


class Stage:
    """A world in which a test says what happens."""

    def __init__(
        self, directory: Path, *, machines: int = 1, views: tuple[str, ...] = ("sums",)
    ) -> None:
        self.world = World(Shape(_IDS, views, machines=machines), Random(0), directory)
        self.checks = Checks(self.world)
        self._opened: list[Parts] = []

    def parts(self, machine: int = 0, calls: Calls | None = None) -> Parts:
        """The parts of a new process."""
        made = Parts(self.world, self.world.machines[machine], calls or Undisturbed(), "p")
        self._opened.append(made)
        return made

    def process(self, machine: int = 0, calls: Calls | None = None) -> Process:
        """A process that works on everything."""
        made = Process("p", self.parts(machine, calls), self.world.views, Counter())
        made.take(range(self.world.partitions))
        return made

    def append(self, *events: tuple[int, str]) -> None:
        """Events of users, with ids, that happen now."""
        now = self.world.clock.now()
        self.world.append(0, [[Event(user, now, 1.0, name)] for user, name in events])

    def rebuild(self, machine: int = 0, calls: Calls | None = None) -> None:
        """Make the rows anew."""
        parts = self.parts(machine, calls)
        for view in self.world.views:
            parts.renew(view)
            parts.ready(view)

    def close(self) -> None:
        """Close all files."""
        for parts in self._opened:
            parts.close()
        self.world.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Stage]:
    """A world with two machines."""
    made = Stage(tmp_path, machines=2)
    yield made
    made.close()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Stage]:
    """A world with two views."""
    made = Stage(tmp_path, views=("sums", "newest"))
    yield made
    made.close()


def finish(process: Process) -> None:
    """Fold, publish and archive everything."""
    while not process.is_done():
        process.turn(now=True)
        process.archive([0], 1_000)
    process.turn(now=True)


def fold(process: Process) -> None:
    """Fold and publish everything, and archive nothing."""
    while process.partitions[0].next_offset < process.parts.log.bounds(0)[1]:
        process.turn(now=True)


def test_rows_made_anew_before_anything_is_archived_count_every_event(stage: Stage) -> None:
    stage.append((0, "a"), (1, "b"))
    fold(stage.process())
    stage.rebuild()
    finish(stage.process())
    stage.checks.settled({"m0": stage.world.machines[0]})


def test_rows_of_a_log_that_is_gone_do_not_outlive_it(stage: Stage) -> None:
    stage.append((0, "a"))
    process = stage.process()
    finish(process)
    stage.world.clock.advance(S)
    stage.append((0, "b"), (1, "c"))
    fold(process)
    stage.world.replace_log()  # the last two events were never archived
    stage.rebuild()
    finish(stage.process())
    stage.checks.settled({"m0": stage.world.machines[0]})


def test_an_archive_whose_disk_is_full_for_a_while_archives_nothing_twice(stage: Stage) -> None:
    full = StoreFullError("the disk is full")
    process = stage.process(calls=At("archive.write", lambda: raised(full), left=2))
    stage.append((0, "a"))
    process.archive([0], 1_000)
    assert process.trace["archive steps that failed"] == 1
    stage.append((0, "a"))
    finish(process)
    stage.checks.settled({"m0": stage.world.machines[0]})


def raised(error: NoskewError) -> None:
    raise error


def test_an_archive_of_a_new_log_knows_the_ids_of_the_old_one(two: Stage) -> None:
    here, there = two.process(0), two.process(1)
    here.archive([0], 1_000)  # nothing yet, and so no ids
    two.append((0, "a"))
    finish(there)
    two.world.replace_log()
    two.rebuild()
    two.append((0, "a"))
    finish(two.process())
    two.checks.settled({"m0": two.world.machines[0]})


def test_rows_are_not_said_to_differ_while_they_are_still_of_the_last_generation(
    stage: Stage,
) -> None:
    stage.append((0, "a"))
    process = stage.process()
    finish(process)
    view = stage.world.views[0]
    parts = stage.parts()
    parts.renew(view)  # and is killed
    with suppress(StoreError):
        found = parts.verify(view)
        assert not found.different


def test_two_processes_of_a_machine_that_bring_a_partition_forward_at_once(
    two: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_FAR", 1)
    first = two.process(0)
    two.append((0, "a"), (0, "b"))
    finish(two.process(1))  # far ahead, on another machine
    two.append((1, "c"))

    def overtake() -> None:
        fold(two.process(0))

    slow = two.parts(0, At("offline.info", overtake))
    slow.base(first.folds).prepare(0)
    finish(two.process(0))
    two.checks.settled({"m0": two.world.machines[0]})


@pytest.mark.parametrize("left", range(12))
def test_rows_of_a_log_that_is_gone_do_not_come_back_with_a_replica(both: Stage, left: int) -> None:
    online = both.world.online
    both.append((0, "a"))
    process = both.process()
    finish(process)
    both.world.clock.advance(S)
    both.append((0, "b"))
    fold(process)
    both.world.replace_log()  # the last event was never archived
    before = online.changes(0)

    def take_over() -> None:
        """A replica does that knows nothing of the rebuild."""
        online.roll_back(0, online.changes(0) - before)

    both.rebuild()
    finish(both.process(calls=At("online.write", take_over, left)))
    both.checks.settled({"m0": both.world.machines[0]})


def test_a_store_that_is_emptied_while_it_is_looked_at_is_filled_again(stage: Stage) -> None:
    process = stage.process()
    for user in range(3):
        stage.append((user, "a"))
        finish(process)
        stage.world.clock.advance(S)
    finish(stage.process(calls=At("online.write", stage.world.online.empty)))
    stage.checks.settled({"m0": stage.world.machines[0]})


@pytest.mark.parametrize("left", range(1, 5))
def test_a_fail_over_counts_although_the_look_after_it_failed(
    stage: Stage, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_RETRY_S", 0.0)
    online = stage.world.online
    for user in range(3):
        stage.append((user, "a"))
    finish(stage.process())
    online.empty()
    down = StoreUnavailableError("the store is down")
    calls = Each(
        At("online.write", lambda: online.roll_back(0, 2), left),
        At("online.generation", lambda: raised(down), 1),
    )
    process = stage.process(calls=calls)
    finish(process)
    assert process.turn(now=True)
    stage.checks.settled({"m0": stage.world.machines[0]})


class Everything:
    """All partitions, whoever else works on them."""

    def look(self) -> frozenset[int]:
        return frozenset((0, 1))

    def release(self, numbers: Sequence[int]) -> None: ...


def test_a_stream_that_runs_while_its_rows_are_made_anew(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(200, 1))
        store.stream("orders")
        with store.streams.processor(*streamed(store), assignment=Everything()) as running:
            running.run(ThreadEvent(), until_caught_up=True)
            store.streams.rebuild(*streamed(store))
            store.push("orders", shop.orders(200, 2))
            with suppress(FencedError):
                running.run(ThreadEvent(), until_caught_up=True)
                running.run(ThreadEvent(), until_caught_up=True)
        store.stream("orders")
        found = store.streams.verify(*streamed(store))
        assert [v.different for v in found] == [0, 0]


def test_the_stage_is_sound(two: Stage) -> None:
    """What the tests above do, without what is in the way of noskew."""
    two.append((0, "a"), (0, "a"), (1, "b"))
    finish(two.process(0))
    two.world.clock.advance(S)
    two.append((0, "a"), (2, "c"))
    finish(two.process(1))
    two.rebuild()
    finish(two.process(0))
    assert two.world.clock.now() == START + S
    two.checks.settled({m.name: m for m in two.world.machines[:1]})
