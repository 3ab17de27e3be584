"""The end of a run: nothing goes wrong any more, and everything comes to rest."""

from __future__ import annotations

from tests.simulation.checks import Checks
from tests.simulation.crew import Crew, Worker
from tests.simulation.operators import Operator
from tests.simulation.process import Process
from tests.simulation.project import S

#: Within so many rounds it must have come to rest.
_ROUNDS = 60
#: Looks at what was confirmed, after it is quiet.
_LOOKS = 2


class Rest:
    """Lets a crew finish its work, and checks that everything is as it should be."""

    def __init__(self, crew: Crew, operator: Operator, checks: Checks) -> None:
        self._world, self._random, self._crew = crew.world, crew.world.random, crew
        self._operator, self._checks = operator, checks

    def come(self) -> None:
        """To rest. Processes that know of every view may go on, or all are started again."""
        self._world.online.is_down = False
        self._world.log.portion = 1_000
        if self._operator.owes:
            self._operator.rebuild(self._random.choice(self._world.machines))
        assert not self._operator.owes, "rows could not be made anew"
        goes_on = self._random.random() < 0.85
        for worker, process in self._crew.running:
            worker.rests = 0
            if not goes_on or not self._has_all_views(process):
                self._crew.end(worker)
        assert any(self._round() for _ in range(_ROUNDS)), "it does not come to rest"
        for _ in range(_LOOKS):
            self._round()
        machines = {w.machine.name: w.machine for w, _ in self._crew.running}
        self._checks.settled(machines)
        for machine in machines.values():
            self._operator.verify_everything(machine)

    def _round(self) -> bool:
        """Everybody does what there is to do; whether nothing is left."""
        self._world.clock.advance(2 * S)
        if not self._crew.running:
            self._crew.start(self._random.choice(self._crew.workers))
            return False
        every = list(range(self._world.partitions))
        held = {number for _, process in self._crew.running for number in process.partitions}
        missing = [number for number in every if number not in held]
        if missing:
            worker, _ = self._random.choice(self._crew.running)
            self._crew.let(worker, lambda _, process: process.take(missing))
        for worker, _ in self._crew.running:
            left = self._checks.unfinished(worker.machine)
            if left:
                self._crew.let(worker, lambda _, process, left=left: process.take(left))
                missing += left
        done = [self._finish(worker, process, every) for worker, process in self._crew.running]
        return all(done) and not missing

    def _finish(self, worker: Worker, process: Process, every: list[int]) -> bool:
        self._crew.let(worker, lambda _, process: process.turn(now=True))
        self._crew.let(worker, lambda _, process: process.archive(every, 1_000))
        if worker.process is not process:
            return False
        published = process.publishing.waiting == 0 and process.publishing.fault is None
        return published and process.is_done()

    def _has_all_views(self, process: Process) -> bool:
        """Whether it was started after the last view was added."""
        return {f.view.name for f in process.folds} == {v.name for v in self._world.views}
