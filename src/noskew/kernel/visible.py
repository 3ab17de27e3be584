"""Visible: from when until when facts count, by what was known (SPEC §5).

A fact counts from its known time on until it is taken back, and of facts with one id those count
that no other one which counts then makes void. Where one of these was taken back, a repetition of
it may count from then on: a fact can count for several whiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.event_order import sort_events
from noskew.kernel.jit import inline, kernel
from noskew.kernel.keys import integers
from noskew.kernel.values import valid_of, whole

#: The end of a while that has none.
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Visible:
    """Whiles: fact ``at[i]`` counts from ``since[i]`` until before ``until[i]``; int64, (n,)."""

    at: Index
    since: Index
    until: Index

    def __getitem__(self, chosen: Mask | Index | slice) -> Visible:
        return Visible(self.at[chosen], self.since[chosen], self.until[chosen])


@dataclass(frozen=True)
class Retractions:
    """When each fact was taken back first, and by which row.

    ``until``: the known time of that row; ``sequence``: its sequence. int64, shape (n,), NEVER for
    a fact that was not.
    """

    until: Index
    sequence: Index


def taken_back(
    table: pa.Table, *, sequence: str, known_time: str, retracts: str
) -> tuple[pa.Table, Retractions | None]:
    """The facts of a table, and its retractions; None if there are none.

    A retraction is a row that has the sequence of a fact in the column ``retracts``; one whose fact
    is not in the table has no effect.
    """
    if retracts not in table.column_names:
        return table, None
    targets = whole(table.column(retracts))
    facts = table.drop_columns([retracts])
    if targets.null_count == len(targets):
        return facts, None
    is_fact = pc.is_null(targets)
    rows = table.filter(pc.invert(is_fact))
    target, when, number = (
        integers(whole(rows.column(name))) for name in (retracts, known_time, sequence)
    )
    order = np.lexsort((number, when, target))
    target, when, number = target[order], when[order], number[order]
    facts = facts.filter(is_fact)
    numbers = integers(whole(facts.column(sequence)))
    place = np.searchsorted(target, numbers)
    there = np.flatnonzero(place < len(target))
    there = there[target[place[there]] == numbers[there]]
    until, by = np.full(len(facts), NEVER), np.full(len(facts), NEVER)
    until[there], by[there] = when[place[there]], number[place[there]]
    return facts, Retractions(until, by)


def lasting(table: pa.Table, *, sequence: str, retracts: str) -> pa.Table:
    """The facts of a table that were not taken back, in their order.

    All that is known counts for it, so that no known time is looked at.
    """
    if retracts not in table.column_names:
        return table
    targets = table.column(retracts)
    facts = table.drop_columns([retracts])
    if targets.null_count < len(targets):
        gone = pc.is_in(facts.column(sequence), value_set=targets.drop_null())
        facts = facts.filter(pc.and_(pc.is_null(targets), pc.invert(gone)))
    return facts


def visible(known_time: Index, until: Index, ids: EventIds | None) -> Visible:
    """The whiles of all facts, in any order; ``ids`` of those that have one."""
    at = np.flatnonzero(known_time < until)
    if ids is None:
        return Visible(at, known_time[at], until[at])
    has_id = np.zeros(len(known_time), bool)
    has_id[ids.at] = True
    at = at[~has_id[at]]
    judged = ids.visible(until)
    return Visible(
        np.concatenate([at, judged.at]),
        np.concatenate([known_time[at], judged.since]),
        np.concatenate([until[at], judged.until]),
    )


@dataclass(frozen=True)
class EventIds:
    """The facts that have an id, sorted by (entity, id, known time, sequence).

    ``at``: where each is in the table; ``entity`` and ``code`` tell entities and ids apart. All
    int64, shape (n,).
    """

    at: Index
    entity: Index
    code: Index
    known_time: Index
    horizon: int

    @classmethod
    def of(
        cls, ids: pa.Array, entity: Index, known_time: Index, sequence: Index, horizon: int
    ) -> EventIds:
        """Of columns of all facts."""
        at = np.flatnonzero(valid_of(ids))
        code, known = integers(ids)[at], known_time[at]
        at = at[sort_events(entity[at], code, known, sequence[at])]
        # No two times are further apart: a horizon of more, which may not fit 64 bits, is the same.
        longest = min(horizon, MAX_TIME - MIN_TIME)
        code = integers(ids)[at]
        return cls(at, entity[at], code, known_time[at], longest)

    def duplicates(self) -> Index:
        """The places of the facts that repeat one that counts."""
        again = repeats_within(self.entity, self.code, self.known_time, self.horizon)
        return self.at[again]

    def visible(self, until: Index) -> Visible:
        """The whiles in which they count; ``until``: when each of all facts was taken back."""
        ends = until[self.at]
        at, since, last = whiles(self.entity, self.code, self.known_time, ends, self.horizon)
        return Visible(self.at[at], since, last)


@kernel
def repeats_within(entity: Index, ids: Index, known_time: Index, horizon: int) -> Mask:
    """Which events are duplicates; they are sorted by (entity, id, known time, sequence).

    Each is compared with the last one of its entity and id that counts, not with the one
    before it: otherwise an id that comes often enough would never count again.
    """
    again = np.zeros(len(ids), np.bool_)
    counts = 0
    for i in range(1, len(ids)):
        same = entity[i] == entity[counts] and ids[i] == ids[counts]
        if same and known_time[i] - known_time[counts] <= horizon:
            again[i] = True
        else:
            counts = i
    return again


@kernel
def whiles(
    entity: Index, ids: Index, known_time: Index, until: Index, horizon: int
) -> tuple[Index, Index, Index]:
    """The whiles of facts that are sorted by (entity, id, known time, sequence), as three arrays.

    Those of an id are judged anew at each time at which one of them becomes known or is taken
    back, which takes the square of how many there are, but only where one is taken back.
    """
    out, size = np.empty((len(ids) + 1, 3), np.int64), 0
    start = 0
    while start < len(ids):
        end, lasts = start, True
        while end < len(ids) and entity[end] == entity[start] and ids[end] == ids[start]:
            lasts = lasts and until[end] == NEVER
            end += 1
        known, ends = known_time[start:end], until[start:end]
        times = known if lasts else np.sort(np.concatenate((known, ends)))
        since = np.full(end - start, NEVER)
        for b in range(len(times)):
            if times[b] == NEVER or (b + 1 < len(times) and times[b + 1] == times[b]):
                continue
            if lasts and b + 1 < len(times):
                continue  # who counts at the end has counted since it was known
            counts = _counting(known, ends, times[b], horizon)
            for i in range(end - start):
                if counts[i] and since[i] == NEVER:
                    since[i] = known[i] if lasts else times[b]
                elif since[i] != NEVER and not counts[i]:
                    out, size = _put(out, size, start + i, since[i], times[b])
                    since[i] = NEVER
        for i in range(end - start):
            if since[i] != NEVER:
                out, size = _put(out, size, start + i, since[i], NEVER)
        start = end
    return out[:size, 0].copy(), out[:size, 1].copy(), out[:size, 2].copy()


@kernel
def _counting(known_time: Index, until: Index, t: int, horizon: int) -> Mask:
    """Which of the facts of one id count at a time; see :func:`repeats_within`."""
    counts = np.zeros(len(known_time), np.bool_)
    last = -1
    for i in range(len(known_time)):
        if known_time[i] <= t < until[i]:
            counts[i] = last < 0 or known_time[i] - known_time[last] > horizon
            last = i if counts[i] else last
    return counts


@inline
def _put(out: Index, size: int, at: int, since: int, until: int) -> tuple[Index, int]:
    """Write one more row, into twice as many if they are full."""
    if size == len(out):
        more = np.empty((2 * size, 3), np.int64)
        more[:size] = out
        out = more
    out[size, 0], out[size, 1], out[size, 2] = at, since, until
    return out, size + 1
