"""States: folding, merging and packing lose nothing, in any order, and finalise as defined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import noskew as ns
from noskew.definitions.view import FeatureView
from noskew.kernel.events import Events
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, pack_rows, unpack_rows, version_bytes
from noskew.kernel.state import Newest, ViewState, empty, finalise, fold, merge, settle
from noskew.testing.reference import Fact, Key, event_time, naive_historical
from noskew.testing.strategies import EVENT_ID, Case, assert_same, cases, facts_to_table
from tests.kernel.paths import encoded, events_of, fact, make_view

S = 1_000_000
VERSION = version_bytes(0, 1)
Part = tuple[ViewState, NDArray[np.int64]]


class Folder:
    """Folds facts into states of a list of keys: those of the facts, then one never seen."""

    def __init__(self, view: FeatureView, facts: Sequence[Fact]) -> None:
        self.view = view
        # Rows that are to be merged carry the place in time of the newest value.
        self.plan = replace(compile_view(view), ordered_rows=True)
        self.layout = RowLayout(self.plan)
        self.keys: list[Key] = list(dict.fromkeys(f.key for f in facts))
        self.at = {raw: i for i, raw in enumerate(encoded(view, self.keys)[0])} if facts else {}
        self.size = len(self.keys) + 1

    def fold(self, facts: Sequence[Fact], horizon: int) -> Part:
        """A state of the facts' keys alone, and which of all keys those are."""
        events = events_of(self.view, facts)
        at = [self.at[raw] for raw in events.encoded_keys().to_list()]
        return fold(self.plan, events, horizon), np.array(at, np.int64)

    def merge(self, parts: Sequence[Part], horizon: int) -> Part:
        """A state of all keys."""
        nothing = (empty(self.plan, 0), np.zeros(0, np.int64))
        state = merge(self.plan, [*parts, nothing], self.size, horizon)
        return state, np.arange(self.size)

    def state(self, facts: Sequence[Fact], horizon: int) -> ViewState:
        """The state of all keys in one fold."""
        return self.merge([self.fold(facts, horizon)], horizon)[0]

    def rows(self, state: ViewState) -> list[bytes]:
        return pack_rows(self.layout, state, VERSION).to_list()

    def repacked(self, part: Part) -> Part:
        return unpack_rows(self.layout, self.rows(part[0])), part[1]

    def check(self, state: ViewState, facts: Sequence[Fact], t: Sequence[int]) -> None:
        """The state's answers are the reference's; those of the last key are those of no rows."""
        found = pa.table(finalise(self.plan, state, np.array(t, np.int64)))
        newest = settle(self.plan, state, np.array(t, np.int64)).newest
        assert times_of(newest) == [
            *(event_time(self.view, facts, key, at) for key, at in zip(self.keys, t, strict=False)),
            None,
        ]
        rows = list(zip(self.keys, t, strict=False))
        expected = naive_historical(self.view, facts, rows)
        if rows:
            expected += naive_historical(self.view, [], [(self.keys[0], t[-1])])
            rows.append((self.keys[0], t[-1]))
            assert_same(expected, found, self.view, rows=rows, facts=facts)


def times_of(newest: Newest) -> list[int | None]:
    """Event times; None for a key without an event, which must say 0."""
    pairs = zip(newest.event_time.tolist(), newest.there.tolist(), strict=True)
    assert not newest.event_time[~newest.there].any()
    return [at if there else None for at, there in pairs]


def known_by(facts: Sequence[Fact], horizon: int) -> list[Fact]:
    return [f for f in facts if f.known_time <= horizon]


def without_ids(facts: Sequence[Fact]) -> list[Fact]:
    """Facts none of which is a duplicate: those are sorted out before anything is folded."""
    return [replace(f, values={**f.values, EVENT_ID: None}) for f in facts]


def ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read_only(table: pa.Table) -> pa.Table:
    """The table over memory that cannot be written: its buffers are slices of a bytes object."""
    with pa.ipc.open_stream(pa.BufferReader(ipc(table))) as reader:
        return reader.read_all()


@st.composite
def horizons(draw: st.DrawFn, case: Case) -> tuple[int, list[int]]:
    """A horizon at or beside a clock of a fact, and times not before it, one a key and one more."""
    clocks = [clock for f in case.facts for clock in (f.known_time, f.event_time)] or [0]
    horizon = draw(st.sampled_from(clocks)) + draw(st.sampled_from([0, 0, -1, 1]))
    spans = [0, 1, 300 * S]
    for feature in case.view.features.values():
        spans += [s for s in (feature.window, feature.hop, feature.max_age) if s]
    ahead = [f.event_time - horizon for f in case.facts if f.event_time > horizon]
    later = st.sampled_from([*spans, *ahead, *ahead])
    number = len({f.key for f in case.facts}) + 1
    t = [horizon + draw(later) + draw(st.sampled_from([0, 0, 1])) for _ in range(number)]
    return horizon, t


@given(cases(), st.data())
def test_fold_then_finalise_equals_the_reference(case: Case, data: st.DataObject) -> None:
    horizon, t = data.draw(horizons(case), label="horizon and times")
    folder, facts = Folder(case.view, case.facts), known_by(case.facts, horizon)
    folder.check(folder.state(facts, horizon), facts, t)


@given(cases(), st.data())
def test_rows_come_back_as_they_were(case: Case, data: st.DataObject) -> None:
    horizon, t = data.draw(horizons(case), label="horizon and times")
    folder, facts = Folder(case.view, case.facts), known_by(case.facts, horizon)
    rows = folder.rows(folder.state(facts, horizon))
    state = unpack_rows(folder.layout, rows)
    folder.check(state, facts, t)
    assert folder.rows(state) == rows


@given(cases(), st.data())
def test_any_split_order_and_tree_of_merges_gives_the_same_bytes(
    case: Case, data: st.DataObject
) -> None:
    horizon, _ = data.draw(horizons(case), label="horizon and times")
    facts = without_ids(known_by(case.facts, horizon))
    folder = Folder(case.view, facts)
    expected = folder.rows(folder.state(facts, horizon))
    # Each fact goes into one of four parts; a part is folded once all of it is known.
    places = [data.draw(st.integers(0, 3)) for _ in facts]
    parts: list[tuple[int, Part]] = []
    for place in sorted(set(places)):
        mine = [f for f, p in zip(facts, places, strict=True) if p == place]
        mine = data.draw(st.permutations(mine))
        known = max(f.known_time for f in mine)
        at = data.draw(st.sampled_from([known, horizon]), label="horizon of a part")
        parts.append((at, folder.fold(mine, at)))
    while len(parts) > 1:
        parts = data.draw(st.permutations(parts))
        number = data.draw(st.integers(2, len(parts)))
        latest = max(at for at, _ in parts[:number])
        at = data.draw(st.sampled_from([latest, horizon]), label="horizon of a merge")
        merged = folder.merge([part for _, part in parts[:number]], at)
        if data.draw(st.booleans(), label="through bytes"):
            merged = folder.repacked(merged)
        parts = [(at, merged), *parts[number:]]
    state, _ = folder.merge([part for _, part in parts], horizon)
    assert folder.rows(state) == expected


@given(cases(), st.data())
def test_batches_known_one_after_the_other(case: Case, data: st.DataObject) -> None:
    """As materialize and streams do it: the state so far, and what has become known since."""
    facts = sorted(without_ids(case.facts), key=lambda f: f.known_time)
    folder = Folder(case.view, facts)
    part, seen = folder.merge([], -(2**60)), 0
    for horizon in sorted({f.known_time for f in facts}):
        new = [f for f in facts[seen:] if f.known_time <= horizon]
        part = folder.merge([part, folder.fold(new, horizon)], horizon)
        if data.draw(st.booleans(), label="through bytes"):
            part = folder.repacked(part)
        seen += len(new)
        assert folder.rows(part[0]) == folder.rows(folder.state(facts[:seen], horizon))


@given(cases(), st.data())
def test_no_buffer_is_written_to(case: Case, data: st.DataObject) -> None:
    horizon, t = data.draw(horizons(case), label="horizon and times")
    folder, facts = Folder(case.view, case.facts), known_by(case.facts, horizon)
    table = facts_to_table(case.view, facts)
    held = read_only(table)
    events = Events.from_table(held, list(case.view.entity.keys))
    state = fold(folder.plan, events, horizon)
    rows = pack_rows(folder.layout, state, VERSION).to_list()
    parts = [(state, np.arange(len(state)))]
    merge(folder.plan, parts, len(state), horizon + 10 * S)
    finalise(folder.plan, state, np.array(t[: len(state)], np.int64))
    back = unpack_rows(folder.layout, rows)
    finalise(folder.plan, back, np.array(t[: len(state)], np.int64))
    assert ipc(held) == ipc(table)
    assert pack_rows(folder.layout, state, VERSION).to_list() == rows
    assert pack_rows(folder.layout, back, VERSION).to_list() == rows


def one(view: FeatureView, state: ViewState, t: Sequence[int]) -> dict[str, list[object]]:
    plan = compile_view(view)
    found = finalise(plan, state, np.array(t, np.int64))
    return {name: column.to_pylist() for name, column in found.items()}


# ---------------------------------------------------------------- event times


def test_the_event_time_of_aggregates_is_that_of_the_newest_event_whatever_the_window() -> None:
    view = make_view(ns.count(window="10s"), ns.sum("x", where="ok"))
    facts = [
        fact(2 * S),
        fact(7 * S, sequence=1),  # null and false: it counts for no feature
        fact(5 * S, known=90 * S, sequence=2),
        fact(100 * S, known=90 * S, sequence=3),  # pending until its time comes
        fact(200 * S, known=90 * S, key=(2,), sequence=4),
    ]
    folder = Folder(view, facts)
    whole = folder.state(facts, 90 * S)
    singly = folder.merge([folder.fold([f], 90 * S) for f in reversed(facts)], 90 * S)
    for state in (whole, singly[0], folder.repacked(singly)[0]):
        for t, first, second in [(90, 7, None), (99, 7, None), (100, 100, None), (200, 100, 200)]:
            asked = np.full(3, t * S)
            expected = [None if at is None else at * S for at in (first, second, None)]
            assert times_of(settle(folder.plan, state, asked).newest) == expected
        assert finalise(folder.plan, state, asked)["count_10s"].to_pylist() == [0, 1, 0]
    assert folder.rows(whole) == folder.rows(singly[0])


def test_rows_of_aggregates_carry_eight_bytes_for_their_event_time() -> None:
    layout = RowLayout(replace(compile_view(make_view(ns.count())), ordered_rows=True))
    assert layout.head.itemsize == 16 + 1 + 1 + 8


def test_features_come_in_the_order_of_the_plan() -> None:
    windows = [ns.count(window="1h"), ns.count(window="10s"), ns.mean("x", window="1h")]
    view = make_view(*windows, ns.latest("x"), ns.mean("x", window="10s"))
    state = fold(compile_view(view), events_of(view, [fact(1)]), 1)
    assert list(finalise(compile_view(view), state, np.array([1]))) == [
        "x",
        "count_1h",
        "count_10s",
        "x_mean_1h",
        "x_mean_10s",
    ]


# ---------------------------------------------------------------- counter-examples, once found


def test_merging_states_without_keys_gives_states_of_nothing() -> None:
    """``_merge_newest`` indexed an empty array."""
    view = make_view(ns.latest("x"), ns.count())
    plan = compile_view(view)
    nothing = (empty(plan, 0), np.zeros(0, np.int64))
    found = one(view, merge(plan, [nothing], 2, 0), [5, 5])
    assert found == {"x": [None, None], "count": [0, 0]}


def test_a_pending_event_of_one_key_leaves_the_windows_of_another() -> None:
    """Tiles were dropped as of the latest pending event, though keys are asked at other times."""
    view = make_view(ns.count(window="10s"))
    facts = [fact(0, key=(1,)), fact(1, known=0, key=(1,)), fact(3_600 * S, known=0, key=(2,))]
    folder = Folder(view, facts)
    state = folder.state(facts, 0)
    assert one(view, state, [1, 3_600 * S, 0])["count_10s"] == [2, 1, 0]


def test_rows_with_and_without_pending_events_merge() -> None:
    """Unpacked rows without pending events had no columns for those of others."""
    view = make_view(ns.latest("x"), ns.sum("money"), ns.count("tags", window="1h"))
    early = fact(0, x=1.0)
    late = fact(5 * S, known=0, sequence=1, x=2.0, money=None, tags=["a", None])
    folder = Folder(view, [early, late])
    parts = [folder.repacked(folder.merge([folder.fold([f], 0)], 0)) for f in (early, late)]
    state, _ = folder.merge(parts, 1)
    assert len(state.pending) == 1
    folder.check(state, [early, late], [5 * S, 5 * S])


def test_pending_events_are_the_same_bytes_however_they_came() -> None:
    """They were an Arrow stream, whose bytes depend on chunks, slices and unused bits."""
    view = make_view(ns.latest("vector"), ns.latest("tags"), ns.min("s"), ns.sum("ok"))
    cells = [
        {"vector": [1.0, -0.0], "tags": ["a", None, ""], "s": "é", "ok": True},
        {"vector": None, "tags": None, "s": None, "ok": None},
        {"vector": [0.0, 2.0], "tags": [], "s": "", "ok": False},
    ]
    facts = [fact(S + i, known=0, sequence=i, **c) for i, c in enumerate(cells)]
    folder = Folder(view, facts)
    expected = folder.rows(folder.state(facts, 0))
    singly = [folder.fold([f], 0) for f in reversed(facts)]
    assert folder.rows(folder.merge(singly, 0)[0]) == expected
    through_bytes = [folder.repacked(folder.merge([p], 0)) for p in singly]
    assert folder.rows(folder.merge(through_bytes, 0)[0]) == expected
    assert folder.rows(unpack_rows(folder.layout, expected)) == expected


def test_every_nan_is_packed_as_one() -> None:
    """A NaN that came through pending events had lost its payload, one that did not had not."""
    view = make_view(
        ns.latest("x"), ns.latest("f"), ns.latest("readings"), ns.sum("f"), ns.max("f")
    )
    odd = np.array([0xFFF4_0000_0000_0001], np.uint64).view(np.float64)
    odd_f = np.array([0xFFA0_0001], np.uint32).view(np.float32)
    plain, plain_f = np.array([np.nan]), np.array([np.nan], np.float32)
    rows = []
    for x, f in ((odd, odd_f), (plain, plain_f)):
        only = fact(0, x=math.nan, f=math.nan, readings=[math.nan, None])
        folder = Folder(view, [only])
        table = facts_to_table(view, [only])
        table = table.set_column(table.schema.get_field_index("x"), "x", pa.array(x))
        table = table.set_column(table.schema.get_field_index("f"), "f", pa.array(f))
        events = Events.from_table(table, ["user_id"])
        rows.append(folder.rows(fold(folder.plan, events, 0)))
    assert rows[0] == rows[1]
