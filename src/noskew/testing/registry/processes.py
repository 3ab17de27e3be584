"""Several processes on one registry, and processes that are killed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import pytest

from noskew.definitions.identity import canonical_json
from noskew.errors import ConflictError
from noskew.registry.base import Registry
from noskew.registry.versions import encode_project, items_of
from noskew.testing import processes
from noskew.testing.registry.examples import text_of, versioned_project
from noskew.testing.registry.suite import RegistrySuite

Opener = Callable[[], Registry]
_PROJECT = "flights"
_ROUNDS, _KILLS = 20, 12
#: How long a process may take to start, in seconds.
_WAIT_S = 120


class ProcessTests(RegistrySuite):
    """Of several one succeeds, and a killed one leaves the old version or the new one."""

    @pytest.fixture
    def two(self) -> Iterator[list[Applier]]:
        with ExitStack() as stack:
            yield [stack.enter_context(_applier()) for _ in range(2)]

    def test_of_processes_that_apply_at_once_one_succeeds(
        self, registry: Registry, two: list[Applier]
    ) -> None:
        opener = self.opener(registry)
        assert [each.ask("open", opener) for each in two] == ["opened"] * 2
        for base in range(_ROUNDS):
            for each in two:
                each.send("apply", base)
            answers = [each.answer() for each in two]
            assert answers.count(base + 1) == 1, answers
            (conflict,) = [a for a in answers if isinstance(a, str)]
            winner = two[answers.index(base + 1)].pid
            assert f"is at version {base + 1}, applied by process {winner} at" in conflict
            assert conflict.endswith("plan again")
            assert registry.head(_PROJECT) == base + 1
        _check(registry, _ROUNDS)

    def test_killed_while_applying(self, registry: Registry) -> None:
        """At any moment the registry has a whole version: the last acknowledged or the next."""
        chance = random.Random(0)
        opener = self.opener(registry)
        acknowledged = 0
        for _ in range(_KILLS):
            with _applier() as killed:
                assert killed.ask("open", opener) == "opened"
                killed.send("loop", acknowledged)
                laps = [_lap(killed) for _ in range(chance.randint(2, 6))]
                # Death comes at any phase of the next apply, so the wait is a random part of a lap.
                deadline = perf_counter() + chance.random() * min(seconds for seconds, _ in laps)
                while perf_counter() < deadline:
                    pass
                acknowledged = max([laps[-1][1], *killed.kill()])
            current = registry.head(_PROJECT)
            assert acknowledged <= current <= acknowledged + 1
            _check(registry, current)
            acknowledged = current


class Applier:
    """A process that opens a registry and applies, on command."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self._process, self._pipe = process, pipe

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def send(self, command: str, argument: object) -> None:
        self._pipe.send((command, argument))

    def answer(self) -> Any:
        assert self._pipe.poll(_WAIT_S), "the process does not answer"
        return self._pipe.recv()

    def ask(self, command: str, argument: object) -> Any:
        self.send(command, argument)
        return self.answer()

    def kill(self) -> list[int]:
        """Kill it; the versions it had acknowledged that nobody has read yet."""
        self._process.kill()
        self._process.join()
        versions = []
        try:
            while True:
                versions.append(self._pipe.recv())
        except (EOFError, OSError):  # the end, or half of a last answer
            return versions


@contextmanager
def _applier() -> Iterator[Applier]:
    here, there = processes.clean_context().Pipe()
    process = processes.start(_serve, there, daemon=True)
    there.close()
    try:
        yield Applier(process, here)
    finally:
        process.kill()
        process.join()
        here.close()


def _serve(pipe: Connection) -> None:
    """Answer commands: ``open``, ``apply`` on top of a version, ``loop`` until killed."""
    registry: Registry | None = None
    while True:
        command, argument = pipe.recv()
        if command == "open":
            registry = argument()
            pipe.send("opened")
            continue
        assert registry is not None
        if command == "apply":
            pipe.send(_apply(registry, argument))
        while command == "loop":
            argument = _apply(registry, argument)
            pipe.send(argument)


def _apply(registry: Registry, base: int) -> int | str:
    """The version that was applied, or what the conflict says."""
    try:
        return registry.apply(
            _PROJECT,
            versioned_project(base + 1),
            base_version=base,
            applied_at=base,
            applied_by=f"process {os.getpid()}",
        ).version
    except ConflictError as error:
        return str(error)


def _lap(applier: Applier) -> tuple[float, int]:
    """The time until the next acknowledgement, and the version acknowledged."""
    started = perf_counter()
    version = int(applier.answer())
    return perf_counter() - started, version


def _check(registry: Registry, version: int) -> None:
    """Everything that is stored of a project belongs to this version."""
    current = registry.current(_PROJECT)
    desired = versioned_project(version)
    assert current.version == version
    assert current.entry is not None
    assert current.entry.digest == encode_project(desired)[1]
    assert text_of(current.project) == text_of(desired)
    stored = {(d.kind, d.name): canonical_json(d.data) for d in registry.definitions(_PROJECT)}
    assert stored == {
        (kind, name): canonical_json(item.to_dict()) for kind, name, item in items_of(desired)
    }
    history = [v.version for v in registry.history(_PROJECT)]
    assert history == list(range(version, 0, -1))
