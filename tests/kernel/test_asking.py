"""Rows asked in one pass over their bytes say what their states say, and what the facts say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.definitions.view import FeatureView
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, pack_rows, unpack_rows, version_bytes
from noskew.kernel.rows.values_at import values_at
from noskew.kernel.state import finalise, fold
from noskew.testing.reference import Fact, event_time, naive_historical
from noskew.testing.strategies import assert_same
from tests.kernel.paths import encoded, events_of, fact, make_view

S = 1_000_000
DAY = 86_400 * S
WINDOWS = (None, "1s", "10s", "1h", "25h", "7d")
ADD_UP: tuple[Any, ...] = (
    lambda w: ns.count(window=w),
    lambda w: ns.count("s", window=w, where="ok"),
    lambda w: ns.count("x", window=w),
    lambda w: ns.sum("x", window=w),
    lambda w: ns.sum("n", window=w),
    lambda w: ns.sum("ok", window=w),
    lambda w: ns.sum("money", window=w),
    lambda w: ns.sum("f", window=w, where="ok"),
    lambda w: ns.mean("x", window=w),
    lambda w: ns.mean("n", window=w, where="ok"),
    lambda w: ns.var("x", window=w),
    lambda w: ns.stddev("n", window=w),
)
FLOATS = st.sampled_from(
    [None, 0.0, -0.0, 1.5, -2.25, 0.1, 1e300, -1e300, 5e-324, 2.0**60, float("inf"), float("nan")]
)
CELLS = st.fixed_dictionaries(
    {
        "x": FLOATS,
        "f": st.sampled_from([None, 0.5, -3.0]),
        "s": st.sampled_from([None, "a"]),
        "n": st.sampled_from([None, 0, 1, -7, 2**62, -(2**63), 2**63 - 1]),
        "ok": st.sampled_from([None, True, False]),
        "money": st.just(None),
    }
)
OFFSETS = st.sampled_from([0, 1, S, S + 1, 10 * S, 3_600 * S, 25 * 3_600 * S, 7 * DAY, 8 * DAY])


@st.composite
def views(draw: st.DrawFn) -> FeatureView:
    made = draw(
        st.lists(
            st.tuples(st.sampled_from(ADD_UP), st.sampled_from(WINDOWS)),
            min_size=1,
            max_size=8,
            unique_by=lambda m: (ADD_UP.index(m[0]), m[1]),
        )
    )
    features = [make(window) for make, window in made]
    if draw(st.booleans()):
        features += [ns.latest("x", name="newest_x", max_age="10s"), ns.latest("s", name="newest")]
    named = [
        ns.count("n", window="1h", hop=draw(st.sampled_from(["5s", "1min"])), name="finer")
    ] * draw(st.integers(0, 1))
    return make_view(*features, *named)


@st.composite
def facts_up_to(draw: st.DrawFn, horizon: int) -> list[Fact]:
    number = draw(st.integers(1, 10))
    return [
        fact(
            horizon - draw(OFFSETS),
            known=horizon,
            sequence=i,
            key=draw(st.sampled_from([(1,), (2,), (3,)])),
            **draw(CELLS),
        )
        for i in range(number)
    ]


@given(views(), st.sampled_from([0, 1_700_000_000 * S + 7]), OFFSETS, st.data())
def test_one_pass_says_what_states_and_facts_say(
    view: FeatureView, horizon: int, later: int, data: st.DataObject
) -> None:
    facts = data.draw(facts_up_to(horizon))
    layout, events = RowLayout(compile_view(view)), events_of(view, facts)
    assert layout.sums is not None
    packed = pack_rows(
        layout, fold(layout.plan, events, horizon), version_bytes(horizon, 1)
    ).to_list()
    held = dict(zip(events.encoded_keys().to_list(), packed, strict=True))
    keys = data.draw(st.lists(st.sampled_from([(1,), (2,), (3,), (4,)]), min_size=1, max_size=9))
    rows = [held.get(raw) for raw in encoded(view, keys)[0]]
    t = horizon + later
    asked = values_at(layout, rows, t)
    expected = naive_historical(view, facts, [(key, t) for key in keys])
    assert_same(expected, pa.table(asked.values), view, rows=[(k, t) for k in keys], facts=facts)
    through_states = finalise(layout.plan, unpack_rows(layout, rows), np.full(len(rows), t))
    assert list(asked.values) == list(through_states)
    for name, column in through_states.items():
        assert asked.values[name].type == column.type
        assert repr(asked.values[name].to_pylist()) == repr(column.to_pylist()), name
    times = [event_time(view, facts, key, t) or 0 for key in keys]
    assert asked.newest.event_time.tolist() == times


def test_an_aggregate_may_have_other_windows_than_what_it_accumulates() -> None:
    """The count behind a mean stands in the windows of a count of its own, too."""
    view = make_view(
        ns.count("x", window="25h"),
        ns.mean("x", window="1h"),
        ns.count("x"),
        ns.mean("x", window="25h"),
        ns.sum("x", window="10s"),
    )
    layout = RowLayout(compile_view(view))
    facts = [fact(0, x=1.0), fact(7_000 * S, x=3.0, sequence=1), fact(7_100 * S, x=8.0, sequence=2)]
    state = fold(layout.plan, events_of(view, facts), 7_101 * S)
    row = pack_rows(layout, state, version_bytes(7_101 * S, 1)).to_list()[0]
    found = values_at(layout, [None, row], 7_101 * S).values
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "x_count_25h": [0, 3],
        "x_mean_1h": [None, 5.5],
        "x_count": [0, 3],
        "x_mean_25h": [None, 4.0],
        "x_sum_10s": [None, 8.0],
    }


@pytest.mark.parametrize(
    "feature",
    [ns.max("x"), ns.count(window="1h", hop="exact"), ns.latest("x"), ns.count_distinct("s")],
)
def test_what_does_not_add_up_goes_through_states(feature: Any) -> None:
    assert RowLayout(compile_view(make_view(feature))).sums is None
