"""One run: a world, processes that stream, and a nemesis, all of it decided by a seed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

from noskew.streaming.publish import publisher
from noskew.streaming.workers import bootstrap
from tests.simulation.checks import Checks
from tests.simulation.crew import Crew
from tests.simulation.nemesis import Nemesis
from tests.simulation.operators import Operator
from tests.simulation.rest import Rest
from tests.simulation.steps import ALWAYS, SOMETIMES, Steps
from tests.simulation.world import Shape, World

_STEPS = (20, 60)
#: Messages come during so much of a run. What comes last makes rows anew, and so hides what went
#: wrong with them before.
_APPENDING = (0.4, 0.6, 0.8)
#: How much of what may go wrong never does in a run, and how often a kind or two of it happen.
_LEFT_OUT = (0.5, 0.8, 1.0)
_FAVOURITE = 6.0
#: How often everything is looked at between steps.
_LOOKS = 0.15
#: Steps that are shown of a run that failed.
_SHOWN = 40


@dataclass(frozen=True)
class Outcome:
    """``trace``: how often what happened. ``digest``: of what was done and of what is left."""

    trace: Counter[str]
    digest: str | None


class Run:
    """Plays one seed. Raises AssertionError if something does not hold.

    ``focus``: what goes wrong, and nothing else does; anything if it is empty. ``is_lasting``: the
    online store never loses what it acknowledged.
    """

    def __init__(
        self,
        seed: int,
        directory: Path,
        told: Callable[[str], None],
        focus: Sequence[str],
        is_lasting: bool,
    ) -> None:
        self._random, self._tell, self._focus = Random(seed), told, focus
        self.trace: Counter[str] = Counter()
        self.told: list[str] = []
        self.world = World(Shape.drawn(self._random), self._random, directory)
        self.world.online.is_lasting = is_lasting
        self._checks = Checks(self.world)
        count = self._random.choice([1, 1, 2, 2, 3])
        self._crew = Crew(self.world, count, self.trace, self._say)
        self._nemesis = Nemesis(self.world, self.trace, self._say)
        self._crew.calls = self._nemesis
        self._operator = Operator(self._crew, self.trace, self._say)
        self._steps = Steps(self._crew, self._nemesis, self._operator, self.trace, self._say)
        self._nemesis.meanwhile = self._steps.meanwhile
        self._say(f"{self.world.described()}, {count} workers")

    def play(self) -> None:
        """Everything, from the first step to the last check."""
        weights = self._weights()
        self._steps.append()
        for worker in self._crew.workers[: self._random.choice([0, 1, 3, 3])]:
            self._crew.start(worker)
        steps = self._random.randint(*_STEPS)
        appending = int(steps * self._random.choice(_APPENDING))
        for number in range(steps):
            if number == appending:
                del weights["append"]
            (step,) = self._random.choices(list(weights), list(weights.values()))
            self._steps.do(step)
            if self._random.random() < _LOOKS:
                self._checks.always()
        self._say("nothing goes wrong any more")
        self._nemesis.disarm()
        Rest(self._crew, self._operator, self._checks).come()

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

    def close(self) -> None:
        """Let go of all files."""
        self._crew.close()
        self.world.close()

    def _weights(self) -> dict[str, float]:
        """How often what happens in this run. Some of it never does.

        The less goes wrong, the less there is to make up for what went wrong before.
        """
        left_out = 1.0 if self._focus else self._random.choice(_LEFT_OUT)
        chosen = {k: w for k, w in SOMETIMES.items() if self._random.random() >= left_out}
        some = self._random.sample(list(SOMETIMES), self._random.choice([1, 1, 2]))
        return {**ALWAYS, **chosen, **dict.fromkeys(self._focus or some, _FAVOURITE)}

    def _say(self, text: str) -> None:
        line = f"{self.world.seconds():7.1f} {text}"
        self.told.append(line)
        self._tell(line)


def play(
    seed: int,
    *,
    focus: Sequence[str] = (),
    is_lasting: bool = False,
    digest: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """One run of a seed, in a directory of its own. The same seed gives the same outcome.

    ``focus``: the only kinds of misfortune (:data:`SOMETIMES`) that happen; any if empty.
    ``is_lasting``: the online store never loses what it acknowledged.
    ``told`` is given each step as it is done. An AssertionError says how to repeat the run.
    """
    home = Path("/dev/shm")
    directory = Path(
        tempfile.mkdtemp(prefix="noskew-simulation-", dir=home if home.is_dir() else None)
    )
    try:
        run = Run(seed, directory, told, focus, is_lasting)
        with simulated(run.world):
            try:
                run.play()
                return Outcome(run.trace, run.digest() if digest else None)
            except BaseException as error:
                error.add_note("\n".join(run.told[-_SHOWN:]))
                error.add_note(f"to repeat it: python -m tests.simulation {seed} --trace")
                raise
            finally:
                run.close()
    finally:
        shutil.rmtree(directory)


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """The watch of the world in the place of the machine's, and its scale."""
    with (
        patch.object(publisher, "monotonic", world.seconds),
        patch.object(bootstrap, "_FAR", 8),
    ):
        yield
