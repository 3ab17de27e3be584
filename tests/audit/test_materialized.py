"""The three verdicts on views that are materialized, against the naive reference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.clock import FixedClock, to_datetime, to_micros
from noskew.kernel.keys import encode_key
from noskew.testing import reference
from noskew.testing.reference import Fact
from tests.audit.keeping import keeping, same

S = 1_000_000
START = to_micros(datetime(2024, 5, 1, tzinfo=UTC))
USERS = ["a", "b", "c", "d", "e"]
USER = ns.Entity("user", {"user": str})
SPENT = ns.Source(
    "spent",
    {"user": str, "at": "timestamp", "told": "timestamp", "amount": float, "n": int},
    event_time="at",
    created="told",
)
VIEW = ns.FeatureView(
    "wallet",
    entity=USER,
    source=SPENT,
    features=[
        ns.latest("amount", name="last", max_age="5min"),
        ns.count(window="10min"),
        ns.sum("n", window="1h"),
        ns.mean("amount"),
        ns.last_n("n", 3),
        ns.max("n", window="1min", hop="exact"),
    ],
)
SERVICE = ns.FeatureService("wallet", [VIEW])


@dataclass(frozen=True)
class Asked:
    """A row that was served, and what its online row had folded, as the test knows it."""

    user: str | None
    t: int
    served: Mapping[str, Any]
    folded: Sequence[Fact]
    own: Sequence[Fact] | None


@dataclass
class World:
    """A project, and the facts that it was told."""

    store: ns.FeatureStore
    clock: FixedClock
    random: np.random.Generator
    facts: list[Fact] = field(default_factory=list)
    #: What the store says it holds, and what each row in it was made of.
    folded: list[Fact] = field(default_factory=list)
    until: int = 0
    own: dict[str, list[Fact]] = field(default_factory=dict)
    #: Rows that were there before, and what they were made of.
    past: list[tuple[str, bytes, list[Fact]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def ingest(self) -> None:
        """Facts of the last minutes, some of which were known long ago."""
        now, rows = self.clock.now(), []
        for _ in range(int(self.random.integers(1, 12))):
            known = now - int(self.random.choice([0, 1, 30 * S, 200 * S, 400 * S]))
            at = known - int(self.random.integers(0, 300)) * S
            amount = float(self.random.choice([1.5, -0.0, 0.0, math.nan, math.inf, 7.25]))
            rows.append(
                {
                    "user": str(self.random.choice(USERS)),
                    "at": to_datetime(at),
                    "told": to_datetime(known),
                    "amount": amount,
                    "n": int(self.random.integers(9)),
                }
            )
        self.store.ingest("spent", pa.Table.from_pylist(rows, SPENT.schema.arrow))
        for row in rows:
            values = {"amount": row["amount"], "n": row["n"]}
            at, known = to_micros(row["at"]), to_micros(row["told"])
            self.facts.append(Fact((row["user"],), at, known, len(self.facts), values))

    def materialize(self) -> None:
        before = self.rows()
        # An earlier time than the last one would write nothing: greater versions are there.
        self.until = max(self.until, self.clock.now() - int(self.random.choice([0, 0, 60 * S])))
        self.store.materialize(until=to_datetime(self.until))
        self.folded = [f for f in self.facts if f.known_time <= self.until]
        for user, row in self.rows().items():
            if before.get(user) != row:
                if user in before and user in self.own:
                    self.past.append((user, before[user], self.own[user]))
                self.own[user] = self.folded

    def rows(self) -> dict[str, bytes]:
        found = self.store.online.read([self.key(user) for user in USERS])
        return {u: row for u, row in zip(USERS, found, strict=True) if row is not None}

    def key(self, user: str) -> bytes:
        return self.store.tenant.rows(VIEW).prefix + encode_key([user])

    def put(self, user: str, row: bytes) -> None:
        self.store.online.delete([self.key(user)])
        self.store.online.write([self.key(user)], [row])

    def damage(self) -> None:
        """Give an entity the row of another one, or none."""
        rows = self.rows()
        if len(rows) < 2:
            return
        one, other = self.random.choice(sorted(rows), 2, replace=False)
        if self.random.integers(2):
            self.put(one, rows[one][:16] + rows[other][16:])
        else:
            self.store.online.delete([self.key(one)])

    def lose_a_write(self) -> None:
        """Give an entity a row again that it had before."""
        if self.past:
            user, row, facts = self.past[int(self.random.integers(len(self.past)))]
            self.put(user, row)
            self.own[user] = facts

    def serve(self, serve: Any) -> None:
        users = [*USERS, "never seen", None]
        answer = serve("wallet", {"user": users})
        there, values = self.rows(), answer.to_dict()
        for i, user in enumerate(users):
            served = {name: values[name][i] for name in answer.feature_names}
            own = self.own.get(user) if user in there else None  # type: ignore[arg-type]
            self.asked.append(Asked(user, answer.t, served, list(self.folded), own))

    def verdict(self, asked: Asked, feature: str) -> str:
        """By the naive reference, from what the test itself did."""
        key = None if asked.user is None else (asked.user,)
        served = asked.served[feature]
        known = reference.naive_historical(VIEW, self.facts, [(key, asked.t)], known_at="row")
        if same(served, known[0][feature]):
            return "equal"
        for facts in (asked.folded, asked.own):
            if facts is not None:
                then = reference.naive_historical(VIEW, facts, [(key, asked.t)])
                if same(served, then[0][feature]):
                    return "behind"
        return "different"


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = FixedClock(START)
    config = ns.config.Config(project="shop", offline=ns.config.OfflineConfig(buckets=2))
    with ns.FeatureStore(tmp_path, config=config, clock=clock) as store:
        store.apply(SERVICE)
        yield World(store, clock, np.random.default_rng(request.param))


@pytest.mark.parametrize("world", range(4), indirect=True)
def test_verdicts_are_those_of_the_naive_reference(world: World) -> None:
    world.ingest()
    with keeping(world.store) as serve:
        for _ in range(14):
            steps = ["ingest", "ingest", "materialize", "materialize", "damage", "lose_a_write"]
            getattr(world, str(world.random.choice(steps)))()
            world.clock.advance(int(world.random.integers(1, 90)) * S)
            world.serve(serve)
    wanted = {
        name: Counter(world.verdict(asked, name) for asked in world.asked) for name in VIEW.features
    }
    report = world.store.audit_skew()
    (skew,) = report.services
    assert skew.rows == len(world.asked)
    found = {
        name: Counter({v: c for v, c in f.counts().items() if c and v != "compared"})
        for name, f in skew.features.items()
    }
    assert found == wanted
