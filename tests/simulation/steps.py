"""The steps of a run: what producers, processes, operators and misfortune do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from tests.simulation.crew import Crew, Worker
from tests.simulation.nemesis import Nemesis
from tests.simulation.operators import Operator
from tests.simulation.process import Process
from tests.simulation.project import S

#: How often each may happen beside the rest.
ALWAYS = {"append": 6.0, "turn": 16.0, "archive": 4.0, "start": 2.0, "tick": 2.0}
SOMETIMES = {
    "take": 2.0,
    "give up": 1.0,
    "read again": 3.0,
    "pause": 1.0,
    "kill": 1.0,
    "crash": 4.0,
    "fail": 4.0,
    "full": 1.0,
    "meanwhile": 4.0,
    "roll back": 2.0,
    "roll back at a call": 4.0,
    "empty at a call": 3.0,
    "outage": 2.0,
    "deploy": 1.0,
    "retain": 1.0,
    "verify": 2.0,
    "slow": 1.0,
    # These make everything anew, and so hide what went wrong before.
    "empty": 0.7,
    "rebuild": 0.7,
    "replace the log": 0.7,
    "lose a machine": 0.7,
}
#: Those that go wrong in the step itself; others wait for a call.
_AT_ONCE = {
    "take",
    "give up",
    "read again",
    "pause",
    "kill",
    "roll back",
    "empty",
    "outage",
    "slow",
    "rebuild",
    "replace the log",
    "lose a machine",
}


class Steps:
    """Does one step at a time. Everything that is not said is up to the world's ``random``."""

    def __init__(
        self,
        crew: Crew,
        nemesis: Nemesis,
        operator: Operator,
        trace: Counter[str],
        say: Callable[[str], None],
    ) -> None:
        self._world, self._random, self._crew = crew.world, crew.world.random, crew
        self._nemesis, self._operator = nemesis, operator
        self._trace, self._say = trace, say
        one, arm = crew.let_one, nemesis.arm
        self._doing: Mapping[str, Callable[[], object]] = {
            "append": self.append,
            "turn": self._turns,
            "archive": partial(one, self._archive),
            "start": self._start,
            "tick": self._tick,
            "take": partial(one, self._take),
            "give up": partial(one, self._give_up),
            "read again": partial(one, self._read_again),
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
            "crash": partial(arm, "crash"),
            "fail": partial(arm, "fail"),
            "full": partial(arm, "full"),
            "meanwhile": partial(arm, "meanwhile"),
            "roll back at a call": partial(arm, "roll back"),
            "empty at a call": partial(arm, "empty"),
            "roll back": nemesis.roll_back,
            "empty": nemesis.empty,
        }

    def do(self, step: str) -> None:
        """Do what a key of :data:`ALWAYS` or :data:`SOMETIMES` names."""
        self._doing[step]()
        self._trace["faults"] += step in _AT_ONCE

    def meanwhile(self) -> None:
        """While a process is in the middle of a call, others do something."""
        if self._random.random() < 0.2:
            self.append()
        if not self._crew.free:
            return
        worker = self._random.choice(self._crew.free)
        if worker.process is None:
            self._crew.start(worker)
        for _ in range(self._random.randint(1, 3)):
            action = self._random.choice([self._turn, self._turn, self._archive, self._take])
            self._trace["steps in the middle of another's call"] += worker.process is not None
            self._crew.let(worker, action)

    # -- producers and time ------------------------------------------------------------------

    def append(self) -> None:
        """Messages come in."""
        world, random = self._world, self._random
        partition = random.randrange(world.partitions)
        rows = [
            None
            if random.random() < 0.03
            else world.events(random.randint(1, world.setting.most_rows), partition)
            for _ in range(random.randint(1, 8))
        ]
        world.append(partition, rows)
        if random.random() < 0.2:
            world.log.skip(partition, random.randint(1, 3))
        world.clock.advance(random.choice([0, 0, 0, S // 2, S, 5 * S, 20 * S]))
        end = world.log.shelves[partition].end
        self._say(f"appended {len(rows)} to p{partition}, which ends at {end}")

    def _tick(self) -> None:
        self._world.clock.advance(self._random.choice([S, 10 * S, 41 * S]))

    def _slow(self) -> None:
        """The clock of the log is set back, or right again."""
        log = self._world.log
        log.slow = self._random.choice([0, S, 25 * S])
        self._trace["append clocks set back"] += log.slow > 0
        self._say(f"append times are {log.slow // S} s behind")

    def _retain(self) -> None:
        """The log forgets messages that are archived."""
        world = self._world
        for number, shelf in enumerate(world.log.shelves):
            archived = [world.archived(v.log_hash)[number].next_offset for v in world.views]
            self._trace["messages no longer retained"] += shelf.cut(
                self._random.randint(0, min(archived))
            )
            self._say(f"p{number} begins at {shelf.begin}")

    # -- processes ---------------------------------------------------------------------------

    def _start(self) -> None:
        idle = [w for w in self._crew.workers if w.process is None]
        if idle:
            self._crew.start(self._random.choice(idle))

    def _turns(self) -> None:
        """Processes work for a while: what they do now and then comes due, and outages end."""
        self._world.clock.advance(self._random.choice([0, S // 4, S, S, 2 * S]))
        if self._world.online.is_down and self._random.random() < 0.4:
            self._outage()
        self._crew.let_each(self._turn)

    def _turn(self, worker: Worker, process: Process) -> None:
        if not process.partitions and self._random.random() < 0.3:
            self._take(worker, process)
        process.turn(now=self._random.random() < 0.1)
        at = {n: p.next_offset for n, p in process.partitions.items()}
        self._say(f"{worker.name} is at {at}, {process.publishing.waiting} rows wait")

    def _archive(self, worker: Worker, process: Process) -> None:
        every = list(range(self._world.partitions))
        numbers = self._random.choice([every, sorted(process.partitions)])
        most = self._random.choice([1, 10, 1_000])
        process.archive(numbers, most, compact=self._random.choice([None, None, "small", "all"]))
        done = {
            v.name: [m.next_offset for m in self._world.archived(v.log_hash)]
            for v in self._world.views
        }
        self._say(f"{worker.name} archived {numbers}: {done}")

    def _take(self, worker: Worker, process: Process) -> None:
        missing = [n for n in range(self._world.partitions) if n not in process.partitions]
        if missing:
            numbers = sorted(self._random.sample(missing, self._random.randint(1, len(missing))))
            process.take(numbers)
            self._trace["partitions taken over"] += len(numbers)
            self._say(f"{worker.name} takes {numbers}")

    def _give_up(self, worker: Worker, process: Process) -> None:
        if process.partitions:
            number = self._random.choice(sorted(process.partitions))
            given = process.give_up(number)
            self._trace["partitions given up"] += given
            self._say(f"{worker.name} gives up p{number}: {given}")

    def _read_again(self, worker: Worker, process: Process) -> None:
        for number, partition in sorted(process.partitions.items()):
            begin = self._world.log.shelves[number].begin
            if begin <= partition.next_offset:
                offset = self._random.randint(begin, partition.next_offset)
                process.read_again(number, offset)
                self._say(f"{worker.name} reads p{number} again from {offset}")

    def _pause(self) -> None:
        worker = self._random.choice(self._crew.workers)
        worker.rests = self._random.randint(1, 6)
        self._trace["pauses"] += worker.process is not None
        self._say(f"{worker.name} is paused")

    def _kill(self) -> None:
        worker = self._random.choice(self._crew.workers)
        self._trace["kills between calls"] += worker.process is not None
        self._crew.end(worker)

    # -- stores and machines -----------------------------------------------------------------

    def _outage(self) -> None:
        online = self._world.online
        online.is_down = not online.is_down
        self._trace["outages"] += online.is_down
        self._say(f"the online store is {'down' if online.is_down else 'up'}")

    def _lose_machine(self) -> None:
        machine = self._random.choice(self._world.machines)
        for worker in self._crew.workers:
            if worker.machine is machine:
                self._crew.end(worker)
        machine.lose()
        self._trace["machines lost"] += 1
        self._say(f"{machine.name} is lost")

    # -- operators ---------------------------------------------------------------------------

    def _deploy(self) -> None:
        """A new view, of the events of another one. Processes have it from their next start on."""
        new, views = self._world.setting.views["since"], self._world.views
        if new not in views and any(v.log_hash == new.log_hash for v in views):
            views.append(new)
            self._trace["views added"] += 1
            self._say("a new view: since")

    def _verify(self) -> None:
        self._operator.verify(self._random.choice(self._world.machines))

    def _rebuild(self) -> None:
        self._operator.rebuild(self._random.choice(self._world.machines))

    def _replace_log(self) -> None:
        """The log is lost; an operator makes the rows anew, on top of what is archived."""
        world = self._world
        for worker in self._crew.workers:
            self._crew.end(worker)
        world.replace_log()
        self._trace["logs replaced"] += 1
        self._say(f"the log is replaced by {world.log.identity}")
        self._operator.rebuild(self._random.choice(world.machines))
