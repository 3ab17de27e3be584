"""Reading the past: the value of every feature for rows of (entity, time), from events."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.windows import EXACT_HOP
from noskew.kernel import as_of
from noskew.kernel.aggregates.base import Accumulator, Lifted, State
from noskew.kernel.arrays import Index
from noskew.kernel.bounds import window_starts
from noskew.kernel.events import Events
from noskew.kernel.plan import LatestFeature, ViewPlan, WindowFeature
from noskew.kernel.visible import NEVER

#: None: all facts; "row": facts known by each row's own time; an int: facts known by then.
KnownAt = Literal["row"] | int | None
#: Rows answered at a time when facts must be picked one by one.
_CHUNK = 65_536


def historical(
    plan: ViewPlan, events: Events, entity: Index, t: Index, known_at: KnownAt = None
) -> dict[str, pa.Array]:
    """Feature values as of each row's time (SPEC §3 to §5).

    Parameters
    ----------
    plan
        The view's plan, or a part of it.
    events
        Events with the columns of the plan.
    entity
        int64, shape (rows,): the entity of each row in ``events``, −1 for one without events.
    t
        int64, shape (rows,): microseconds since the epoch, in any order.
    known_at
        Which facts to use.

    Returns
    -------
    One Arrow array of ``rows`` values a feature, in the plan's order. Rows without events get
    the "no rows" value of each aggregate, and null for latest values.
    """
    if known_at != "row":
        events = events.known_at(known_at)
    if known_at != "row" or len(t) <= _CHUNK:
        return _answer(plan, events, entity, t, known_at == "row")
    parts = [
        _answer(plan, events, entity[i : i + _CHUNK], t[i : i + _CHUNK], True)
        for i in range(0, len(t), _CHUNK)
    ]
    return {name: pa.concat_arrays([p[name] for p in parts]) for name in parts[0]}


def _answer(
    plan: ViewPlan, events: Events, entity: Index, t: Index, known_by_row: bool
) -> dict[str, pa.Array]:
    known = entity >= 0
    lo = np.where(known, events.offsets[np.maximum(entity, 0)], 0) if len(events) else 0 * entity
    end = (
        np.where(known, events.offsets[np.maximum(entity, 0) + 1], 0) if len(events) else 0 * entity
    )
    hi = as_of.upper_bounds(events.event_time, lo, end, t)
    out: dict[str, pa.Array] = {}
    if plan.latest:
        newest = hi - 1
        if known_by_row:
            least = as_of.running_least(events.since, events.offsets)
            newest = as_of.last_known(events.since, _until(events), least, lo, hi, t)
        newest = np.where(newest >= lo, newest, -1)
        for age, features in _by_age(plan.latest).items():
            at = _not_older(events, newest, t, age)
            out |= {f.name: events.pick(f.column, at) for f in features}
    ranges = _Ranges(plan, events, lo, hi, t, known_by_row)
    lifted: dict[Accumulator, Lifted] = {}
    merged: dict[object, State] = {}
    for feature in plan.windows:
        out[feature.name] = _window_value(plan, feature, events, ranges, lifted, merged)
    order = [*(f.name for f in plan.latest), *(f.name for f in plan.windows)]
    return {name: out[name] for name in order}


def _until(events: Events) -> Index:
    """When each event was taken back, NEVER for all if none was."""
    return np.full(len(events), NEVER) if events.until is None else events.until


def _by_age(latest: tuple[LatestFeature, ...]) -> dict[int | None, list[LatestFeature]]:
    grouped: dict[int | None, list[LatestFeature]] = {}
    for feature in latest:
        grouped.setdefault(feature.max_age, []).append(feature)
    return grouped


def _not_older(events: Events, newest: Index, t: Index, max_age: int | None) -> pa.Array:
    """Positions as an Arrow array: null where there is none, or it is older than ``max_age``."""
    good = newest >= 0
    if max_age is not None and len(events):
        good &= events.event_time[np.maximum(newest, 0)] >= t - max_age
    return pa.array(newest, mask=~good)


class _Ranges:
    """Which events each row's window covers; worked out once for each (window, hop)."""

    def __init__(
        self, plan: ViewPlan, events: Events, lo: Index, hi: Index, t: Index, by_row: bool
    ) -> None:
        self._events, self._lo, self._hi, self._t, self._by_row = events, lo, hi, t, by_row
        windows = sorted({(f.window, f.hop) for f in plan.windows if f.window is not None})
        sizes = np.array(windows, np.int64).reshape(-1, 2)
        self._starts: dict[tuple[int, int], Index] = {}
        if windows:
            starts = window_starts(events.event_time, lo, hi, t, sizes)
            self._starts = dict(zip(windows, starts, strict=True))
        self._known: dict[tuple[int | None, int], tuple[Index, Index, Index]] = {}

    def start(self, window: int | None, hop: int) -> Index:
        if window is None:
            return self._lo
        return self._starts[window, hop]

    def merge(self, state: Lifted, window: int | None, hop: int) -> State:
        """The merge of the states of the events in each row's window."""
        lo = self.start(window, hop)
        if not self._by_row:
            return state.merge(lo, self._hi)
        middle, offsets, index = self._split(window, hop)
        head = state.merge(lo, middle)
        if not len(index):
            return head
        rest = state.take(index).merge(offsets[:-1], offsets[1:])
        n = len(lo)
        pairs = np.arange(2 * n).reshape(2, n).T.reshape(-1)
        both = type(head).concat([head, rest]).take(pairs)
        return both.merge(np.arange(0, 2 * n, 2), np.arange(2, 2 * n + 2, 2))

    def events_in(self, window: int | None, hop: int) -> Index:
        """How many events are in each row's window."""
        lo = self.start(window, hop)
        if not self._by_row:
            return self._hi - lo
        middle, offsets, _ = self._split(window, hop)
        return middle - lo + np.diff(offsets)

    def _split(self, window: int | None, hop: int) -> tuple[Index, Index, Index]:
        if (window, hop) not in self._known:
            since, until = self._events.since, _until(self._events)
            lo = self.start(window, hop)
            self._known[window, hop] = as_of.split_known(since, until, lo, self._hi, self._t)
        return self._known[window, hop]


def _window_value(
    plan: ViewPlan,
    feature: WindowFeature,
    events: Events,
    ranges: _Ranges,
    lifted: dict[Accumulator, Lifted],
    merged: dict[object, State],
) -> pa.Array:
    states = []
    for accumulator in feature.aggregate.accumulators:
        place = (accumulator, feature.window, feature.hop)
        if place not in merged:
            if accumulator not in lifted:
                lifted[accumulator] = accumulator.lift(events)
            merged[place] = ranges.merge(lifted[accumulator], feature.window, feature.hop)
        states.append(merged[place])
    value = feature.aggregate.finalise(*states)
    if feature.hop == EXACT_HOP:
        value = null_where(value, ranges.events_in(feature.window, EXACT_HOP) > plan.exact_cap)
    return value


def null_where(value: pa.Array, over: NDArray[np.bool_]) -> pa.Array:
    """The array with null wherever ``over`` is true."""
    if not over.any():
        return value
    at = np.arange(len(value))
    return value.take(pa.array(at, mask=over))
