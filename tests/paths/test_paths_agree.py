"""Every path gives the value that the naive reference gives: files, tables, rows, stores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from noskew.clock import FixedClock, to_datetime
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.feature_store import FeatureStore
from noskew.testing import reference, strategies
from noskew.testing.reference import Fact

# A store is opened for each example, which takes most of a second: few examples, rich ones.
# Nothing is shrunk: a failing case is printed whole, and shrinking it would take an hour.
SLOW = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def acceptable(view: FeatureView, facts: list[Fact]) -> list[Fact]:
    """Facts in order of arrival without those that a source would quarantine."""
    ahead = view.source.max_future
    kept = [f for f in facts if f.event_time <= f.known_time + ahead]
    return sorted(kept, key=lambda f: f.sequence)


@contextmanager
def opened(view: FeatureView, clock: FixedClock) -> Iterator[tuple[FeatureStore, FeatureService]]:
    with tempfile.TemporaryDirectory() as root:
        config = Config(
            project="paths",
            offline=OfflineConfig(buckets=3),
            online=OnlineConfig(url="lmdb:///online"),
        )
        service = FeatureService("everything", [view])
        with FeatureStore(root, config=config, clock=clock) as store:
            store.apply([service])
            yield store, service


def ingest_in_parts(
    store: FeatureStore, view: FeatureView, facts: list[Fact], cuts: list[int]
) -> None:
    bounds = sorted({0, len(facts), *(c for c in cuts if c < len(facts))})
    for start, end in pairwise(bounds):
        store.ingest(view.source.name, strategies.facts_to_table(view, facts[start:end]))


@SLOW
@given(case=strategies.cases(), cuts=st.lists(st.integers(1, 19), max_size=3), data=st.data())
def test_training_sets_equal_the_reference(case: Any, cuts: list[int], data: st.DataObject) -> None:
    view, facts = case.view, acceptable(case.view, case.facts)
    known_at = data.draw(strategies.known_ats(facts))
    moment = to_datetime(known_at) if isinstance(known_at, int) else known_at
    with opened(view, FixedClock(0)) as (store, service):
        ingest_in_parts(store, view, facts, cuts)
        asked = strategies.rows_to_table(view, case.rows)
        made = store.get_historical_features(asked, service, known_at=moment).to_arrow()
        expected = reference.naive_historical(view, facts, case.rows, known_at)
        assert made.select(asked.column_names).equals(asked)
        strategies.assert_same(expected, made, view, rows=case.rows, facts=facts)


@SLOW
@given(case=strategies.cases(), cut=st.integers(0, 20), later=st.integers(0, 10**9), data=st.data())
def test_online_rows_equal_the_reference(
    case: Any, cut: int, later: int, data: st.DataObject
) -> None:
    view, facts = case.view, acceptable(case.view, case.facts)
    keys = [key for key, _ in case.rows]
    times = sorted({f.known_time for f in facts}) or [0]
    first = data.draw(st.sampled_from(times))
    clock = FixedClock(first)
    with opened(view, clock) as (store, service):
        ingest_in_parts(store, view, facts[:cut], [])
        store.materialize()
        seen = [f for f in facts[:cut] if f.known_time <= first]
        compare_online(store, service, view, seen, keys, clock.now())
        # Facts that are ingested later, some of them known earlier than the last run.
        ingest_in_parts(store, view, facts[cut:], [])
        clock.set(max(times[-1], first))
        store.materialize()
        clock.advance(later)
        seen = [f for f in facts if f.known_time <= max(times[-1], first)]
        compare_online(store, service, view, seen, keys, clock.now())


def compare_online(
    store: FeatureStore,
    service: FeatureService,
    view: FeatureView,
    seen: list[Fact],
    keys: list[Any],
    t: int,
) -> None:
    asked = strategies.rows_to_table(view, [(key, t) for key in keys]).select(
        list(view.entity.keys)
    )
    answer = store.get_online_features(service, asked)
    expected = [reference.online(view, seen, key, t) for key in keys]
    facts = [(key, t) for key in keys]
    strategies.assert_same(expected, answer.to_arrow(), view, rows=facts, facts=seen)
    shown = answer.statuses()
    for i, key in enumerate(keys):
        wanted = reference.statuses(view, seen, key, t)
        assert {name: shown[name][i] for name in wanted} == wanted
