"""Events of many entities, sorted once at the edge: what every kernel works on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.kernel import values
from noskew.kernel.jit import kernel
from noskew.kernel.keys import encode_columns, integers
from noskew.kernel.ragged import Ragged

#: System columns of a batch of events.
EVENT_TIME, KNOWN_TIME, SEQUENCE, EVENT_ID = "_event_time", "_known_time", "_sequence", "_event_id"
#: Where an event of a stream stands: the partition of which log, the message, the row in it.
ORIGIN, OFFSET, PLACE = "_origin", "_offset", "_place"
#: Which row of a batch source an event was made of, and which part of it had the row first.
IDENTITY, PART = "_identity", "_part"


class Events:
    """Events sorted by (entity, event time, known time, sequence), with their columns.

    ``order``, if given, says where in ``table`` each event is; columns are then put in order
    when they are asked for, so that those of which few values are wanted never are.

    Attributes
    ----------
    offsets
        int64, shape (entities + 1,): entity e has the events ``offsets[e]:offsets[e + 1]``.
    event_time, known_time, sequence
        int64, shape (n,). Known time and sequence are only there if the table has them.
    keys
        One row an entity, in order: the key columns.
    """

    def __init__(
        self,
        table: pa.Table,
        keys: pa.Table,
        offsets: NDArray[np.int64],
        event_time: NDArray[np.int64],
        known_time: NDArray[np.int64] | None,
        sequence: NDArray[np.int64] | None,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.keys = keys
        self.offsets = offsets
        self.event_time = event_time
        self._given = table
        self._order = order
        self._known_time = known_time
        self._sequence = sequence
        self._columns: dict[str, pa.Array] = {}
        self._codes: dict[str, tuple[NDArray[np.int64], values.Domain]] = {}

    def __len__(self) -> int:
        return len(self.event_time)

    @classmethod
    def from_table(
        cls, table: pa.Table, keys: Sequence[str], *, id_horizon: int | None = None
    ) -> Events:
        """Events of a table in any order, with ``_event_time``, ``_known_time``, ``_sequence``.

        Sorted input (by keys, then time) is recognised and not sorted again.

        With a column ``_event_id`` (int64, nullable) ``id_horizon`` (µs, the source's) must be
        given, and duplicates are left out. The events of one entity with the same id are judged
        by (known time, sequence): the first counts; each that follows is a duplicate if it was
        known at most ``id_horizon`` after the last one that counted, and else counts itself.
        What is judged depends on nothing known later, and what is kept is kept when it is judged
        again. The table must hold all of an entity's events known before the last of them.

        Without ``_sequence`` the table is in order as it is, and has neither ids nor doubts.
        """
        if SEQUENCE not in table.column_names:
            return cls._in_order(table, keys)
        clocks = [_int64(table, c) for c in (EVENT_TIME, KNOWN_TIME, SEQUENCE)]
        columns = [_array(table, k) for k in keys]
        starts = _run_starts(columns)
        order = None
        if not sorted_within(starts, *clocks) or _repeats(columns, starts):
            entity = _entity_codes(columns, starts)
            order = sort_events(entity, *clocks)
        if EVENT_ID in table.column_names:
            assert id_horizon is not None, f"{EVENT_ID} needs the source's event_id_horizon"
            again = _duplicates(table, columns, starts, clocks, id_horizon)
            if again.any():
                order = np.flatnonzero(~again) if order is None else order[~again[order]]
        if order is not None:
            at = pa.array(order)
            clocks = [c[order] for c in clocks]
            columns = [c.take(at) for c in columns]
            starts = _run_starts(columns)
        offsets = np.append(starts, len(columns[0])).astype(np.int64)
        event, known, sequence = clocks
        firsts = _firsts(keys, columns, starts)
        return cls(table, firsts, offsets, event, known, sequence, order)

    @classmethod
    def _in_order(cls, table: pa.Table, keys: Sequence[str]) -> Events:
        columns = [_array(table, k) for k in keys]
        starts = _run_starts(columns)
        event_time = _int64(table, EVENT_TIME)
        known_time = _int64(table, KNOWN_TIME) if KNOWN_TIME in table.column_names else None
        offsets = np.append(starts, len(table)).astype(np.int64)
        return cls(table, _firsts(keys, columns, starts), offsets, event_time, known_time, None)

    @property
    def known_time(self) -> NDArray[np.int64]:
        """When the store learned of each event."""
        assert self._known_time is not None, f"the table was read without {KNOWN_TIME}"
        return self._known_time

    @property
    def sequence(self) -> NDArray[np.int64]:
        """The order of arrival."""
        assert self._sequence is not None, f"the table was read without {SEQUENCE}"
        return self._sequence

    @cached_property
    def table(self) -> pa.Table:
        """All columns, in the order of the events."""
        return self._given if self._order is None else self._given.take(pa.array(self._order))

    def column(self, name: str) -> pa.Array:
        """A column as one contiguous Arrow array."""
        if name not in self._columns:
            column = _array(self._given, name)
            if self._order is not None:
                column = column.take(pa.array(self._order))
            self._columns[name] = column
        return self._columns[name]

    def pick(self, name: str, at: pa.Array) -> pa.Array:
        """The values of a column at some events; null where ``at`` (int64) is null."""
        if self._order is None or name in self._columns:
            return self.column(name).take(at)
        where = pa.array(self._order).take(at)
        return _array(self._given, name).take(where)

    def codes(self, name: str) -> tuple[NDArray[np.int64], values.Domain]:
        """Order-preserving codes of a column and what they mean."""
        if name not in self._codes:
            self._codes[name] = values.encode_values(self.column(name))
        return self._codes[name]

    def mask(self, column: str | None, where: str | None) -> NDArray[np.bool_]:
        """Which events count: the column is not null and the filter is true."""
        mask = np.ones(len(self), bool) if column is None else values.valid_of(self.column(column))
        if where is not None:
            chosen = pc.fill_null(self.column(where), False)
            mask = mask & chosen.to_numpy(zero_copy_only=False)
        return mask

    @cached_property
    def entity(self) -> NDArray[np.int64]:
        """The entity of each event, int64, shape (n,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def encoded_keys(self) -> Ragged:
        """The key bytes of each entity."""
        return encode_columns([_array(self.keys, k) for k in self.keys.column_names])[0]

    def between(self, first: int, last: int) -> Events:
        """The events of the entities ``first:last``, without a copy."""
        start, end = self.offsets[first], self.offsets[last]
        clocks = (c[start:end] for c in (self.event_time, self.known_time, self.sequence))
        return Events(
            self.table.slice(start, end - start),
            self.keys.slice(first, last - first),
            self.offsets[first : last + 1] - start,
            *clocks,
        )

    def of_entities(self, chosen: NDArray[np.bool_]) -> Events:
        """All events of some entities; ``chosen`` is bool, shape (entities,)."""
        sizes = np.diff(self.offsets)
        kept = self.select(np.repeat(chosen, sizes))
        offsets = np.append(0, np.cumsum(sizes[chosen])).astype(np.int64)
        keys = self.keys.filter(pa.array(chosen))
        return Events(
            kept._given,
            keys,
            offsets,
            kept.event_time,
            kept._known_time,
            kept._sequence,
            kept._order,
        )

    def select(self, keep: NDArray[np.bool_]) -> Events:
        """Only some events; entities stay, possibly with none."""
        counts = np.zeros(len(self.offsets), np.int64)
        np.cumsum(
            np.add.reduceat(np.append(keep, False).astype(np.int64), self.offsets[:-1])
            * (np.diff(self.offsets) > 0),
            out=counts[1:],
        )
        known_time = None if self._known_time is None else self._known_time[keep]
        sequence = None if self._sequence is None else self._sequence[keep]
        if self._order is None:
            table, order = self._given.filter(pa.array(keep)), None
        else:
            table, order = self._given, self._order[keep]
        return Events(table, self.keys, counts, self.event_time[keep], known_time, sequence, order)


def _firsts(
    keys: Sequence[str], columns: Sequence[pa.Array], starts: NDArray[np.int64]
) -> pa.Table:
    """The key of each run, once."""
    at = pa.array(starts)
    return pa.table({k: c.take(at) for k, c in zip(keys, columns, strict=True)})


def _array(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _int64(table: pa.Table, name: str) -> NDArray[np.int64]:
    return integers(_array(table, name))


def _run_starts(columns: Sequence[pa.Array]) -> NDArray[np.int64]:
    """Where the key differs from the one before; 0 is the first of them."""
    n = len(columns[0])
    if n == 0:
        return np.zeros(0, np.int64)
    differs = np.zeros(n - 1, bool)
    for column in columns:
        changed = pc.not_equal(column.slice(1), column.slice(0, n - 1))
        differs |= changed.to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(1, np.int64), np.flatnonzero(differs) + 1])


def _segment_keys(columns: Sequence[pa.Array], starts: NDArray[np.int64]) -> pa.Array:
    """A single value for each run's key, comparable for equality."""
    at = pa.array(starts)
    if len(columns) == 1:
        return columns[0].take(at)
    return encode_columns([c.take(at) for c in columns])[0].to_arrow(pa.binary())


def _repeats(columns: Sequence[pa.Array], starts: NDArray[np.int64]) -> bool:
    """Whether some entity's events stand in more than one run."""
    keys = _segment_keys(columns, starts)
    return int(pc.count_distinct(keys).as_py()) != len(keys)


def _entity_codes(columns: Sequence[pa.Array], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    encoded = _segment_keys(columns, starts).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    lengths = np.diff(np.append(starts, len(columns[0])))
    return np.repeat(codes, lengths)


def _duplicates(
    table: pa.Table,
    columns: Sequence[pa.Array],
    starts: NDArray[np.int64],
    clocks: Sequence[NDArray[np.int64]],
    horizon: int,
) -> NDArray[np.bool_]:
    """Which events of the table repeat one that counts, within the horizon."""
    ids = _array(table, EVENT_ID)
    again = np.zeros(len(ids), bool)
    if ids.null_count == len(ids):
        return again
    at = np.flatnonzero(values.valid_of(ids))
    entity, codes = _entity_codes(columns, starts)[at], integers(ids)[at]
    known, sequence = clocks[1][at], clocks[2][at]
    order = sort_events(entity, codes, known, sequence)
    # No two times are further apart: a horizon of more, which may not fit 64 bits, is the same.
    longest = min(horizon, MAX_TIME - MIN_TIME)
    again[at[order]] = repeats_within(entity[order], codes[order], known[order], longest)
    return again


@kernel
def repeats_within(
    entity: NDArray[np.int64], ids: NDArray[np.int64], known_time: NDArray[np.int64], horizon: int
) -> NDArray[np.bool_]:
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
def sorted_within(
    starts: NDArray[np.int64],
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> bool:
    """Whether every run is in (event time, known time, sequence) order."""
    n = len(event_time)
    for r in range(len(starts)):
        end = starts[r + 1] if r + 1 < len(starts) else n
        for i in range(starts[r] + 1, end):
            if _before(i, i - 1, event_time, known_time, sequence):
                return False
    return True


@kernel
def _before(
    a: int,
    b: int,
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> bool:
    if event_time[a] != event_time[b]:
        return event_time[a] < event_time[b]
    if known_time[a] != known_time[b]:
        return known_time[a] < known_time[b]
    return sequence[a] < sequence[b]


@kernel
def sort_events(
    entity: NDArray[np.int64],
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The order by (entity, event time, known time, sequence): int64, shape (n,).

    Any int64 may stand for an event time, such as an id; ``entity`` counts from 0.

    A counting sort by entity, which keeps runs together, then a merge sort of each entity's
    events that is linear where they are sorted already.
    """
    n = len(entity)
    entities = 0
    for i in range(n):
        entities = max(entities, entity[i] + 1)
    ends = np.zeros(entities + 1, np.int64)
    for i in range(n):
        ends[entity[i] + 1] += 1
    for e in range(entities):
        ends[e + 1] += ends[e]
    at = ends[:-1].copy()
    order = np.empty(n, np.int64)
    for i in range(n):
        order[at[entity[i]]] = i
        at[entity[i]] += 1
    spare = np.empty(n, np.int64)
    for e in range(entities):
        _merge_sort(order, spare, ends[e], ends[e + 1], event_time, known_time, sequence)
    return order


@kernel
def _merge_sort(
    order: NDArray[np.int64],
    spare: NDArray[np.int64],
    start: int,
    end: int,
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> None:
    width = 1
    while width < end - start:
        for low in range(start, end, 2 * width):
            middle, high = min(low + width, end), min(low + 2 * width, end)
            if middle >= high or not _before(
                order[middle], order[middle - 1], event_time, known_time, sequence
            ):
                continue
            a, b = low, middle
            for k in range(low, high):
                if b >= high or (
                    a < middle and not _before(order[b], order[a], event_time, known_time, sequence)
                ):
                    spare[k] = order[a]
                    a += 1
                else:
                    spare[k] = order[b]
                    b += 1
            for k in range(low, high):
                order[k] = spare[k]
        width *= 2
