"""Facts: those of a view for some rows, and the values that a part of them gives.

What a row of the online store had folded is a set of facts of its own, so each row that is asked
for gets copies of the facts that count for it, and is then an entity by itself. That is slow, and
plain: it is only asked of rows whose values are not what all facts known by then say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.intake.retracted import retraction_columns
from noskew.intake.tables import has_table, table_name
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.events import (
    EVENT_ID,
    EVENT_TIME,
    KNOWN_TIME,
    OFFSET,
    ORIGIN,
    PLACE,
    RETRACTS,
    SEQUENCE,
    Events,
)
from noskew.kernel.history import historical
from noskew.kernel.keys import integers
from noskew.kernel.log_facts import LogFacts
from noskew.kernel.plan import ViewPlan, compile_view
from noskew.kernel.state import no_events
from noskew.kernel.values import whole
from noskew.kernel.visible import NEVER, taken_back
from noskew.stores.offline.base import Filter, OfflineStore
from noskew.training.answer_columns import AnswerColumns
from noskew.training.row_lookup import RowBuckets, RowLookup

#: Copies of facts that are made at a time.
_COPIES = 1_000_000
#: The ids of events while facts are not judged by them yet; and the rows that copies are for.
_KEPT_ID, _ROW = "_kept_id", "_row"
#: When facts were taken back, and by which row.
_UNTIL, _RETRACTION = "_until", "_retraction"


class EntityFacts:
    """Facts of some entities, as the offline table has them, in the order of entity and time.

    Attributes
    ----------
    events
        All of them, repetitions included.
    known, sequence
        int64, shape (n,): the known time of each, and its sequence in the table.
    until, retraction
        int64, shape (n,): the known time and the sequence of what took each back, NEVER if nothing
        did.
    """

    def __init__(self, table: pa.Table, keys: Sequence[str]) -> None:
        if EVENT_ID in table.column_names:
            names = [_KEPT_ID if n == EVENT_ID else n for n in table.column_names]
            table = table.rename_columns(names)
        table, back = taken_back(table, sequence=SEQUENCE, known_time=KNOWN_TIME, retracts=RETRACTS)
        none = np.full(len(table), NEVER)
        times = (none, none) if back is None else (back.until, back.sequence)
        for name, column in zip((_UNTIL, _RETRACTION), times, strict=True):
            table = table.append_column(name, pa.array(column))
        self.events = Events.from_table(table, keys)
        self.known, self.sequence = self.events.known_time, self.events.sequence
        self.until, self.retraction = (
            integers(self.events.column(name)) for name in (_UNTIL, _RETRACTION)
        )
        self._beside_log: dict[str, LogFacts] = {}

    def beside_log(self, log: str) -> LogFacts:
        """Where they stand beside the log of an identity."""
        if log not in self._beside_log:
            self._beside_log[log] = LogFacts.of(self.events.table, log)
        return self._beside_log[log]

    @property
    def keys(self) -> pa.Table:
        """The entities' keys, one row each."""
        return self.events.keys


class Folded(Protocol):
    """Which facts rows of the online store had folded."""

    def admits(self, facts: EntityFacts, at: Index, row: Index) -> Mask:
        """Whether fact ``at[i]`` was folded in row ``row[i]``; shape (i,)."""

    def order(self, facts: EntityFacts, at: Index) -> Index:
        """Numbers that say which of facts known at one time is the later; shape of ``at``."""


@dataclass(frozen=True)
class FoldedValues:
    """Values by feature, and rows of which it is not clear what they had folded."""

    values: dict[str, pa.Array]
    unclear: Mask


@dataclass(frozen=True)
class FactsOfView:
    """Answers from parts of a view's facts, for rows of some features."""

    view: FeatureView
    features: frozenset[str]
    offline: OfflineStore

    def values(
        self, keys: pa.Table, t: Index, folded: Folded, most: Folded | None = None
    ) -> FoldedValues:
        """The value of each feature at ``t`` from the facts that ``folded`` admits for each row.

        ``keys``: the join keys; a row with a null among them has nulls. ``most``: a row is not
        clear if this one admits more facts of it. Both know the rows by their place in ``keys``.
        """
        plan = compile_view(self.view).restrict(set(self.features))
        columns = [whole(keys.column(k)) for k in self.view.entity.keys]
        return _Work(self, plan, columns, t, folded=folded, most=most).run()


class _Work:
    def __init__(
        self,
        of: FactsOfView,
        plan: ViewPlan,
        columns: Sequence[pa.Array],
        t: Index,
        *,
        folded: Folded,
        most: Folded | None,
    ) -> None:
        self._view, self._offline, self._plan, self._columns = of.view, of.offline, plan, columns
        self._t, self._folded, self._most = t, folded, most
        self._names = list(of.view.entity.keys)
        self._unclear = np.zeros(len(t), bool)

    def run(self) -> FoldedValues:
        there = has_table(self._offline, self._view)
        info = self._offline.info(table_name(self._view)) if there else None
        buckets = RowBuckets(self._columns, info.spec.buckets if info else 1)
        self._retractions = retraction_columns(info) if info else []
        plan = self._plan
        kinds = {f.name: f.kind for f in plan.latest} | {f.name: f.kind for f in plan.windows}
        self._answer = AnswerColumns(kinds, buckets.order)
        for bucket, first, rows in buckets:
            lookup = RowLookup(self._columns, self._names, rows)
            tables = self._tables(bucket, lookup.keys, info.snapshot) if info else ()
            for facts, matches in lookup.sweep(tables, self._facts):
                for part in _portions(facts.events.offsets, matches.entity):
                    at = rows[matches.rows[part]]
                    self._put(facts, first + matches.rows[part], at, matches.entity[part])
                del facts
            rest = lookup.rest()
            nothing, none = no_events(plan, 0), np.full(len(rest), -1)
            self._answer.put(first + rest, historical(plan, nothing, none, self._t[rows[rest]]))
        return FoldedValues(self._answer.finish(), self._unclear)

    def _facts(self, table: pa.Table) -> EntityFacts:
        return EntityFacts(table, self._names)

    def _tables(self, bucket: int, keys: pa.Table, snapshot: int | None) -> Iterator[pa.Table]:
        values = [c for c in self._plan.columns if c not in self._names]
        columns = [*self._names, EVENT_TIME, KNOWN_TIME, SEQUENCE, *values]
        columns += [EVENT_ID] if self._view.source.event_id else []
        columns += [ORIGIN, OFFSET, PLACE] if self._view.source.stream else []
        columns = list(dict.fromkeys([*columns, *self._retractions]))
        return self._offline.scan(
            table_name(self._view),
            columns,
            bucket=bucket,
            where=Filter(keys=keys),
            snapshot=snapshot,
        )

    def _put(self, facts: EntityFacts, places: Index, rows: Index, entity: Index) -> None:
        """Answer some rows, each from copies of the facts of its entity that count for it."""
        starts, ends = facts.events.offsets[entity], facts.events.offsets[entity + 1]
        sizes = ends - starts
        owner = np.repeat(np.arange(len(rows)), sizes)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + starts[owner]
        counts = self._folded.admits(facts, at, rows[owner])
        if self._most is not None:
            more = self._most.admits(facts, at, rows[owner]) & ~counts
            self._unclear[rows[owner[more]]] = True
        owner, at = owner[counts], at[counts]
        events = self._copies(facts, at, owner)
        entity_of = np.full(len(rows), -1, np.int64)
        entity_of[integers(whole(events.keys.column(_ROW)))] = np.arange(len(events.keys))
        self._answer.put(places, historical(self._plan, events, entity_of, self._t[rows]))

    def _copies(self, facts: EntityFacts, at: Index, owner: Index) -> Events:
        table = facts.events.table.take(pa.array(at))
        copies = table.append_column(_ROW, pa.array(owner.astype(np.int64)))
        sequence = pa.array(self._folded.order(facts, at))
        copies = copies.set_column(copies.column_names.index(SEQUENCE), SEQUENCE, sequence)
        if _KEPT_ID in copies.column_names:
            names = [EVENT_ID if n == _KEPT_ID else n for n in copies.column_names]
            copies = copies.rename_columns(names)
        return Events.from_table(copies, [_ROW], id_horizon=self._view.source.event_id_horizon)


def _portions(offsets: Index, entity: Index) -> Iterator[slice]:
    """Rows whose entities together have about so many facts as are copied at a time."""
    ends = np.cumsum(offsets[entity + 1] - offsets[entity])
    start = 0
    while start < len(entity):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _COPIES, "right")))
        yield slice(start, end)
        start = end
