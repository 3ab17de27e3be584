"""A source that changes at random and is ingested at any moment, beside a naive model of it.

The model says which events there are, from when until when each is known; the naive reference, what
features they give, by every question of what was known; and the store must say the same, offline
and online. A seed is repeated with ``RELATION_SEED=7``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import noskew as ns
from noskew.errors import ChangedRowsError
from noskew.testing.reference import ReferenceKnownAt, naive_historical
from noskew.testing.strategies import assert_same, rows_to_table
from tests.relation.model import Model, Refused
from tests.relation.shop import DAY, NOW, USERS, Project, table_of
from tests.relation.world import World

_SEEDS = int(os.environ.get("RELATION_SEEDS", "24"))
_ONE = os.environ.get("RELATION_SEED")
_STEPS = 8
FEATURES = [
    ns.count(window=["10d", None]),
    ns.sum("amount", window="10d"),
    ns.last_n("amount", 3),
    ns.top_n("shop", 2),
    ns.min("amount"),
    ns.count_distinct("shop"),
    ns.latest("shop"),
]


class Killed(BaseException):
    """The process that ingests is gone."""


class Run:
    """A world, the store that it is ingested into, and the model."""

    def __init__(self, seed: int, place: Path) -> None:
        self.random = Random(seed)
        changes = self.random.choice([None, "append", "grow", "replace", "replace"])
        self.world = World(self.random, place, is_folder=self.random.random() < 0.6)
        self.project = Project(place, features=FEATURES, changes=changes)
        self.model, self.times = Model(changes), [NOW]
        self.ingested = dict(self.world.files)
        self.runs: dict[int, set[str]] = {}
        self.project.declare(self.world.connector())

    def step(self) -> None:
        """Some changes, an ingest, and sometimes a look."""
        self.project.clock.advance("1d")
        now = self.project.clock.now()
        self.times.append(now)
        if self.random.random() < 0.2:
            rows = self.random.sample(self.world.rows(), min(3, len(self.world.rows())))
            rows += self.world.some_rows()
            self.project.ingest(table_of(rows))
            self.model.give(rows, now)
        else:
            for _ in range(self.random.randint(1, 3)):
                self.world.change()
            self._ingest(now)
        self.runs[now] = set(self.project.store.ingests()).difference(*self.runs.values())
        if self.random.random() < 0.1:
            self._undo(self.random.choice(sorted(self.runs)))
        if self.random.random() < 0.1:
            self.project.store.compact()
        if self.random.random() < 0.4:
            self.look()

    def _ingest(self, now: int) -> None:
        self.project.declare(self.world.connector())
        if self.random.random() < 0.2:
            self._kill()
        try:
            self.model.ingest(self.world.files, now, is_folder=self.world.is_folder)
        except Refused:
            with pytest.raises(ChangedRowsError):
                self.project.ingest()
            self.world.files = dict(self.ingested)
            self.project.declare(self.world.connector())
        else:
            self.project.ingest()
        self.ingested = dict(self.world.files)

    def _undo(self, then: int) -> None:
        self.project.clock.advance("1h")
        for run in self.runs.pop(then):
            self.project.store.undo_ingest(run)
        self.model.undo(then, self.project.clock.now())

    def _kill(self) -> None:
        left = self.random.randint(0, 3)

        def progress(*done: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        with suppress(Killed, ChangedRowsError):
            self.project.store.ingest(progress=progress)

    def look(self) -> None:
        """Every question, asked of the store and of the reference."""
        now, view = self.project.clock.now(), self.project.view
        facts = self.model.facts()
        asked = [((user,), now - self.random.randint(0, 25) * DAY) for user in [*USERS, 9]]
        questions: list[ReferenceKnownAt] = [None, "row", self.random.choice(self.times)]
        for known_at in questions:
            expected = naive_historical(view, facts, asked, known_at)
            found = self.project.historical(rows_to_table(view, asked), known_at)
            assert_same(expected, found.select(list(view.features)), view, rows=asked, facts=facts)
        self.project.store.materialize(full=self.random.random() < 0.2)
        at_now = [((user,), now) for user in [*USERS, 9]]
        expected = naive_historical(view, facts, at_now, now)
        found = self.project.online([*USERS, 9])
        assert_same(expected, found.select(list(view.features)), view, rows=at_now, facts=facts)


@pytest.mark.filterwarnings("ignore::noskew.errors.HindsightWarning")  # rows of before are asked
@pytest.mark.parametrize("seed", range(_SEEDS) if _ONE is None else [int(_ONE)])
def test_events_are_those_of_the_model(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path)
    for _ in range(_STEPS):
        run.step()
    run.look()
