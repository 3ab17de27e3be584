"""Events of many entities, sorted once at the edge: what every kernel works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.kernel import values
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.event_order import sort_events, sorted_within
from noskew.kernel.key_runs import entity_codes, repeats, run_starts
from noskew.kernel.keys import encode_columns, integers
from noskew.kernel.ragged import Ragged
from noskew.kernel.visible import NEVER, EventIds, Visible, lasting, taken_back, visible

#: System columns of a batch of events.
EVENT_TIME, KNOWN_TIME, SEQUENCE, EVENT_ID = "_event_time", "_known_time", "_sequence", "_event_id"
#: Where an event of a stream stands: the partition of which log, the message, the row in it.
ORIGIN, OFFSET, PLACE = "_origin", "_offset", "_place"
#: Which row of a batch source an event was made of, and which part of it had the row first.
IDENTITY, PART = "_identity", "_part"
#: The run of ingest that a row came by.
INGEST = "_ingest"
#: The value of its source's cursor in the row that an event was made of.
CURSOR = "_cursor"
#: The sequence of the fact that a row takes back; null in events.
RETRACTS = "_retracts"


@dataclass(frozen=True)
class Clocks:
    """The times of events, int64, shape (n,); those that were not read are None.

    ``since`` and ``until`` are there if some fact was taken back: each event counts from ``since``
    until before ``until``, by what was known.
    """

    event_time: Index
    known_time: Index | None = None
    sequence: Index | None = None
    since: Index | None = None
    until: Index | None = None

    def __getitem__(self, chosen: Index | Mask | slice) -> Clocks:
        rest = (self.known_time, self.sequence, self.since, self.until)
        there = (None if clock is None else clock[chosen] for clock in rest)
        return Clocks(self.event_time[chosen], *there)


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
        offsets: Index,
        clocks: Clocks,
        order: Index | None = None,
    ) -> None:
        self.keys = keys
        self.offsets = offsets
        self._clocks = clocks
        self._given = table
        self._order = order
        self._columns: dict[str, pa.Array] = {}
        self._codes: dict[str, tuple[Index, values.Domain]] = {}

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

        With a column ``_retracts`` (int64, nullable) rows that have it are no events: each takes
        back the fact of that sequence. Which events count depends then on what is known, so one
        must choose by :meth:`known_at` before they are folded. An entity stays when all of its
        events were taken back.

        Without ``_sequence`` the table is in order as it is, and has neither ids nor doubts.
        """
        if SEQUENCE not in table.column_names:
            return cls._in_order(table, keys)
        table, back = taken_back(table, sequence=SEQUENCE, known_time=KNOWN_TIME, retracts=RETRACTS)
        columns = [_array(table, k) for k in keys]
        starts = run_starts(columns)
        event, known, sequence = (_int64(table, c) for c in (EVENT_TIME, KNOWN_TIME, SEQUENCE))
        clocks, order, ids = Clocks(event, known, sequence), None, None
        if not sorted_within(starts, event, known, sequence) or repeats(columns, starts):
            order = sort_events(entity_codes(columns, starts), event, known, sequence)
        if EVENT_ID in table.column_names:
            assert id_horizon is not None, f"{EVENT_ID} needs the source's event_id_horizon"
            given = _array(table, EVENT_ID)
            if given.null_count < len(given):
                entity = entity_codes(columns, starts)
                ids = EventIds.of(given, entity, known, sequence, id_horizon)
        if back is not None:
            order, clocks = _whiles(clocks, order, visible(known, back.until, ids))
        elif ids is not None:
            order = _without(order, ids.duplicates(), len(table))
        if order is not None:
            columns = [c.take(pa.array(order)) for c in columns]
            starts = run_starts(columns)
            clocks = clocks[order] if back is None else clocks
        offsets = np.append(starts, len(columns[0])).astype(np.int64)
        return cls(table, _firsts(keys, columns, starts), offsets, clocks, order)

    @classmethod
    def lasting(
        cls, table: pa.Table, keys: Sequence[str], *, id_horizon: int | None = None
    ) -> Events:
        """As :meth:`from_table`, of the events that were not taken back.

        Entities that have none are left out. ``_known_time`` need not be there for a table that is
        in order.
        """
        kept = lasting(table, sequence=SEQUENCE, retracts=RETRACTS)
        if SEQUENCE in kept.column_names and KNOWN_TIME not in kept.column_names:
            kept = kept.drop_columns([SEQUENCE])
        return cls.from_table(kept, keys, id_horizon=id_horizon)

    @classmethod
    def _in_order(cls, table: pa.Table, keys: Sequence[str]) -> Events:
        columns = [_array(table, k) for k in keys]
        starts = run_starts(columns)
        known_time = _int64(table, KNOWN_TIME) if KNOWN_TIME in table.column_names else None
        offsets = np.append(starts, len(table)).astype(np.int64)
        clocks = Clocks(_int64(table, EVENT_TIME), known_time)
        return cls(table, _firsts(keys, columns, starts), offsets, clocks)

    @property
    def event_time(self) -> Index:
        """When each event happened."""
        return self._clocks.event_time

    @property
    def known_time(self) -> Index:
        """When the store learned of each event."""
        assert self._clocks.known_time is not None, f"the table was read without {KNOWN_TIME}"
        return self._clocks.known_time

    @property
    def sequence(self) -> Index:
        """The order of arrival."""
        assert self._clocks.sequence is not None, f"the table was read without {SEQUENCE}"
        return self._clocks.sequence

    @property
    def since(self) -> Index:
        """The known time from which on each event counts."""
        return self.known_time if self._clocks.since is None else self._clocks.since

    @property
    def until(self) -> Index | None:
        """The known time from which on each event does not count any more, NEVER if it always does.

        None: no event was taken back.
        """
        return self._clocks.until

    def known_at(self, t: int | None) -> Events:
        """The events that count by what is known at a time; None: by all that is known.

        Entities stay, possibly with none.
        """
        until = self._clocks.until
        if t is None:
            return self if until is None else self.select(until == NEVER).decided()
        counts = self.since <= t
        if until is not None:
            counts &= t < until
        return self.select(counts).decided()

    def decided(self) -> Events:
        """The same; which of them count does not depend on anything any more."""
        clocks = replace(self._clocks, since=None, until=None)
        return Events(self._given, self.keys, self.offsets, clocks, self._order)

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

    def codes(self, name: str) -> tuple[Index, values.Domain]:
        """Order-preserving codes of a column and what they mean."""
        if name not in self._codes:
            self._codes[name] = values.encode_values(self.column(name))
        return self._codes[name]

    def mask(self, column: str | None, where: str | None) -> Mask:
        """Which events count: the column is not null and the filter is true."""
        mask = np.ones(len(self), bool) if column is None else values.valid_of(self.column(column))
        if where is not None:
            chosen = pc.fill_null(self.column(where), False)
            mask = mask & chosen.to_numpy(zero_copy_only=False)
        return mask

    @cached_property
    def entity(self) -> Index:
        """The entity of each event, int64, shape (n,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def encoded_keys(self) -> Ragged:
        """The key bytes of each entity."""
        return encode_columns([_array(self.keys, k) for k in self.keys.column_names])[0]

    def between(self, first: int, last: int) -> Events:
        """The events of the entities ``first:last``, without a copy."""
        start, end = self.offsets[first], self.offsets[last]
        return Events(
            self.table.slice(start, end - start),
            self.keys.slice(first, last - first),
            self.offsets[first : last + 1] - start,
            self._clocks[start:end],
        )

    def of_entities(self, chosen: Mask) -> Events:
        """All events of some entities; ``chosen`` is bool, shape (entities,)."""
        sizes = np.diff(self.offsets)
        kept = self.select(np.repeat(chosen, sizes))
        offsets = np.append(0, np.cumsum(sizes[chosen])).astype(np.int64)
        keys = self.keys.filter(pa.array(chosen))
        return Events(kept._given, keys, offsets, kept._clocks, kept._order)

    def select(self, keep: Mask) -> Events:
        """Only some events; entities stay, possibly with none."""
        counts = np.zeros(len(self.offsets), np.int64)
        np.cumsum(
            np.add.reduceat(np.append(keep, False).astype(np.int64), self.offsets[:-1])
            * (np.diff(self.offsets) > 0),
            out=counts[1:],
        )
        clocks = self._clocks[keep]
        if self._order is None:
            return Events(self._given.filter(pa.array(keep)), self.keys, counts, clocks)
        return Events(self._given, self.keys, counts, clocks, self._order[keep])


def _firsts(keys: Sequence[str], columns: Sequence[pa.Array], starts: Index) -> pa.Table:
    """The key of each run, once."""
    at = pa.array(starts)
    return pa.table({k: c.take(at) for k, c in zip(keys, columns, strict=True)})


def _array(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _int64(table: pa.Table, name: str) -> Index:
    return integers(_array(table, name))


def _without(order: Index | None, places: Index, size: int) -> Index | None:
    """The order without some places of ``size``; None: all in order."""
    if not len(places):
        return order
    keep = np.ones(size, bool)
    keep[places] = False
    return np.flatnonzero(keep) if order is None else order[keep[order]]


def _whiles(clocks: Clocks, order: Index | None, visible: Visible) -> tuple[Index, Clocks]:
    """An event for each while of a fact, in the order of the facts, and their clocks."""
    size = len(clocks.event_time)
    rank = np.arange(size)
    if order is not None:
        rank[order] = np.arange(size)
    by = np.argsort(rank[visible.at], kind="stable")
    clocks = clocks[visible.at[by]]
    return visible.at[by], replace(clocks, since=visible.since[by], until=visible.until[by])
