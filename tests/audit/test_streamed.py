"""The three verdicts on views that a stream keeps, against the naive reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.addresses import Tenant, is_entity_key, part_of
from noskew.clock import FixedClock, to_datetime, to_micros
from noskew.definitions.view import FeatureView
from noskew.kernel.keys import encode_key
from noskew.testing import reference
from noskew.testing.reference import Fact
from tests.audit.keeping import keeping, same

S = 1_000_000
START = to_micros(datetime(2024, 5, 1, tzinfo=UTC))
USERS, SHOPS = [1, 2, 3, 4, 5], ["x", "y"]
ORDERS = ns.Source(
    "orders",
    {"user": int, "shop": str, "at": "timestamp", "amount": float, "n": int},
    event_time="at",
    stream=ns.LocalLog(partitions=3, key="user"),
)
#: Rows of entities by which the partitions are, and rows that several partitions make.
BY_USER = ns.FeatureView(
    "by_user",
    entity=ns.Entity("user", {"user": int}),
    source=ORDERS,
    features=[ns.latest("amount", max_age="3min"), ns.count(window="5min"), ns.sum("n")],
)
BY_SHOP = ns.FeatureView(
    "by_shop",
    entity=ns.Entity("shop", {"shop": str}),
    source=ORDERS,
    features=[ns.count(window="5min"), ns.sum("amount"), ns.max("n", window="1h")],
)
SERVICE = ns.FeatureService("orders", [BY_USER, BY_SHOP], full_names=True)


@dataclass
class World:
    """A project with a stream, and the events that were pushed."""

    store: ns.FeatureStore
    clock: FixedClock
    random: np.random.Generator
    events: list[tuple[int, str, int, int, Mapping[str, Any]]] = field(default_factory=list)
    folded: int = 0
    asked: list[tuple[int, str, int, dict[str, Any], int]] = field(default_factory=list)

    def push(self) -> None:
        now, rows = self.clock.now(), []
        for _ in range(int(self.random.integers(1, 8))):
            rows.append(
                {
                    "user": int(self.random.choice(USERS)),
                    "shop": str(self.random.choice(SHOPS)),
                    "at": to_datetime(now - int(self.random.integers(0, 200)) * S),
                    "amount": float(self.random.normal()),
                    "n": int(self.random.integers(9)),
                }
            )
        self.store.push("orders", pa.Table.from_pylist(rows, ORDERS.schema.arrow))
        for r in rows:
            at, values = to_micros(r["at"]), {"amount": r["amount"], "n": r["n"]}
            self.events.append((r["user"], r["shop"], at, now, values))

    def fold(self) -> None:
        """Fold everything online, and archive nothing."""
        project = self.store.applied.project
        source, views = project.source("orders"), project.views.values()
        with self.store.streams.processor(source, views) as processor:
            processor.run(Event(), until_caught_up=True)
        self.folded = len(self.events)

    def archive(self) -> None:
        self.store.stream("orders")
        self.folded = len(self.events)

    def facts(self, view: FeatureView, first: int) -> list[Fact]:
        which = 0 if view is BY_USER else 1
        return [
            Fact((event[which],), event[2], event[3], i, event[4])
            for i, event in enumerate(self.events[:first])
        ]

    def serve(self, serve: Any) -> None:
        users, shops = [*USERS, 77], [*SHOPS, *SHOPS, "y", "closed"]
        answer = serve("orders", {"user": users, "shop": shops})
        values = answer.to_dict()
        for i, (user, shop) in enumerate(zip(users, shops, strict=True)):
            served = {name: values[name][i] for name in answer.feature_names}
            self.asked.append((user, shop, answer.t, served, self.folded))

    def verdict(self, row: tuple[int, str, int, dict[str, Any], int], name: str) -> str:
        user, shop, t, served, folded = row
        view = BY_USER if name.startswith("by_user") else BY_SHOP
        key, feature = ((user,) if view is BY_USER else (shop,)), name.partition("__")[2]
        every = self.facts(view, len(self.events))
        known = reference.naive_historical(view, every, [(key, t)], known_at="row")
        if same(served[name], known[0][feature]):
            return "equal"
        then = reference.naive_historical(view, self.facts(view, folded), [(key, t)])
        return "behind" if same(served[name], then[0][feature]) else "different"

    def verdicts(self) -> dict[str, Counter[str]]:
        names = self.asked[0][3]
        return {n: Counter(self.verdict(row, n) for row in self.asked) for n in names}

    def found(self) -> dict[str, Counter[str]]:
        """By the audit."""
        (skew,) = self.store.audit_skew("orders").services
        assert skew.rows == len(self.asked)
        return {
            name: Counter({v: c for v, c in f.counts().items() if c and v != "compared"})
            for name, f in skew.features.items()
        }


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = FixedClock(START)
    with ns.FeatureStore(tmp_path, project="shop", clock=clock) as store:
        store.apply([SERVICE])
        seed = getattr(request, "param", 0)
        yield World(store, clock, np.random.default_rng(seed))


@pytest.mark.parametrize("world", range(3), indirect=True)
def test_verdicts_are_those_of_the_naive_reference(world: World) -> None:
    with keeping(world.store) as serve:
        world.serve(serve)  # nothing is there yet
        for _ in range(8):
            world.clock.advance(int(world.random.integers(1, 60)) * S)
            step = world.random.choice(["push", "push", "fold", "archive"])
            getattr(world, str(step))()
            world.clock.advance(int(world.random.integers(0, 3)) * S)
            world.serve(serve)
    world.clock.advance(S)
    world.archive()
    world.clock.advance(S)
    wanted = world.verdicts()
    assert {v for counts in wanted.values() for v in counts} == {"equal", "behind"}
    assert world.found() == wanted


def test_rows_that_are_lost_or_damaged_are_different(world: World) -> None:
    world.push()
    world.push()
    world.archive()
    online, prefix = world.store.online, Tenant("shop").rows(BY_USER).prefix
    lost, damaged, other = (prefix + encode_key([u]) for u in held_users(world)[:3])
    (row, another) = online.read([damaged, other])
    assert row is not None
    assert another is not None
    online.delete([lost, damaged])
    online.write([damaged], [row[:16] + another[16:]])
    shop = part_of(Tenant("shop").rows(BY_SHOP).prefix + encode_key(["x"]), 1)
    parts = [k for k, _ in online.scan(shop[:-2]) if is_entity_key(k)]
    assert len(parts) > 1, "several partitions have a part of it"
    online.delete(parts[:1])
    world.clock.advance(S)
    with keeping(world.store) as serve:
        world.serve(serve)
    world.clock.advance(S)
    wanted = world.verdicts()
    assert wanted["by_user__n_sum"]["different"] >= 1
    assert wanted["by_shop__amount_sum"]["different"] == 2  # it was asked for twice
    assert world.found() == wanted
    features = world.store.audit_skew("orders").services[0].features
    (first, *_) = features["by_user__count_5min"].examples
    assert first.keys["user"] == held_users(world)[0]
    assert "no row" in first.cause
    assert first.version is None


def held_users(world: World) -> list[int]:
    """The users with events, those with the most first."""
    counts = Counter(user for user, *_ in world.events)
    return sorted(counts, key=lambda user: (-counts[user], user))


def test_what_is_not_archived_yet_waits(world: World) -> None:
    world.push()
    world.archive()
    world.clock.advance(S)
    world.push()
    world.fold()
    world.clock.advance(S)
    with keeping(world.store) as serve:
        world.serve(serve)
    world.clock.advance(S)
    assert all(set(counts) == {"waiting"} for counts in world.found().values())
    world.archive()
    world.clock.advance(S)
    assert all(set(counts) == {"equal"} for counts in world.found().values())


def test_rows_newer_than_what_was_known_of_the_store_are_judged_by_themselves(
    world: World,
) -> None:
    with keeping(world.store) as serve:
        for look in (True, False):
            world.push()
            world.fold()
            world.clock.advance(S)
            serve("orders", {"user": USERS, "shop": ["x", "y", "x", "y", "x"]}, look=look)
        world.push()
        world.clock.advance(S)
        serve("orders", {"user": USERS, "shop": ["x", "y", "x", "y", "x"]}, look=False)
    world.archive()
    world.clock.advance(S)
    features = world.store.audit_skew().services[0].features
    assert sum(f.different for f in features.values()) == 0
    assert sum(f.behind for f in features.values()) > 0


def test_facts_ingested_beside_a_stream_are_behind(world: World) -> None:
    """They were known before, and its rows have them only when they are made anew."""
    world.push()
    world.archive()
    world.clock.advance(S)
    old = {"user": [1], "shop": ["x"], "at": [to_datetime(START)], "amount": [9.0], "n": [100]}
    world.store.ingest("orders", pa.table(old, ORDERS.schema.arrow))
    world.clock.advance(S)
    with keeping(world.store) as serve:
        serve("orders", {"user": [1], "shop": ["x"]})
        world.store.streams.rebuild(
            world.store.applied.project.source("orders"),
            world.store.applied.project.views.values(),
        )
        world.clock.advance(S)
        serve("orders", {"user": [1], "shop": ["x"]})
    world.clock.advance(S)
    features = world.store.audit_skew().services[0].features
    for name in ("by_user__n_sum", "by_shop__n_max_1h"):
        assert (features[name].behind, features[name].equal) == (1, 1), name
    assert "stream" in features["by_user__n_sum"].examples[0].cause
