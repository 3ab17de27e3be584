"""History by the kernel equals history by the naive reference, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.definitions.view import FeatureView
from noskew.kernel import history
from noskew.kernel.events import Events
from noskew.kernel.plan import compile_view
from noskew.testing.reference import Fact, ReferenceKnownAt, naive_historical
from noskew.testing.strategies import Case, assert_same, cases, feature_views, known_ats
from noskew.testing.strategies import facts as fact_lists
from tests.kernel.paths import answers, events_of, fact, make_view

S = 1_000_000
LONG_MAX, LONG_MIN = 2**63 - 1, -(2**63)


def check(
    view: FeatureView,
    facts: Sequence[Fact],
    times: Sequence[int],
    known_at: ReferenceKnownAt = None,
) -> None:
    """The kernel's answers about the facts' keys, at every one of the times."""
    rows = [(key, t) for key in dict.fromkeys(f.key for f in facts) for t in times]
    expected = naive_historical(view, facts, rows, known_at)
    assert_same(expected, answers(view, facts, rows, known_at), view, rows=rows, facts=facts)


@given(cases(retracted=True), st.data())
def test_history_equals_the_reference(case: Case, data: st.DataObject) -> None:
    known_at = data.draw(known_ats(case.facts), label="known_at")
    expected = naive_historical(case.view, case.facts, case.rows, known_at)
    found = answers(case.view, case.facts, case.rows, known_at)
    assert_same(expected, found, case.view, rows=case.rows, facts=case.facts)


@given(cases(retracted=True), st.data())
def test_the_order_of_facts_and_of_rows_changes_nothing(case: Case, data: st.DataObject) -> None:
    known_at = data.draw(known_ats(case.facts), label="known_at")
    found = answers(case.view, case.facts, case.rows, known_at)
    shuffled = data.draw(st.permutations(case.facts))
    assert bits(answers(case.view, shuffled, case.rows, known_at)) == bits(found)
    order = data.draw(st.permutations(range(len(case.rows))))
    rows = [case.rows[i] for i in order]
    moved = answers(case.view, case.facts, rows, known_at)
    assert bits(moved) == bits(found.take(pa.array(order, pa.int64())))


@given(cases(max_facts=10), st.data())
def test_facts_of_later_events_change_no_earlier_answer(case: Case, data: st.DataObject) -> None:
    times = [t for _, t in case.rows]
    if not times:
        return
    facts = [replace(f, values={**f.values, "event_id": None}) for f in case.facts]
    more = [
        replace(f, event_time=max(times) + 1 + i, sequence=100 + i)
        for i, f in enumerate(data.draw(fact_lists(replace_view(case.view), max_size=5)))
    ]
    known_at = data.draw(known_ats(facts), label="known_at")
    before = answers(case.view, facts, case.rows, known_at)
    assert bits(answers(case.view, facts + more, case.rows, known_at)) == bits(before)


@given(cases(max_facts=10), st.data())
def test_facts_known_later_change_no_answer_of_known_at(case: Case, data: st.DataObject) -> None:
    clocks = [f.known_time for f in case.facts] + [t for _, t in case.rows] + [0]
    more = [
        replace(f, known_time=max(clocks) + 1 + i, sequence=100 + i)
        for i, f in enumerate(data.draw(fact_lists(case.view, max_size=5)))
    ]
    for known_at in ("row", data.draw(st.sampled_from(clocks))):
        before = answers(case.view, case.facts, case.rows, known_at)
        after = answers(case.view, case.facts + more, case.rows, known_at)
        assert bits(after) == bits(before)


@given(cases())
def test_features_asked_for_singly_are_the_same(case: Case) -> None:
    plan = compile_view(case.view)
    together = answers(case.view, case.facts, case.rows)
    for name in case.view.features:
        alone = answers(case.view, case.facts, case.rows, plan=plan.restrict({name}))
        assert alone.column_names == [name]
        assert bits(alone) == bits(together.select([name]))


def replace_view(view: FeatureView) -> FeatureView:
    """The view over a source without event ids, so that no fact is a duplicate of another."""
    source = view.source
    plain = ns.Source(
        source.name, source.schema, event_time=source.event_time, created=source.created
    )
    return ns.FeatureView(
        view.name,
        entity=view.entity,
        source=plain,
        features=view.specs,
        max_age=view.max_age,
        exact_cap=view.exact_cap,
    )


def bits(table: pa.Table) -> list[Any]:
    """Values in a form whose equality is of bits; every NaN is one."""

    def form(value: Any) -> Any:
        if isinstance(value, list):
            return [form(v) for v in value]
        if isinstance(value, float):
            return "NaN" if math.isnan(value) else (value, math.copysign(1.0, value))
        return value

    return [[form(v) for v in column.to_pylist()] for column in table.columns]


# ----------------------------------------------------------------------- what an adversary tries


def test_more_rows_than_a_chunk_answered_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """``known_at="row"`` goes by chunks; one in the middle of an entity must not show."""
    view = make_view(ns.latest("n"), ns.sum("n", window="10s"), ns.last_n("s", 2))
    facts = [fact(i * S, known=(i + i % 3) * S, sequence=i, n=i, s=str(i)) for i in range(20)]
    rows = [((1,), t * S // 2) for t in range(50)]
    whole = answers(view, facts, rows, "row")
    monkeypatch.setattr(history, "_CHUNK", 7)
    assert bits(answers(view, facts, rows, "row")) == bits(whole)
    assert_same(naive_historical(view, facts, rows, "row"), whole, view)


def test_integers_at_both_ends() -> None:
    features = [
        make("n", window=w, name=f"{make.__name__}_{w}")
        for w in (None, "10s")
        for make in (ns.sum, ns.mean, ns.var, ns.stddev, ns.min, ns.max)
    ]
    view = make_view(*features, ns.top_n("n", 3), ns.count_distinct("n"), ns.quantile("n", 1))
    values = [LONG_MAX, LONG_MIN, LONG_MIN, LONG_MAX, -1, LONG_MAX, LONG_MAX, 1, None, LONG_MIN]
    facts = [fact(i * S, sequence=i, n=n) for i, n in enumerate(values)]
    check(view, facts, [t * S + d for t in range(11) for d in (-1, 0, 1)])


def test_floats_of_every_size_together() -> None:
    features = [
        make("x", window=w, name=f"{make.__name__}_{w}")
        for w in (None, "4s")
        for make in (ns.sum, ns.mean, ns.var, ns.min, ns.max)
    ]
    view = make_view(*features, ns.top_n("x", 5), ns.quantile("x", 0.5), ns.first_n("x", 9))
    values = [
        1e308,
        5e-324,
        -1e308,
        1e308,
        1e308,
        -0.0,
        0.0,
        math.inf,
        1.0,
        math.nan,
        None,
        -math.inf,
        5e-324,
        -5e-324,
        2.0**-1022,
        math.inf,
    ]
    facts = [fact(i * S, sequence=i, x=x) for i, x in enumerate(values)]
    check(view, facts, [t * S for t in range(18)])


def test_decimals_of_38_digits() -> None:
    """Three of the greatest are more than 38 digits: null; with the least again a number."""
    most = Decimal("9" * 35 + "." + "9" * 3)
    view = make_view(
        ns.sum("money"),
        ns.min("money"),
        ns.max("money"),
        ns.top_n("money", 2),
        ns.count_distinct("money"),
        ns.last_value("money"),
        "money",
    )
    least = most.copy_negate()  # unary minus rounds to 28 digits
    values = [most, most, least, least, least, None, Decimal("0.001")]
    facts = [fact(i * S, sequence=i, money=m) for i, m in enumerate(values)]
    check(view, facts, [t * S for t in range(8)])


def test_empty_strings_are_not_null() -> None:
    view = make_view(
        ns.first_n("s", 9, nulls=True),
        ns.last_n("s", 9),
        ns.min("s"),
        ns.count("s"),
        ns.count_distinct("s"),
        ns.top_n("s", 9),
        ns.first_value("s", nulls=True),
        "s",
        "tags",
    )
    cells = [None, "", "a", None, "", "\uffff", "\U0001f600"]
    facts = [
        fact(i * S, sequence=i, s=s, tags=t)
        for i, (s, t) in enumerate(
            zip(cells, [None, [], [""], [None], ["a", None], [], None], strict=True)
        )
    ]
    check(view, facts, [t * S for t in range(8)])


def test_an_entity_of_nothing_but_nulls() -> None:
    names = ("x", "n", "s", "b", "money", "day", "moment", "ok")
    view = make_view(
        *names,
        "tags",
        "vector",
        *[ns.min(c) for c in names],
        *[ns.first_n(c, 2, nulls=True) for c in names],
        ns.count(),
        ns.count("x"),
        ns.sum("x"),
        ns.var("n"),
        ns.quantile("x", 0.5),
        ns.top_n("s", 1),
    )
    check(view, [fact(i, sequence=i) for i in range(3)], [-1, 0, 2, S])


def test_where_null_is_not_true() -> None:
    view = make_view(
        ns.count(where="ok"),
        ns.sum("n", where="ok", window="2s"),
        ns.first_n("n", 9, where="ok", nulls=True),
        ns.count(where="ok", window="2s", hop="exact"),
        exact_cap=2,
    )
    flags = [True, None, False, True, None]
    facts = [fact(i * S, sequence=i, ok=ok, n=i or None) for i, ok in enumerate(flags)]
    check(view, facts, [t * S // 2 for t in range(12)])


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_an_exact_window_at_its_cap_and_one_above(cap: int) -> None:
    view = make_view(
        ns.count(window="2us", hop="exact"),
        ns.last_n("n", 5, window="5us", hop="exact"),
        exact_cap=cap,
    )
    facts = [fact(t, sequence=i, n=i) for i, t in enumerate([0, 1, 1, 3, 3, 3, 7, -4])]
    check(view, facts, list(range(-6, 15)))
    check(view, facts, list(range(-6, 15)), "row")


def test_windows_wider_than_history_and_before_1970() -> None:
    view = make_view(ns.count(window="7d"), ns.sum("n", window=["1s", "25h"]))
    long_ago = -(10**15) - 7
    facts = [fact(long_ago + i, sequence=i, n=1) for i in range(4)]
    edges = [long_ago + s * S for s in (0, 1, 90_000, 604_800, 650_000)]
    check(view, facts, [e + d for e in edges for d in (-1, 0, 1, 2, 3, 4)])


def test_times_at_both_ends_of_the_calendar() -> None:
    first = int((datetime(1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    last = 253_402_300_799
    view = make_view(ns.count(window="7d"), ns.latest("n", max_age="1h"), ns.count())
    facts = [fact(first * S, sequence=0, n=1), fact(last * S, sequence=1, n=2)]
    check(view, facts, [first * S, first * S + 1, 0, last * S, last * S + 999_999])


def test_ties_in_every_clock() -> None:
    """Same event time, same known time: the sequence decides; event time beats known time."""
    view = make_view("n", ns.last_n("n", 9), ns.first_value("n"), ns.last_value("n", window="1s"))
    facts = [fact(0, known=k, sequence=s, n=10 * k + s) for k in (2, 0, 1) for s in (5, 0, 3)]
    for known_at in (None, "row", 0, 1, 2):
        check(view, facts, [-1, 0, 1, 2], known_at)


def test_of_a_duplicate_only_the_first_to_be_known_counts() -> None:
    view = make_view("n", ns.count(), ns.sum("n", window="10s"), event_id="event_id")
    facts = [
        fact(5 * S, known=9 * S, sequence=0, n=1, event_id="a"),
        fact(6 * S, known=8 * S, sequence=1, n=2, event_id="a"),
        fact(7 * S, known=7 * S, sequence=2, n=4),
        fact(7 * S, known=7 * S, sequence=3, n=8),
        fact(6 * S, known=8 * S, sequence=4, n=16, key=(2,), event_id="a"),
    ]
    for known_at in (None, "row", 8 * S - 1, 8 * S):
        check(view, facts, [4 * S, 6 * S, 8 * S, 9 * S, 16 * S], known_at)


def test_a_repetition_beyond_the_horizon_counts_again() -> None:
    view = make_view("n", ns.count(), ns.last_n("n", 9), event_id="event_id", horizon="10s")
    # known at  0    10    11    20    21    32    42
    #           ┼──────┤   ┼────────────┤    ┼──────┤      ┼ counts, until ┤ others repeat it
    knowns = [0, 10 * S, 11 * S, 20 * S, 21 * S, 32 * S, 42 * S]
    facts = [fact(-i, known=k, sequence=i, n=i, event_id="a") for i, k in enumerate(knowns)]
    facts.append(fact(0, known=15 * S, sequence=9, n=9, event_id="b"))
    moments: list[ReferenceKnownAt] = [None, "row", *knowns, 10 * S - 1, 11 * S - 1]
    for known_at in moments:
        check(view, facts, [0, *knowns, 50 * S], known_at)
    assert answers(view, facts, [((1,), 0)])["n_last_9"].to_pylist() == [[5, 2, 0, 9]]


@given(feature_views(max_features=1, event_id=True), st.data())
def test_of_events_that_count_none_is_a_duplicate(view: FeatureView, data: st.DataObject) -> None:
    """So what a stream has judged may be judged again with everything else."""
    once = events_of(view, data.draw(fact_lists(view)))
    keys, horizon = list(view.entity.keys), view.source.event_id_horizon
    again = Events.from_table(once.table, keys, id_horizon=horizon)
    assert again.sequence.tolist() == once.sequence.tolist()


def test_no_events_and_no_rows() -> None:
    view = make_view(
        "n",
        "tags",
        "vector",
        ns.count(),
        ns.sum("money"),
        ns.top_n("s", 1),
        ns.count(window="1s", hop="exact"),
    )
    assert_same(naive_historical(view, [], [((1,), 0)]), answers(view, [], [((1,), 0)]), view)
    assert answers(view, [fact(0)], []).num_rows == 0
    assert answers(view, [], []).num_rows == 0


def test_selecting_no_event_of_some_entities_keeps_them() -> None:
    view = make_view("n")
    facts = [fact(i, key=(k,), sequence=i, n=i) for i, k in enumerate([3, 1, 2, 3, 1])]
    events = events_of(view, facts)
    for keep in ([False] * 5, [True] * 5, [False, True, False, False, True], [True] + [False] * 4):
        chosen = events.select(np.array(keep))
        counts = [
            sum(k for k, e in zip(keep, events.entity, strict=True) if e == i) for i in range(3)
        ]
        assert np.diff(chosen.offsets).tolist() == counts
        assert len(chosen) == chosen.table.num_rows == sum(keep)
