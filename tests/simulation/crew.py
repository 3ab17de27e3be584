"""The processes of a world: who runs, on which machine, and what becomes of those that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from noskew.errors import NoskewError, OffsetLostError, RebuiltError
from tests.simulation.calls import Calls, Crash, Undisturbed
from tests.simulation.parts import Parts
from tests.simulation.process import Process
from tests.simulation.world import Machine, World

#: What a worker may be let do.
Action = Callable[["Worker", Process], object]


@dataclass
class Worker:
    """A process that is started again when it has ended. ``rests``: turns that it is paused for."""

    name: str
    machine: Machine
    process: Process | None = None
    rests: int = 0
    lives: int = 0


class Crew:
    """The workers, at most one of which is running at any moment.

    While one is in the middle of a call, another may do something; ``calls`` decides when.
    """

    def __init__(
        self, world: World, count: int, trace: Counter[str], say: Callable[[str], None]
    ) -> None:
        self.world, self._random, self._trace, self._say = world, world.random, trace, say
        self.calls: Calls = Undisturbed()
        self.workers = [
            Worker(f"w{i}", world.machines[i % len(world.machines)]) for i in range(count)
        ]
        #: Those in the middle of a call, and the machines on which somebody makes rows.
        self._busy: list[str] = []
        self._making: list[Machine] = []

    @property
    def running(self) -> list[tuple[Worker, Process]]:
        """Those that run."""
        return [(w, w.process) for w in self.workers if w.process is not None]

    @property
    def free(self) -> list[Worker]:
        """Those that are not in the middle of a call."""
        return [w for w in self.workers if w.name not in self._busy]

    def start(self, worker: Worker) -> None:
        """Start a worker with some partitions, unless rows are being made on its machine."""
        if worker.machine in self._making:
            return
        worker.lives += 1
        name = f"{worker.name}.{worker.lives}"
        every = range(self.world.partitions)
        some = sorted(self._random.sample(every, self._random.randint(1, len(every))))

        def start() -> None:
            parts = Parts(self.world, worker.machine, self.calls, name)
            try:
                process = Process(name, parts, list(self.world.views), self._trace)
                process.take(some)
            except BaseException:
                parts.close()
                raise
            worker.process = process
            self._say(f"{name} starts on {worker.machine.name} with {some}")

        with self.making(worker.machine):
            self.guard(start, name, worker)

    def end(self, worker: Worker) -> None:
        """The process is gone, with everything that it had in memory."""
        process, worker.process = worker.process, None
        if process is not None:
            process.parts.close()
            self._say(f"{process.name} is gone")

    def let(self, worker: Worker, action: Action) -> None:
        """Let a worker do something, if it runs."""
        process = worker.process
        if process is not None:
            self.guard(lambda: action(worker, process), process.name, worker)

    def let_one(self, action: Action) -> None:
        """Let any of those that run do something."""
        if self.running:
            worker, _ = self._random.choice(self.running)
            self.let(worker, action)

    def let_each(self, action: Action) -> None:
        """Let most of those that run and are not paused do something, in any order."""
        for worker in self._random.sample(self.workers, len(self.workers)):
            if worker.rests:
                worker.rests -= 1
            elif self._random.random() < 0.7:
                self.let(worker, action)

    def guard(self, action: Callable[[], object], name: str, worker: Worker | None = None) -> None:
        """Do something as a process, which ends if it raises."""
        self._busy.append(worker.name if worker else name)
        try:
            action()
            return
        except Crash as crash:
            self._trace["crashes"] += 1
            why = f"crash: {crash}"
        except RebuiltError as error:
            self._trace["processes ended by a rebuild"] += 1
            why = str(error)
        except OffsetLostError as error:
            self._trace["offsets lost"] += 1
            why = str(error)
        except NoskewError as error:
            self._trace["processes that failed"] += 1
            why = f"{type(error).__name__}: {error}"
        finally:
            self._busy.pop()
        self._say(f"{name} ends, {why}")
        if worker:
            self.end(worker)

    @contextmanager
    def making(self, machine: Machine) -> Iterator[None]:
        """Rows are made on a machine meanwhile. A second one would wait for the first for ever."""
        self._making.append(machine)
        try:
            yield
        finally:
            self._making.remove(machine)

    def close(self) -> None:
        """End everybody."""
        for worker in self.workers:
            self.end(worker)
