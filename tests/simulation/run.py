"""One run: a world, processes that stream, and a nemesis, all of it decided by a seed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

from noskew.errors import ConflictError, NoskewError, OffsetLostError, StoreError
from noskew.streaming import bootstrap, publishing
from noskew.streaming.mark import Mark
from noskew.streaming.view_fold import ViewFold
from tests.simulation.calls import Crash, Undisturbed
from tests.simulation.checks import Checks
from tests.simulation.nemesis import Nemesis
from tests.simulation.parts import Parts
from tests.simulation.process import Process, Stopped
from tests.simulation.project import PROJECT, S
from tests.simulation.spared import (
    IDS_OF_ANOTHER_LOG,
    REBUILD_WITHOUT_TABLE,
    REMOTE_OUTLIVES_LOG,
    SPARED,
    VERIFY_OLDER_GENERATION,
)
from tests.simulation.world import Machine, Shape, World

#: Steps of a run; then everything must come to rest within so many rounds.
_STEPS = (20, 40)
_ROUNDS = 60
#: What may happen in a step, and how often beside the rest. Each run leaves out some of it.
_ALWAYS = {"append": 8, "turn": 10, "archive": 4, "start": 3, "tick": 2}
_SOMETIMES = {
    "take": 2, "give up": 1, "read again": 2, "pause": 1, "kill": 1, "crash": 3, "fail": 3,
    "full": 1, "meanwhile": 3, "roll back": 2, "roll back at a call": 2, "empty": 1,
    "empty at a call": 1, "outage": 1, "deploy": 1, "rebuild": 1, "retain": 1,
    "replace the log": 1, "lose a machine": 1, "verify": 2, "slow": 1,
}  # fmt: skip


@dataclass
class Worker:
    """A process that is started again when it ends, at the latest when all comes to rest."""

    name: str
    machine: Machine
    process: Process | None = None
    rests: int = 0
    lives: int = 0


@dataclass(frozen=True)
class Outcome:
    """``trace``: how often what happened. ``told``: step by step. ``digest``: of what is left."""

    trace: Counter[str]
    told: list[str]
    digest: str | None


class Run:
    """Plays one seed. Raises AssertionError if something does not hold."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = Random(seed)
        self.trace: Counter[str] = Counter()
        self.told: list[str] = []
        self.world = world = World(Shape.drawn(self.random), self.random, directory)
        self.nemesis = Nemesis(
            self.random, world.online, self.trace, self._say, self._meanwhile,
            is_embedded=world.is_embedded,
        )  # fmt: skip
        self.checks = Checks(world)
        count = self.random.choice([1, 2, 2, 3])
        self.workers = [
            Worker(f"w{i}", world.machines[i % len(world.machines)]) for i in range(count)
        ]
        #: Those in the middle of a call, and the machines on which somebody makes rows.
        self._busy: list[str] = []
        self._making: list[Machine] = []
        self._left_out = {k for k in _SOMETIMES if self.random.random() < 0.45}
        self._must_rebuild = False
        self._views = [v.name for v in world.views]
        self._say(
            f"views {self._views}, {world.partitions} partitions, {len(world.machines)} machines, "
            f"{count} workers, {'embedded' if world.is_embedded else 'remote'}, "
            f"ids {world.setting.has_ids}"
        )

    def play(self) -> None:
        """Everything, from the first step to the last check."""
        weights = _ALWAYS | {k: w for k, w in _SOMETIMES.items() if k not in self._left_out}
        self._append()
        for worker in self.workers[: self.random.choice([0, 1, 3, 3])]:
            self._start(worker)
        for _ in range(self.random.randint(*_STEPS)):
            (step,) = self.random.choices(list(weights), list(weights.values()))
            self._step(step)
            if self.random.random() < 0.15:
                self.checks.always()
        self._settle()

    def close(self) -> None:
        """Let go of all files."""
        for worker in self.workers:
            self._end(worker)
        self.world.close()

    # -- steps -------------------------------------------------------------------------------

    def _step(self, step: str) -> None:
        doing: dict[str, Callable[[], None]] = {
            "append": self._append,
            "turn": lambda: self._each(self._turn),
            "archive": lambda: self._with(self._archive),
            "start": self._start_one,
            "tick": self._tick,
            "take": lambda: self._with(self._take),
            "give up": lambda: self._with(self._give_up),
            "read again": lambda: self._with(self._read_again),
            "pause": self._pause,
            "kill": self._kill,
            "outage": self._outage,
            "deploy": self._deploy,
            "rebuild": self._rebuild,
            "retain": self._retain,
            "replace the log": self._replace_log,
            "lose a machine": self._lose_machine,
            "verify": self._verify,
            "slow": self._slow,
            "crash": lambda: self.nemesis.arm("crash"),
            "fail": lambda: self.nemesis.arm("fail"),
            "full": lambda: self.nemesis.arm("full"),
            "meanwhile": lambda: self.nemesis.arm("meanwhile"),
            "roll back at a call": lambda: self.nemesis.arm("roll back"),
            "empty at a call": lambda: self.nemesis.arm("empty"),
            "roll back": self.nemesis.roll_back,
            "empty": self.nemesis.empty,
        }
        doing[step]()

    def _append(self) -> None:
        world, random = self.world, self.random
        partition = random.randrange(world.partitions)
        rows = [
            None if random.random() < 0.03
            else world.events(random.randint(1, world.setting.most_rows), partition)
            for _ in range(random.randint(1, 12))
        ]  # fmt: skip
        world.append(partition, rows)
        if random.random() < 0.2:
            world.log.skip(partition, random.randint(1, 3))
        self._advance([0, S // 2, S, 5 * S, 20 * S])
        self._say(f"appended {len(rows)} to p{partition}, which ends at {self._end_of(partition)}")

    def _turn(self, worker: Worker, process: Process) -> None:
        process.turn(now=self.random.random() < 0.2)
        at = {n: p.next_offset for n, p in process.partitions.items()}
        self._say(f"{worker.name} is at {at}, {process.publishing.waiting} rows wait")

    def _archive(self, worker: Worker, process: Process) -> None:
        every = list(range(self.world.partitions))
        numbers = self.random.choice([every, sorted(process.partitions)])
        most = self.random.choice([1, 10, 1_000])
        process.archive(numbers, most, compact=self.random.random() < 0.3)
        done = {v.name: [m.next_offset for m in self.world.archived(v.log_hash)]
                for v in self.world.views}  # fmt: skip
        self._say(f"{worker.name} archived {numbers}: {done}")

    def _take(self, worker: Worker, process: Process) -> None:
        missing = [n for n in range(self.world.partitions) if n not in process.partitions]
        if missing:
            numbers = sorted(self.random.sample(missing, self.random.randint(1, len(missing))))
            process.take(numbers)
            self.trace["partitions taken over"] += len(numbers)
            self._say(f"{worker.name} takes {numbers}")

    def _give_up(self, worker: Worker, process: Process) -> None:
        if process.partitions:
            number = self.random.choice(sorted(process.partitions))
            given = process.give_up(number)
            self.trace["partitions given up"] += given
            self._say(f"{worker.name} gives up p{number}: {given}")

    def _read_again(self, worker: Worker, process: Process) -> None:
        for number, partition in sorted(process.partitions.items()):
            begin = self.world.log.shelves[number].begin
            if begin <= partition.next_offset:
                offset = self.random.randint(begin, partition.next_offset)
                process.read_again(number, offset)
                self._say(f"{worker.name} reads p{number} again from {offset}")

    def _pause(self) -> None:
        worker = self.random.choice(self.workers)
        worker.rests = self.random.randint(1, 6)
        self.trace["pauses"] += worker.process is not None
        self._say(f"{worker.name} is paused")

    def _kill(self) -> None:
        worker = self.random.choice(self.workers)
        self.trace["kills between calls"] += worker.process is not None
        self._end(worker)

    def _outage(self) -> None:
        online = self.world.online
        online.is_down = not online.is_down
        self.trace["outages"] += online.is_down
        self._say(f"the online store is {'down' if online.is_down else 'up'}")

    def _deploy(self) -> None:
        """A new view, of the events of another one. Processes have it from their next start on."""
        new = self.world.setting.views["since"]
        if any(v.log_hash == new.log_hash for v in self.world.views) and (
            new not in self.world.views
        ):
            self.world.views.append(new)
            self.trace["views added"] += 1
            self._say("a new view: since")

    def _rebuild(self) -> None:
        """Rows are made anew. Processes on other machines are stopped before, as documented."""
        if REBUILD_WITHOUT_TABLE in SPARED and not self.world.has_tables():
            return
        machine = self.random.choice(self.world.machines)
        for worker in self.workers:
            if worker.machine is not machine:
                self._end(worker)
        self._must_rebuild = True
        self._operate(machine)

    def _replace_log(self) -> None:
        """The log is lost; an operator makes the rows anew, on top of what is archived."""
        if REMOTE_OUTLIVES_LOG in SPARED and not self.world.is_embedded:
            return
        if IDS_OF_ANOTHER_LOG in SPARED and len(self.world.machines) > 1:
            return
        if not self.world.has_tables():
            return
        for worker in self.workers:
            self._end(worker)
        self.world.replace_log()
        self._must_rebuild = True
        self.trace["logs replaced"] += 1
        self._say(f"the log is replaced by {self.world.log.identity}")
        self._operate(self.random.choice(self.world.machines))

    def _operate(self, machine: Machine) -> None:
        """``noskew stream rebuild``."""

        def rebuild() -> None:
            with Parts(self.world, machine, self.nemesis, "operator") as parts:
                for view in self.world.views:
                    parts.renew(view)
                    parts.ready(view)
            self._must_rebuild = False
            self.world.online.replicate()  # it takes less time than operators do
            self.trace["rebuilds"] += 1
            self._say(f"rows are made anew on {machine.name}")

        self._making.append(machine)
        self._only_on = machine
        try:
            self._guard(rebuild, "operator")
        finally:
            self._making.remove(machine)
            self._only_on = None

    def _retain(self) -> None:
        """The log forgets messages that nobody needs any more."""
        world = self.world
        for number in range(world.partitions):
            marks = [world.archived(v.log_hash)[number].next_offset for v in world.views]
            cut = world.log.shelves[number].cut(self.random.randint(0, min(marks)))
            self.trace["messages no longer retained"] += cut
            self._say(f"p{number} begins at {world.log.shelves[number].begin}")

    def _lose_machine(self) -> None:
        machine = self.random.choice(self.world.machines)
        for worker in self.workers:
            if worker.machine is machine:
                self._end(worker)
        machine.lose()
        self.trace["machines lost"] += 1
        self._say(f"{machine.name} is lost")

    def _slow(self) -> None:
        """The clock of the log is set back, or right again."""
        self.world.log.slow = self.random.choice([0, S, 25 * S])
        self.trace["append clocks set back"] += self.world.log.slow > 0
        self._say(f"append times are {self.world.log.slow // S} s behind")

    def _tick(self) -> None:
        self._advance([S, 10 * S, 41 * S])

    def _verify(self) -> None:
        """Rows beside those computed anew, whoever streams meanwhile."""
        worker = self.random.choice(self.workers)
        if worker.process is None:
            return
        with Parts(self.world, worker.machine, Undisturbed(), "operator") as parts:
            for fold in worker.process.folds:
                self._verify_fold(parts, fold)

    def _verify_fold(self, parts: Parts, fold: ViewFold) -> None:
        current = ViewFold(fold.view, PROJECT, self.world.generation(fold.view))
        if not parts.has_table(fold.view):
            return  # nothing was archived yet
        if VERIFY_OLDER_GENERATION in SPARED and current.version(Mark()) != fold.version(Mark()):
            return
        try:
            found = parts.verify(current)
        except ConflictError:
            return  # the archive is behind
        except StoreError:
            return  # the rows are not whole here, or the online store is down
        assert (found.different, found.missing, found.foreign) == (0, 0, 0), found
        self.trace["rows verified meanwhile"] += found.rows

    # -- processes ---------------------------------------------------------------------------

    def _start_one(self) -> None:
        idle = [w for w in self.workers if w.process is None]
        if idle and not self._must_rebuild:
            self._start(self.random.choice(idle))

    def _start(self, worker: Worker) -> None:
        """Start a worker; it takes some partitions, or those that nobody has."""
        if worker.machine in self._making:
            return
        worker.lives += 1
        name = f"{worker.name}.{worker.lives}"

        def start() -> None:
            parts = Parts(self.world, worker.machine, self.nemesis, name)
            try:
                process = Process(name, parts, list(self.world.views), self.trace)
                every = range(self.world.partitions)
                some = self.random.sample(every, self.random.randint(1, len(every)))
                process.take(sorted(some))
            except BaseException:
                parts.close()
                raise
            worker.process = process
            self._say(f"{name} starts on {worker.machine.name} with {sorted(some)}")

        self._making.append(worker.machine)
        try:
            self._guard(start, name, worker)
        finally:
            self._making.remove(worker.machine)

    def _end(self, worker: Worker) -> None:
        """The process is gone, with everything it had in memory."""
        process, worker.process = worker.process, None
        if process is not None:
            process.parts.close()
            self._say(f"{process.name} is gone")

    def _with(self, action: Callable[[Worker, Process], None]) -> None:
        """Let one of those that run do something."""
        running = [w for w in self.workers if w.process and w.name not in self._busy]
        if running:
            self._let(self.random.choice(running), action)

    def _each(self, action: Callable[[Worker, Process], None]) -> None:
        """Let all of those that run and are not paused do something, in any order."""
        for worker in self.random.sample(self.workers, len(self.workers)):
            if worker.rests:
                worker.rests -= 1
            elif self.random.random() < 0.7:
                self._let(worker, action)

    def _let(self, worker: Worker, action: Callable[[Worker, Process], None]) -> None:
        process = worker.process
        if process is not None:
            self._guard(lambda: action(worker, process), worker.name, worker)

    def _guard(self, action: Callable[[], None], name: str, worker: Worker | None = None) -> None:
        """Do something as a process, which ends if it raises."""
        self._busy.append(worker.name if worker else name)
        try:
            action()
        except Crash as crash:
            self.trace["crashes"] += 1
            self._gone(name, worker, f"crash: {crash}")
        except Stopped as stopped:
            self.trace["processes stopped for a rebuild"] += 1
            self._gone(name, worker, str(stopped))
        except OffsetLostError as error:
            self.trace["offsets lost"] += 1
            self._gone(name, worker, str(error))
        except NoskewError as error:
            self.trace["processes that failed"] += 1
            self._gone(name, worker, f"{type(error).__name__}: {error}")
        finally:
            self._busy.pop()

    def _gone(self, name: str, worker: Worker | None, why: str) -> None:
        self._say(f"{name} ends, {why}")
        if worker:
            self._end(worker)

    def _meanwhile(self, who: str) -> None:
        """While a process is in the middle of a call, another one does something."""
        others = [
            w for w in self.workers
            if w.name not in self._busy and self._only_on in (None, w.machine)
        ]  # fmt: skip
        if self.random.random() < 0.2:
            self._append()
        if others:
            worker = self.random.choice(others)
            if worker.process is None and not self._must_rebuild:
                self._start(worker)
            for _ in range(self.random.randint(1, 3)):
                action = self.random.choice([self._turn, self._turn, self._archive, self._take])
                self.trace["steps in the middle of another's call"] += worker.process is not None
                self._let(worker, action)

    _only_on: Machine | None = None

    # -- the end -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """No more goes wrong: soon everything is folded, published and archived, and right."""
        self._say("nothing goes wrong any more")
        self.nemesis.disarm()
        self.world.online.is_down = False
        if self._must_rebuild:
            self._operate(self.random.choice(self.world.machines))
        assert not self._must_rebuild, self.told[-1]
        goes_on = self.random.random() < 0.5
        for worker in self.workers:
            worker.rests = 0
            if worker.process and (not goes_on or not self._is_current(worker.process)):
                self._end(worker)
        if not any(w.process for w in self.workers):
            self._start(self.random.choice(self.workers))
        for _ in range(_ROUNDS):
            if self._round():
                break
        else:
            raise AssertionError("it does not come to rest")
        for _ in range(2):  # what was confirmed is looked at again
            self._round()
        machines = {w.machine.name: w.machine for w in self.workers if w.process}
        self.checks.settled(machines)
        for name, machine in machines.items():
            with Parts(self.world, machine, Undisturbed(), "operator") as parts:
                for view in self.world.views:
                    fold = ViewFold(view, PROJECT, self.world.generation(view))
                    found = parts.verify(fold)
                    assert found.is_equal, f"{name}: {found}"
                    self.trace["rows verified"] += found.rows

    def _round(self) -> bool:
        """Everybody does what there is to do; whether nothing is left."""
        self.world.clock.advance(2 * S)
        held = {n for w in self.workers if w.process for n in w.process.partitions}
        missing = sorted(set(range(self.world.partitions)) - held)
        running = [w for w in self.workers if w.process]
        if not running:
            self._start(self.random.choice(self.workers))
            return False
        if missing:
            worker = self.random.choice(running)
            self._let(worker, lambda _, process: process.take(missing))
        done = not missing
        every = list(range(self.world.partitions))
        for worker in running:
            process = worker.process
            if process is None or not self._is_current(process):
                self._end(worker)
                done = False
                continue
            self._let(worker, lambda _, process: void(process.turn(now=True)))
            if worker.process is None:
                return False
            self._let(worker, lambda _, process: process.archive(every, 1_000))
            done &= worker.process is not None and process.is_done()
            done &= process.publishing.waiting == 0 and process.publishing.fault is None
        return done

    def _is_current(self, process: Process) -> bool:
        """Whether it has the views, and the generations, of today."""
        footings = process.parts.footings
        return process.views == self.world.views and all(
            (footing := footings.of(f.view)) is not None
            and f.version(Mark()) == ViewFold(f.view, PROJECT, footing.generation).version(Mark())
            for f in process.folds
        )

    # -- the rest ----------------------------------------------------------------------------

    def _advance(self, spans: list[int]) -> None:
        self.world.clock.advance(self.random.choice(spans))

    def _end_of(self, partition: int) -> int:
        return self.world.log.shelves[partition].end

    def _say(self, text: str) -> None:
        self.told.append(f"{self.world.seconds():7.1f} {text}")

    def digest(self) -> str:
        """Of what was done, and of everything that is stored."""
        seen = hashlib.blake2b("\n".join(self.told).encode(), digest_size=16)
        for machine in self.world.machines:
            for store in machine.kept:
                for key, value in store.scan(b""):
                    seen.update(key + value)
        for key, row in sorted(self.world.online.rows.scan()):
            seen.update(key + row)
        for name in sorted(self.world.offline.tables):
            for run in self.world.offline.tables[name].at(None).runs:
                seen.update(repr(run.facts.to_pydict()).encode())
        return seen.hexdigest()


def play(seed: int, *, digest: bool = False) -> Outcome:
    """One run of a seed, in a directory of its own. The same seed gives the same outcome."""
    home = Path("/dev/shm")
    directory = Path(
        tempfile.mkdtemp(prefix="noskew-simulation-", dir=home if home.is_dir() else None)
    )
    try:
        run = Run(seed, directory)
        with simulated(run.world):
            try:
                run.play()
                return Outcome(run.trace, run.told, run.digest() if digest else None)
            except BaseException as error:
                error.add_note("\n".join(run.told[-60:]))
                raise
            finally:
                run.close()
    finally:
        shutil.rmtree(directory)


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """The watch of the world in the place of the machine's, and its scale."""
    with (
        patch.object(publishing, "monotonic", world.seconds),
        patch.object(bootstrap, "_FAR", 20),
    ):
        yield


def void(_: object) -> None:
    """Nothing, whatever was done."""
