"""Several processes on one registry, and processes that are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import IO

import pytest

from noskew.definitions.identity import canonical_json
from noskew.registry.store import SqlRegistry
from noskew.registry.versions import encode_project, items_of
from tests.registry import applier

Raw = Callable[[str], list[tuple[object, ...]]]
ROUNDS = 20
KILLS = 12


class Worker:
    """A subprocess that runs ``applier.py``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout

    def send(self, line: str) -> None:
        self._in.write(line + "\n")
        self._in.flush()

    def answer(self) -> str:
        line = self._out.readline().strip()
        assert line, "the process ended; its errors are above"
        return line

    def kill(self) -> list[str]:
        """SIGKILL; the answers it had given that nobody has read yet."""
        self.process.kill()
        rest = self._out.read().splitlines()
        self.process.wait()
        return rest


@contextmanager
def worker() -> Iterator[Worker]:
    process = subprocess.Popen(
        [sys.executable, str(Path(applier.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            found = Worker(process)
            assert found.answer() == "ready"
            yield found
        finally:
            process.kill()


@pytest.fixture
def two() -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        yield [stack.enter_context(worker()) for _ in range(2)]


def _both(workers: list[Worker], line: str) -> list[str]:
    for each in workers:
        each.send(line)
    return [each.answer() for each in workers]


def test_of_two_who_apply_at_once_one_wins(two: list[Worker], registry_url: str) -> None:
    assert _both(two, f"open {registry_url}") == ["opened"] * 2
    winners = set()
    with SqlRegistry(registry_url) as registry:
        for base in range(ROUNDS):
            answers = _both(two, f"apply {base}")
            assert answers.count(f"won {base + 1}") == 1, answers
            (conflict,) = [a for a in answers if a.startswith("conflict")]
            winner = two[answers.index(f"won {base + 1}")].process.pid
            winners.add(winner)
            assert f"is at version {base + 1}, applied by process {winner} at" in conflict
            assert conflict.endswith("plan again")
            assert registry.head(applier.PROJECT) == base + 1
        assert [v.version for v in registry.history(applier.PROJECT)] == list(range(ROUNDS, 0, -1))
        _check(registry, ROUNDS)


def test_two_open_a_new_registry_at_once(
    two: list[Worker], registry_url: str, raw: Raw, tmp_path: Path
) -> None:
    for attempt in range(10):
        if registry_url.startswith("sqlite"):
            url = f"sqlite:///{tmp_path}/attempt/{attempt}.db"
        else:
            raw(f"CREATE SCHEMA attempt{attempt}")
            url = f"{registry_url}?options=-csearch_path%3Dattempt{attempt}"
        assert _both(two, f"open {url}") == ["opened"] * 2
        answers = sorted(a.split(" ")[0] for a in _both(two, "apply 0"))
        assert answers == ["conflict", "won"]


def test_killed_while_applying(registry_url: str) -> None:
    """At any moment the registry holds a whole version: the last acknowledged or the next."""
    chance = random.Random(0)
    acknowledged = 0
    for _ in range(KILLS):
        with worker() as killed:
            killed.send(f"open {registry_url}")
            assert killed.answer() == "opened"
            killed.send("loop")
            laps = [_lap(killed) for _ in range(chance.randint(2, 6))]
            acknowledged = laps[-1][1]
            # Death comes at any phase of the next apply, so the wait is a random part of a lap.
            lap = min(seconds for seconds, _ in laps)
            deadline = perf_counter() + chance.random() * lap
            while perf_counter() < deadline:
                pass
            said = [line for line in killed.kill() if line.removeprefix("won ").isdigit()]
            acknowledged = max([acknowledged, *(int(a.removeprefix("won ")) for a in said)])
        with SqlRegistry(registry_url) as registry:
            found = registry.head(applier.PROJECT)
            assert acknowledged <= found <= acknowledged + 1
            _check(registry, found)
            acknowledged = found


def _lap(worker: Worker) -> tuple[float, int]:
    """The time until the next acknowledgement, and the version acknowledged."""
    started = perf_counter()
    version = int(worker.answer().removeprefix("won "))
    return perf_counter() - started, version


def _check(registry: SqlRegistry, version: int) -> None:
    """Everything that is stored of a project belongs to this version."""
    current = registry.current(applier.PROJECT)
    desired = applier.project_of(version)
    assert current.version == version
    assert current.made is not None
    assert current.made.digest == encode_project(desired)[1]
    assert current.project.to_dict() == desired.to_dict()
    stored = {
        (d.kind, d.name): canonical_json(d.data) for d in registry.definitions(applier.PROJECT)
    }
    assert stored == {
        (kind, name): canonical_json(item.to_dict()) for kind, name, item in items_of(desired)
    }
    history = [v.version for v in registry.history(applier.PROJECT)]
    assert history == list(range(version, 0, -1))
