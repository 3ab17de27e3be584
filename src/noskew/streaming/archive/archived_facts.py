"""Facts: the archived events of a view as its rows count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.addresses import part_suffix
from noskew.definitions.view import FeatureView
from noskew.intake.retracted import retraction_columns
from noskew.kernel.bulk import bulk_rows
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
from noskew.kernel.keys import integers
from noskew.kernel.log_facts import LogFacts, offset_in_log
from noskew.kernel.ragged import Ragged, concat, repeat
from noskew.kernel.rows.codec import version_array
from noskew.kernel.visible import taken_back
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.offline.base import OfflineStore, RowProgress, TableInfo
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold

#: Of a row that is one of several of its entity: which, as :func:`part_of` numbers them.
_ROW_PART = "_row_part"


@dataclass(frozen=True)
class ArchivedFacts:
    """Those of one snapshot of a view's table that its rows are folded from.

    ``bounds``: of the log's events, those count that were read by this progress of their partition;
    of partitions that are not there, none do. ``progress`` is
    told of the events that were looked at, each time rows of theirs were taken.
    """

    view: FeatureView
    offline: OfflineStore
    info: TableInfo
    generation: StreamGeneration
    bounds: Mapping[int, PartitionProgress]
    progress: RowProgress | None = None

    def rows(self, fold: ViewFold) -> Iterator[tuple[Ragged, Ragged]]:
        """Keys and rows of every entity, some at a time, as the stream makes them.

        A row is at the known time of its entity's last fact, and its number follows the offset
        of the entity's last event in the log (0: it has none).
        """
        yield from self._rows(fold, lambda events: events)

    def rows_of_log(self, fold: ViewFold) -> Iterator[tuple[Ragged, Ragged]]:
        """As :meth:`rows`, of the entities that have events in the log within the bounds."""
        yield from self._rows(fold, _with_log)

    def _rows(
        self, fold: ViewFold, choose: Callable[[Events], Events]
    ) -> Iterator[tuple[Ragged, Ragged]]:
        keys = list(self.view.entity.keys)
        layout = fold.layout

        def stamp(events: Events) -> tuple[NDArray[np.int64], NDArray[np.void]]:
            starts = events.offsets[:-1]
            known = np.maximum.reduceat(events.known_time, starts)
            last = np.maximum.reduceat(events.sequence, starts)
            number = np.where(last < 0, 0, offset_in_log(last) + 1)
            return known, version_array(known, fold.numbered(number))

        horizon = self.view.source.event_id_horizon
        for table in self._tables([c for c in layout.plan.columns if c not in keys]):
            events = Events.from_table(table, keys, id_horizon=horizon)
            for mine, suffix in self._parts(events):
                for start, rows in bulk_rows(layout, choose(mine), fold.prefix, stamp):
                    yield concat([start, repeat(suffix, len(start))]) if suffix else start, rows

    def _parts(self, events: Events) -> Iterator[tuple[Events, bytes]]:
        """The events of each row, and what its key ends with."""
        if not self.view.has_partial_rows:
            yield events, b""
            return
        part = integers(events.column(_ROW_PART))
        for number in np.unique(part).tolist():
            mine = events.select(part == number)
            yield mine.of_entities(np.diff(mine.offsets) > 0), part_suffix(number)

    def identified(self, known_from: int) -> Iterator[pa.Table]:
        """Keys, ids and known times of the facts that no other one of their id makes void.

        Those that were known from a time on; whether they count depends on earlier ones, too.
        """
        keys, horizon = list(self.view.entity.keys), self.view.source.event_id_horizon
        for table in self._tables([]):
            events = Events.from_table(table, keys, id_horizon=horizon)
            late = pa.array(events.known_time >= known_from)
            yield events.table.select([*keys, EVENT_ID, KNOWN_TIME]).filter(late)

    def _tables(self, values: Sequence[str]) -> Iterator[pa.Table]:
        """All facts that count, some entities at a time, numbered as the log does."""
        keys = list(self.view.entity.keys)
        ids = [EVENT_ID] if self.view.source.event_id else []
        clocks = [EVENT_TIME, KNOWN_TIME, SEQUENCE]
        columns = [*keys, *clocks, *values, *ids, ORIGIN, OFFSET, PLACE]
        columns = list(dict.fromkeys([*columns, *retraction_columns(self.info)]))
        for bucket in range(self.info.spec.buckets):
            for table in self.offline.scan(
                self.info.spec.name, columns, bucket=bucket, snapshot=self.info.snapshot
            ):
                chosen = self._chosen(table)
                if len(chosen):
                    yield chosen
                if self.progress is not None:
                    self.progress(len(table))

    def _chosen(self, table: pa.Table) -> pa.Table:
        table, back = taken_back(table, sequence=SEQUENCE, known_time=KNOWN_TIME, retracts=RETRACTS)
        facts = LogFacts.of(table, self.generation.log)
        offsets = np.zeros(max(self.bounds, default=0) + 1, np.int64)
        for number, bound in self.bounds.items():
            offsets[number] = bound.next_offset
        counts = facts.counts(self.generation.history, offsets)
        if back is not None:  # rows of a stream know what was there before it, and no later
            counts &= back.sequence > self.generation.history
        at = table.column_names.index(SEQUENCE)
        numbered = table.set_column(at, SEQUENCE, pa.array(facts.sequence()))
        numbered = numbered.drop_columns([ORIGIN, OFFSET, PLACE])
        if self.view.has_partial_rows:
            numbered = numbered.append_column(_ROW_PART, pa.array(facts.partition + 1))
        return numbered if counts.all() else numbered.filter(pa.array(counts))


def _with_log(events: Events) -> Events:
    """All events of the entities that have some of the log."""
    of_log = np.maximum.reduceat(events.sequence, events.offsets[:-1]) >= 0
    return events.of_entities(of_log)
