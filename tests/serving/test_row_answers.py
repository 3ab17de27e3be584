"""What rows answer, on each way of reading them: as the reference says, and safe when damaged."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.addresses import Tenant
from noskew.clock import MAX_TIME, to_datetime, to_text
from noskew.definitions.view import FeatureView
from noskew.errors import CorruptDataError
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, pack_rows, version_bytes
from noskew.kernel.state import fold
from noskew.reading.request_plan import RequestPlan, ViewRequest
from noskew.reading.view_answer import FixedAnswer, PlainAnswer, StateAnswer, ViewAnswer, answer
from noskew.testing.reference import Fact, Key, event_time, naive_historical, statuses
from noskew.testing.strategies import Case, assert_same, cases
from noskew.wire import status
from tests.kernel.paths import encoded, events_of, fact, make_view

S = 1_000_000
AGED = make_view(ns.latest("x", max_age="10s"), ns.latest("n"), ns.latest("ok", max_age="1us"))
NUMBERS = make_view(ns.latest("x"), ns.latest("f"), ns.latest("small"), ns.latest("n"))
MIXED = make_view(
    ns.latest("s", max_age="10s"), ns.count(window="10s"), ns.last_n("s", 2), ns.mean("x")
)
AGGREGATES = make_view(ns.count(window="10s"), ns.sum("n"), ns.max("x", window="1h", hop="exact"))
SUMS = make_view(
    ns.mean("x", window=["10s", "1h"]),
    ns.count(window="1h"),
    ns.sum("n"),
    ns.stddev("x"),
    ns.latest("s", max_age="10s"),
)
VIEWS = {"aged": AGED, "numbers": NUMBERS, "mixed": MIXED, "aggregates": AGGREGATES, "sums": SUMS}
Way = Callable[[ViewRequest, Sequence[bytes | None], int], ViewAnswer]


def by_state(request: ViewRequest, rows: Sequence[bytes | None], t: int) -> ViewAnswer:
    return StateAnswer(request, rows, [], t, False)


def as_served(request: ViewRequest, rows: Sequence[bytes | None], t: int) -> ViewAnswer:
    return answer(request, rows, [], t, False)


def request_of(view: FeatureView) -> ViewRequest:
    return RequestPlan(ns.FeatureService("service", [view]), Tenant("p")).views[0]


def rows_of(view: FeatureView, facts: Sequence[Fact], horizon: int) -> dict[Key, bytes]:
    """The packed row of each key."""
    plan, events = compile_view(view), events_of(view, facts)
    rows = pack_rows(
        RowLayout(plan), fold(plan, events, horizon), version_bytes(horizon, 1)
    ).to_list()
    by_key = dict(zip(events.encoded_keys().to_list(), rows, strict=True))
    keys = list(dict.fromkeys(f.key for f in facts))
    return {key: by_key[raw] for key, raw in zip(keys, encoded(view, keys)[0], strict=True)}


def check(view: FeatureView, facts: Sequence[Fact], horizon: int, t: int, way: Way) -> None:
    """Ask for every key, the first one twice, and one never seen; compare with the reference."""
    held = rows_of(view, facts, horizon)
    keys = [*held, *list(held)[:1]]
    found = way(request_of(view), [*(held[k] for k in keys), None], t)
    # A row is asked at its own known time if the clock is behind it.
    at = max(t, horizon)
    asked = [*((key, at) for key in keys), (("nobody",), t)]
    expected = (
        naive_historical(view, facts, asked[:-1])
        + naive_historical(view, [], [(asked[0][0], t)])[-1:]
    )
    table = pa.table({name: found.arrow(name) for name in view.features})
    assert_same(expected, table, view, rows=asked, facts=facts)
    times = [event_time(view, facts, key, at) for key in keys]
    assert found.event_times.tolist() == [*(time or 0 for time in times), 0]
    assert found.versions == [*[(horizon, 1)] * len(keys), None]
    for name in view.features:
        codes = [status.NAMES[c] for c in found.statuses(name)]
        assert codes == [*(statuses(view, facts, key, at)[name] for key in keys), "MISSING"]


@given(cases(), st.integers(-20 * S, 20 * S), st.data())
def test_rows_answer_as_the_reference_does(case: Case, ahead: int, data: st.DataObject) -> None:
    """With pending events, and with a clock that is behind the rows."""
    if not case.facts:
        return
    horizon = data.draw(st.sampled_from(sorted({f.known_time for f in case.facts})))
    facts = [f for f in case.facts if f.known_time <= horizon]
    later = [f.event_time for f in facts if f.event_time > horizon]
    t = data.draw(st.sampled_from([horizon + ahead, *later]))
    check(case.view, facts, horizon, t, as_served)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Facts of two keys at seconds 0 to 30, some of them pending at second 20."""
    cells = st.fixed_dictionaries(
        {
            "x": st.sampled_from([None, 1.5, float("nan")]),
            "n": st.sampled_from([None, 7]),
            "ok": st.sampled_from([None, True]),
            "s": st.sampled_from([None, "a"]),
            "f": st.just(0.5),
            "small": st.sampled_from([None, -1]),
        }
    )
    seconds = draw(st.lists(st.sampled_from([5, 9, 10, 11, 20, 21, 30]), min_size=1, max_size=6))
    return [
        fact(
            s * S,
            known=min(s, 20) * S,
            sequence=i,
            key=draw(st.sampled_from([(1,), (2,)])),
            **draw(cells),
        )
        for i, s in enumerate(seconds)
    ]


@pytest.mark.parametrize("way", [by_state, as_served])
@pytest.mark.parametrize("name", VIEWS)
@given(histories(), st.sampled_from([0, 19 * S, 20 * S, 20 * S + 1, 21 * S, 30 * S, 31 * S]))
def test_every_way_of_reading_a_row_answers_as_the_reference_does(
    name: str, way: Way, facts: list[Fact], t: int
) -> None:
    check(VIEWS[name], facts, 20 * S, t, way)


# ---------------------------------------------------------------- named cases


@pytest.mark.parametrize("way", [by_state, as_served])
def test_a_clock_behind_the_row_asks_it_at_its_known_time(way: Way) -> None:
    """Rows of fixed width took the clock's time, and called values fresh that others did not."""
    row = rows_of(AGED, [fact(5 * S, known=20 * S, x=1.0, n=2, ok=True)], 20 * S)[1,]
    assert isinstance(as_served(request_of(AGED), [row], 6 * S), FixedAnswer)
    found = way(request_of(AGED), [row, None], 6 * S)
    assert [found.items(n) for n in ("x", "n")] == [[None, None], [2, None]]
    assert found.statuses("x").tolist() == [status.EXPIRED, status.MISSING]


def test_a_pending_event_whose_time_has_come_is_what_the_event_time_and_age_tell() -> None:
    """Both were those of the row before the event: 5 s, and EXPIRED."""
    facts = [fact(5 * S, known=5 * S, x=1.0), fact(40 * S, known=5 * S, sequence=1, x=None)]
    row = rows_of(AGED, facts, 20 * S)[1,]
    found = as_served(request_of(AGED), [row], 45 * S)
    assert found.event_times.tolist() == [40 * S]
    assert found.statuses("x").tolist() == [status.NULL]
    assert as_served(request_of(AGED), [row], 39 * S).event_times.tolist() == [5 * S]


def test_a_view_of_aggregates_tells_the_time_of_the_newest_event() -> None:
    """It told none."""
    held = rows_of(AGGREGATES, [fact(3), fact(2, sequence=1), fact(90 * S, key=(2,))], 20 * S)
    found = as_served(request_of(AGGREGATES), [held[1,], held[2,], None], 60 * S)
    assert found.event_times.tolist() == [3, 0, 0]  # pending; never seen
    assert as_served(request_of(AGGREGATES), [held[2,]], 90 * S).event_times.tolist() == [90 * S]


# ---------------------------------------------------------------- damage


def use(view: FeatureView, rows: Sequence[bytes | None], t: int) -> bool:
    """Everything an answer can do. True if the rows were refused; nothing else may happen."""
    plan = RequestPlan(ns.FeatureService("service", [view]), Tenant("p"))
    ((_, wanted),) = plan.stored
    refused = False
    for way in (by_state, as_served):
        try:
            found = way(plan.views[0], rows, t)
            for name in view.features:
                found.arrow(name).validate(full=True)
                found.numpy(name)
                found.array(name)
                found.statuses(name)
                assert len(found.items(name)) == len(rows)
            found.fill({}, wanted)
            found.finite_arrays(wanted)
            assert found.is_complete in (True, False)
            assert all(to_datetime(at) for at in found.event_times.tolist())
            assert all(to_text(v[0]) for v in found.versions if v is not None)
        except CorruptDataError:
            refused = True
    return refused


def sound(name: str) -> bytes:
    facts = [
        fact(at * S, known=20 * S, sequence=at, x=0.5, f=1.0, small=3, n=at, ok=True, s="é")
        for at in (1, 2, 19, 25)
    ]
    row = rows_of(VIEWS[name], facts if name != "numbers" else facts[:3], 20 * S)[1,]
    assert not use(VIEWS[name], [row], 22 * S)
    return row


@pytest.mark.parametrize("name", VIEWS)
def test_a_row_cut_short_or_grown_is_refused(name: str) -> None:
    row = sound(name)
    for bad in [*(row[:end] for end in range(len(row))), row + b"\0", row + row]:
        assert use(VIEWS[name], [bad], 22 * S), len(bad)


@pytest.mark.parametrize("name", VIEWS)
@given(st.randoms(use_true_random=False))
def test_flipped_bits_are_refused_or_read_without_harm(name: str, chance: random.Random) -> None:
    row = bytearray(sound(name))
    for _ in range(chance.choice([1, 1, 2, 8, 64])):
        row[chance.randrange(len(row))] ^= 1 << chance.randrange(8)
    use(VIEWS[name], chance.choice([[bytes(row)], [None, bytes(row)] * 6]), 22 * S)


@pytest.mark.parametrize("name", VIEWS)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused_or_read_without_harm(
    name: str, noise: bytes, headed: bool
) -> None:
    row = sound(name)[:18] + noise if headed else noise
    use(VIEWS[name], [row], 22 * S)


@pytest.mark.parametrize("name", ["aged", "numbers"])
def test_lengths_that_even_out_are_refused(name: str) -> None:
    """A row one byte short and one a byte long were read as two of the right length."""
    row = sound("numbers") if name == "numbers" else sound(name)[: request_width(AGED)]
    row = row[:17] + b"\x01" + row[18:]
    assert not use(VIEWS[name], [row] * 20, 22 * S)
    assert use(VIEWS[name], [row[:-1], row + b"\0"] * 10, 22 * S)
    assert use(VIEWS[name], [row] * 19 + [b""], 22 * S)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("n", [1, 20])
def test_times_that_no_clock_can_tell_are_refused(name: str, n: int) -> None:
    """They became an OverflowError where an answer was written as JSON."""
    row, view = sound(name), VIEWS[name]
    for time in (MAX_TIME + 1, -(1 << 63), (1 << 63) - 1):
        event = row[:18] + time.to_bytes(8, "little", signed=True) + row[26:]
        assert use(view, [event] * n, 22 * S)
        known = version_bytes(time, 1) + row[16:]
        assert use(view, [known] * n, 22 * S), time


def request_width(view: FeatureView) -> int:
    return request_of(view).layout.head.itemsize


def test_numbers_are_read_the_plain_way() -> None:
    """Else the tests above say nothing of it."""
    row = sound("numbers")
    assert isinstance(as_served(request_of(NUMBERS), [row], 22 * S), PlainAnswer)
    assert isinstance(as_served(request_of(NUMBERS), [row] * 20, 22 * S), FixedAnswer)
    assert np.array_equal(as_served(request_of(NUMBERS), [row], 0).event_times, [19 * S])
