"""The state of a view for many entities: fold events into it, merge it, ask it at a time.

A state is a function of the set of events alone, and of the *horizon*: the known time up to
which the log has been read. Events whose own time lies after the horizon are *pending*: kept
as they are until the horizon passes them, so that a read between the two sees exactly the
events that have happened. Tiles that no read at or after the horizon can reach are dropped;
the place of the newest event is kept whatever its age, since answers tell its time (SPEC §7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.windows import EXACT_HOP
from noskew.kernel import as_of
from noskew.kernel.aggregates.base import State
from noskew.kernel.aggregates.count import count_values
from noskew.kernel.arrays import Index
from noskew.kernel.bounds import first_tile, tile_of
from noskew.kernel.events import EVENT_TIME, KNOWN_TIME, SEQUENCE, Clocks, Events
from noskew.kernel.history import null_where
from noskew.kernel.jit import kernel
from noskew.kernel.plan import EVERY_EVENT, Group, ViewPlan


@dataclass
class Newest:
    """The newest event of each entity up to the horizon: its place in time and its values.

    Rows of views without latest features keep of the place the event time alone.
    """

    there: NDArray[np.bool_]
    place: Index  # shape (n, 3): event time, known time, sequence; zeros where not there
    columns: dict[str, pa.Array]  # those of latest features

    @property
    def event_time(self) -> Index:
        """Each entity's newest event time; 0 where it has none."""
        return self.place[:, 0]


@dataclass
class Tiles:
    """The occupied tiles of one group: entity e has ``offsets[e]:offsets[e + 1]``, ascending."""

    offsets: Index
    number: Index
    states: list[State]


@dataclass
class ViewState:
    """States of n entities.

    ``tiles`` has one item a group. ``pending`` holds events after the horizon, with
    ``pending_offsets`` by entity.
    """

    newest: Newest
    tiles: list[Tiles]
    pending: pa.Table
    pending_offsets: Index

    def __len__(self) -> int:
        return len(self.pending_offsets) - 1


def fold(plan: ViewPlan, events: Events, horizon: int | Index) -> ViewState:
    """The state of every entity of ``events`` at a horizon, one for all or one for each.

    All events of an entity must be known by its horizon (known time ≤ horizon).
    """
    starts, ends = events.offsets[:-1], events.offsets[1:]
    each = _each(horizon, len(starts))
    upto = as_of.upper_bounds(events.event_time, starts, ends, each)
    newest = _newest(plan, events, starts, upto)
    tiles = [_fold_group(plan, group, events, starts, upto, each) for group in plan.groups]
    counts = np.concatenate([[0], np.cumsum(ends - upto)])
    later = _flatten(upto, ends)
    return ViewState(newest, tiles, _pending_table(plan, events, later), counts)


def _each(horizon: int | Index, size: int) -> Index:
    return np.full(size, horizon, np.int64) if isinstance(horizon, int) else horizon


def merge(
    plan: ViewPlan, parts: Sequence[tuple[ViewState, Index]], size: int, horizon: int | Index
) -> ViewState:
    """Merge states of several origins or batches.

    ``parts``: states, and for each of their entities which of the ``size`` entities of the
    result it is (int64); one state may hold several parts of the same. The horizon, one for all
    or one for each entity of the result, is at least that of every part.
    """
    horizon = _each(horizon, size)
    parts = [*parts, *_settle(plan, parts, horizon)]
    newest = _merge_newest([(s.newest, at) for s, at in parts], size)
    tiles = [
        _merge_tiles(plan, group, [(s.tiles[g], at) for s, at in parts], size, horizon)
        for g, group in enumerate(plan.groups)
    ]
    pending, offsets = _merge_pending(parts, size, horizon)
    return ViewState(newest, tiles, pending, offsets)


def settle(plan: ViewPlan, state: ViewState, t: Index) -> ViewState:
    """The state with the pending events that each entity's time has reached folded in.

    ``t`` as for :func:`finalise`. The result is for asking at ``t``: it keeps no pending events.
    """
    if not len(state.pending):
        return state
    events = _pending_events(state)
    times = np.repeat(t, np.diff(state.pending_offsets))
    reached = events.select(events.event_time <= times)
    none = np.zeros_like(state.pending_offsets)
    rest = ViewState(state.newest, state.tiles, state.pending.slice(0, 0), none)
    if not len(reached):
        return rest
    same = np.arange(len(state))
    merged = merge(plan, [(rest, same), (fold(plan, reached, t), same)], len(state), t)
    return ViewState(merged.newest, merged.tiles, rest.pending, none)


def finalise(plan: ViewPlan, state: ViewState, t: Index) -> dict[str, pa.Array]:
    """The value of every feature for every entity at ``t`` (int64, shape (n,)).

    ``t`` must not be before the state's horizon. Entities without anything get the "no rows"
    values. Equal, bit for bit, to the history of the same events known by ``t``.
    """
    state = settle(plan, state, t)
    out = latest_values(plan, state.newest, t)
    for asked in plan.queries:
        tiles = state.tiles[asked.group]
        lo, hi = _window_from(tiles, asked.window, asked.hop, t), tiles.offsets[1:]
        merged = {i: tiles.states[i].merge(lo, hi) for i in asked.accumulators}
        for feature, places in asked.features:
            out[feature.name] = feature.aggregate.finalise(*[merged[i] for i in places])
        if asked.hop == EXACT_HOP:
            over = count_values(merged[asked.every]) > plan.exact_cap  # type: ignore[arg-type]
            for feature, _ in asked.features:
                out[feature.name] = null_where(out[feature.name], over)
    return {name: out[name] for name in plan.names}


def latest_values(plan: ViewPlan, newest: Newest, t: Index) -> dict[str, pa.Array]:
    """The latest features of each entity at ``t``."""
    out: dict[str, pa.Array] = {}
    for latest in plan.latest:
        good = newest.there
        if latest.max_age is not None:
            good = good & (newest.event_time >= t - latest.max_age)
        out[latest.name] = null_where(newest.columns[latest.column], ~good)
    return out


def empty(plan: ViewPlan, size: int) -> ViewState:
    """The state of ``size`` entities without any event."""
    return fold(plan, no_events(plan, size), 0)


# ------------------------------------------------------------------------------- folding


def _newest(plan: ViewPlan, events: Events, starts: Index, upto: Index) -> Newest:
    there = upto > starts
    at = np.where(there, upto - 1, 0)
    index = pa.array(at, mask=~there)
    columns = {c: events.column(c).take(index) for c in plan.latest_columns}
    if len(events):
        place = np.stack([events.event_time[at], events.known_time[at], events.sequence[at]], 1)
        place[~there] = 0
    else:
        place = np.zeros((len(starts), 3), np.int64)
    return Newest(there, place, columns)


def _fold_group(
    plan: ViewPlan, group: Group, events: Events, starts: Index, upto: Index, horizon: Index
) -> Tiles:
    if group.hop == 0:
        there = upto > starts
        offsets = np.concatenate([[0], np.cumsum(there)])
        number = np.zeros(offsets[-1], np.int64)
        lo, hi = starts[there], upto[there]
    else:
        first = first_tile(horizon, group.reach, group.hop)
        lo = as_of.upper_bounds(events.event_time, starts, upto, first * group.hop)
        offsets, number, lo, hi = _tile_runs(tile_of(events.event_time, group.hop), lo, upto)
    states = [a.lift(events).merge(lo, hi) for a in group.accumulators]
    return _keep_newest(plan, group, Tiles(offsets, number, states))


@kernel
def _tile_runs(tile: Index, lo: Index, hi: Index) -> tuple[Index, Index, Index, Index]:
    """Runs of equal tile in each range: (offsets by entity, tile numbers, run start, run end)."""
    offsets = np.zeros(len(lo) + 1, np.int64)
    for e in range(len(lo)):
        runs = 0
        for i in range(lo[e], hi[e]):
            if i == lo[e] or tile[i] != tile[i - 1]:
                runs += 1
        offsets[e + 1] = offsets[e] + runs
    total = offsets[-1]
    number, start = np.empty(total, np.int64), np.empty(total, np.int64)
    end = np.empty(total, np.int64)
    r = 0
    for e in range(len(lo)):
        for i in range(lo[e], hi[e]):
            if i == lo[e] or tile[i] != tile[i - 1]:
                number[r], start[r] = tile[i], i
                r += 1
            end[r - 1] = i + 1
    return offsets, number, start, end


def _keep_newest(plan: ViewPlan, group: Group, tiles: Tiles) -> Tiles:
    """Exact windows: drop tiles behind so many events that every window there is over the cap."""
    if group.hop != EXACT_HOP:
        return tiles
    every = tiles.states[group.accumulators.index(EVERY_EVENT)]
    counts = count_values(every)  # type: ignore[arg-type]
    offsets, keep = _within_cap(tiles.offsets, counts, plan.exact_cap)
    if len(keep) == len(tiles.number):
        return tiles
    return Tiles(offsets, tiles.number[keep], [s.take(keep) for s in tiles.states])


@kernel
def _within_cap(offsets: Index, counts: Index, cap: int) -> tuple[Index, Index]:
    out = np.zeros(len(offsets), np.int64)
    keep = np.empty(offsets[-1], np.int64)
    at = 0
    for e in range(len(offsets) - 1):
        k, seen = offsets[e + 1], np.int64(0)
        while k > offsets[e] and seen <= cap:
            k -= 1
            seen += counts[k]
        for i in range(k, offsets[e + 1]):
            keep[at] = i
            at += 1
        out[e + 1] = at
    return out, keep[:at].copy()


@kernel
def _flatten(lo: Index, hi: Index) -> Index:
    """All positions of the ranges ``lo[i]:hi[i]``, one after the other."""
    out = np.empty((hi - lo).sum(), np.int64)
    at = 0
    for i in range(len(lo)):
        for k in range(lo[i], hi[i]):
            out[at] = k
            at += 1
    return out


def _pending_table(plan: ViewPlan, events: Events, at: Index) -> pa.Table:
    index = pa.array(at)
    clock = {
        EVENT_TIME: events.event_time,
        KNOWN_TIME: events.known_time,
        SEQUENCE: events.sequence,
    }
    columns = {name: pa.array(values[at]) for name, values in clock.items()}
    return pa.table(columns | {c: events.column(c).take(index) for c in plan.columns})


def no_events(plan: ViewPlan, size: int) -> Events:
    """No events of ``size`` entities."""
    none = np.zeros(0, np.int64)
    kinds = {**dict.fromkeys((EVENT_TIME, KNOWN_TIME, SEQUENCE), pa.int64()), **plan.column_kinds}
    table = pa.table({c: pa.array([], kind) for c, kind in kinds.items()})
    return Events(table, pa.table({}), np.zeros(size + 1, np.int64), Clocks(none, none, none))


# ------------------------------------------------------------------------------- merging


def _settle(
    plan: ViewPlan, parts: Sequence[tuple[ViewState, Index]], horizon: Index
) -> list[tuple[ViewState, Index]]:
    """Pending events that the horizon has passed, folded into states of their own."""
    settled = []
    for state, at in parts:
        if len(state.pending):
            events = _pending_events(state)
            times = np.repeat(horizon[at], np.diff(state.pending_offsets))
            settled.append((fold(plan, events.select(events.event_time <= times), horizon[at]), at))
    return settled


def _pending_events(state: ViewState) -> Events:
    clock = [state.pending.column(c).to_numpy() for c in (EVENT_TIME, KNOWN_TIME, SEQUENCE)]
    return Events(state.pending, pa.table({}), state.pending_offsets, Clocks(*clock))


def _merge_newest(parts: Sequence[tuple[Newest, Index]], size: int) -> Newest:
    place = np.concatenate([n.place for n, _ in parts])
    there = np.concatenate([n.there for n, _ in parts])
    at = np.concatenate([a for _, a in parts])
    best = _greatest(place, there, at, size)
    good = best >= 0
    index = pa.array(best, mask=~good)
    columns = {
        c: pa.concat_arrays([n.columns[c] for n, _ in parts]).take(index)
        for c in parts[0][0].columns
    }
    kept = np.zeros((size, 3), np.int64)
    kept[good] = place[best[good]]
    return Newest(good, kept, columns)


@kernel
def _greatest(place: Index, there: NDArray[np.bool_], at: Index, size: int) -> Index:
    best = np.full(size, -1, np.int64)
    for i in range(len(at)):
        if not there[i]:
            continue
        greatest = best[at[i]]
        if greatest < 0 or _after(place, i, greatest):
            best[at[i]] = i
    return best


@kernel
def _after(place: Index, a: int, b: int) -> bool:
    for c in range(3):
        if place[a, c] != place[b, c]:
            return place[a, c] > place[b, c]
    return False


def _merge_tiles(
    plan: ViewPlan, group: Group, parts: Sequence[tuple[Tiles, Index]], size: int, horizon: Index
) -> Tiles:
    entity = np.concatenate([np.repeat(at, np.diff(t.offsets)) for t, at in parts])
    number = np.concatenate([t.number for t, _ in parts])
    order = np.lexsort((number, entity))
    if group.hop:
        first = first_tile(horizon, group.reach, group.hop)
        order = order[number[order] >= first[entity[order]]]
    entity, number = entity[order], number[order]
    starts = np.flatnonzero(
        np.append(True, (entity[1:] != entity[:-1]) | (number[1:] != number[:-1]))[: len(entity)]
    )
    offsets = np.searchsorted(entity[starts], np.arange(size + 1)).astype(np.int64)
    ends = np.append(starts[1:], len(entity)).astype(np.int64)
    states = []
    for i in range(len(group.accumulators)):
        together = type(parts[0][0].states[i]).concat([t.states[i] for t, _ in parts])
        states.append(together.take(order).merge(starts, ends))
    return _keep_newest(plan, group, Tiles(offsets, number[starts], states))


def _merge_pending(
    parts: Sequence[tuple[ViewState, Index]], size: int, horizon: Index
) -> tuple[pa.Table, Index]:
    tables = [s.pending for s, _ in parts]
    entity = np.concatenate([np.repeat(at, np.diff(s.pending_offsets)) for s, at in parts])
    together = pa.concat_tables(tables)
    clock = [together.column(c).to_numpy() for c in (EVENT_TIME, KNOWN_TIME, SEQUENCE)]
    order = np.lexsort((clock[2], clock[1], clock[0], entity))
    order = order[clock[0][order] > horizon[entity[order]]]
    offsets = np.searchsorted(entity[order], np.arange(size + 1)).astype(np.int64)
    return together.take(pa.array(order)), offsets


# ------------------------------------------------------------------------------- asking


def _window_from(tiles: Tiles, window: int | None, hop: int, t: Index) -> Index:
    """For each entity its first tile inside the window."""
    if window is None:
        return tiles.offsets[:-1]
    # The first tile whose number is not before the window: the last smaller one, plus one.
    before = first_tile(t, window, hop) - 1
    return as_of.upper_bounds(tiles.number, tiles.offsets[:-1], tiles.offsets[1:], before)
