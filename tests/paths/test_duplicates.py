"""A repetition of an event counts, or does not, in every path alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import MAX_TIME, MIN_TIME, to_micros
from noskew.definitions.view import FeatureView
from noskew.kernel.events import Events
from noskew.stores.log.base import Messages
from noskew.streaming.decoding.json import JsonDecoder
from noskew.streaming.fold.acceptance import Acceptance
from noskew.streaming.fold.screening import Screening
from noskew.testing import reference
from noskew.testing.reference import Fact
from tests.streaming.history import History

S = 1_000_000
NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
USER = ns.Entity("user", {"user": int})
SCHEMA = {"user": int, "at": "timestamp", "told": "timestamp", "id": str, "n": int}


def make_view(horizon: int | str, **source: Any) -> FeatureView:
    events = ns.Source(
        "orders", SCHEMA, event_time="at", event_id="id", event_id_horizon=horizon, **source
    )
    return ns.FeatureView(
        "spent", entity=USER, source=events, features=[ns.sum("n"), ns.count(), "n"]
    )


# ------------------------------------------------------------------------- a stream and its table


def judged(
    view: FeatureView, orders: list[dict[str, Any]], times: list[int], cuts: list[int]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The events of each batch of a log, and those that count, as a stream judges them."""
    screen, accept, history = Screening(view), Acceptance(view), History()
    decode = JsonDecoder(view.source.schema, "orders")
    texts = pa.array([json.dumps(order).encode() for order in orders], pa.large_binary())
    for a, b in pairwise([0, *cuts, len(orders)]):
        batch = Messages(0, np.arange(a, b), np.array(times[a:b], np.int64), texts[a:b], b)
        screened = screen(batch, decode(batch.payloads), history.progress)
        accepted = accept(screened, history.seen(screened.identity or ()))
        history.add(accepted)
        yield screened.events, accepted.table


ORDERS = st.fixed_dictionaries(
    {
        "user": st.sampled_from([1, 1, 2]),
        "at": st.sampled_from([0, 1, S, 3 * S]),
        "id": st.sampled_from([None, "a", "a", "b"]),
    }
)


@given(
    orders=st.lists(ORDERS, max_size=14),
    # Append times mostly grow, and may step back.
    steps=st.lists(st.sampled_from([0, 0, 1, S - 1, S, S + 1, -S]), min_size=14, max_size=14),
    horizon=st.sampled_from([0, 1, S, 2 * S, MAX_TIME - MIN_TIME]),
    data=st.data(),
)
def test_training_counts_the_events_of_a_log_that_its_stream_counts(
    orders: list[dict[str, Any]], steps: list[int], horizon: int, data: st.DataObject
) -> None:
    view = make_view(horizon, stream=ns.Kafka("orders"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(orders)), max_size=4), label="cuts"))
    batches = list(judged(view, orders, np.cumsum(steps).tolist()[: len(orders)], cuts))
    every, counted = (pa.concat_tables(tables) for tables in zip(*batches, strict=True))
    expected = sorted(counted.column("_sequence").to_pylist())
    shuffled = every.take(pa.array(data.draw(st.permutations(range(len(every)))), pa.int64()))
    for table in (every, shuffled, counted):  # the last: what is archived is judged once more
        events = Events.from_table(table, ["user"], id_horizon=horizon)
        assert sorted(events.sequence.tolist()) == expected


# -------------------------------------------------------------- tables, training, materialization


def order(at: int, known: int, n: int, user: int = 1, name: str | None = "a") -> dict[str, Any]:
    """An order of ``n``, made at and known at so many seconds after noon."""
    at_time, known_time = (NOON + timedelta(seconds=s) for s in (at, known))
    return {"user": user, "at": at_time, "told": known_time, "id": name, "n": n}


class Shop:
    """A store whose every answer is held against the reference on all that was ingested."""

    def __init__(self, store: ns.FeatureStore, view: FeatureView, clock: ns.FixedClock) -> None:
        self.store, self.view, self.clock = store, view, clock
        self.service = ns.FeatureService("svc", [view])
        self.facts: list[Fact] = []
        store.apply(self.service)

    def ingest(self, *orders: dict[str, Any]) -> None:
        self.store.ingest("orders", list(orders))
        for row in orders:
            at, known = (to_micros(row[name]) for name in ("at", "told"))
            values = {"id": row["id"], "n": row["n"]}
            self.facts.append(Fact((row["user"],), at, known, len(self.facts), values))

    def materialize(self, seconds: int, *, full: bool = False) -> list[Any]:
        """The sums of users 1 and 2 online after a run at so many seconds after noon."""
        self.clock.set(NOON + timedelta(seconds=seconds))
        self.store.materialize(full=full)
        users = [{"user": user} for user in (1, 2)]
        found = self.store.get_online_features(self.service, users).to_arrow().to_pylist()
        t = self.clock.now()
        known = [f for f in self.facts if f.known_time <= t]
        expected = [reference.online(self.view, known, (user["user"],), t) for user in users]
        assert [{k: v for k, v in row.items() if k in expected[0]} for row in found] == expected
        return [row["n_sum"] for row in expected]

    def trained(self, known_at: Any) -> list[Any]:
        """The sums of users 1 and 2 in a training set, a day after noon."""
        rows = [{"user": u, "event_timestamp": NOON + timedelta(days=1)} for u in (1, 2)]
        found = self.store.get_historical_features(rows, self.service, known_at=known_at).to_arrow()
        t = to_micros(NOON + timedelta(days=1))
        known = to_micros(known_at) if isinstance(known_at, datetime) else known_at
        expected = reference.naive_historical(
            self.view, self.facts, [((u,), t) for u in (1, 2)], known
        )
        sums = [row["n_sum"] for row in expected]
        assert found.column("n_sum").to_pylist() == sums
        return sums


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    clock = ns.FixedClock(NOON)
    with ns.FeatureStore(tmp_path, project="shop", clock=clock) as store:
        yield Shop(store, make_view("10s", created="told"), clock)


def test_a_repetition_after_the_horizon_counts_again_in_every_path(shop: Shop) -> None:
    shop.ingest(order(0, 0, 1), order(0, 0, 2, user=2))
    assert shop.materialize(1) == [1, 2]
    # Each run reads the whole of the entities that have new facts, and of no others.
    shop.ingest(order(0, 10, 4))
    assert shop.materialize(10) == [1, 2]
    shop.ingest(order(0, 11, 8))
    assert shop.materialize(11) == [9, 2]
    shop.ingest(order(1, 20, 16), order(1, 22, 32), order(1, 13, 64, user=2))
    assert shop.materialize(22) == shop.materialize(22, full=True) == [41, 66]
    assert shop.trained(None) == shop.trained("row") == [41, 66]
    at = {s: shop.trained(NOON + timedelta(seconds=s)) for s in (0, 10, 11, 21)}
    assert at == {0: [1, 2], 10: [1, 2], 11: [9, 2], 21: [9, 66]}


def test_a_fact_known_earlier_moves_the_horizon_of_those_after_it(shop: Shop) -> None:
    shop.ingest(order(0, 5, 1), order(0, 14, 2))
    assert shop.materialize(20) == [1, None]
    # Loaded later, but known before both: the first repeats it, so the second repeats nothing.
    shop.ingest(order(0, 0, 4))
    assert shop.materialize(21) == [6, None]
    assert shop.trained(None) == [6, None]
    assert shop.trained(NOON + timedelta(seconds=13)) == [4, None]
    assert shop.trained(NOON - timedelta(seconds=1)) == [None, None]
