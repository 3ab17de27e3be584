"""Undo: what a run of ingest added is taken back, and what it took back counts again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.definitions.view import FeatureView
from noskew.errors import NoteMismatchError
from noskew.intake.retracted import NOTE, retractions
from noskew.intake.tables import table_name
from noskew.kernel.arrays import Mask
from noskew.kernel.events import (
    EVENT_TIME,
    IDENTITY,
    INGEST,
    KNOWN_TIME,
    RETRACTS,
    SEQUENCE,
)
from noskew.kernel.keys import integers
from noskew.kernel.row_hashes import RowIdentities
from noskew.kernel.row_pool import RowPool
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.kernel.values import valid_of, whole
from noskew.kernel.visible import NEVER, taken_back
from noskew.stores.offline.base import OfflineStore, TableInfo
from noskew.training.relation.runs import new_run, run_id
from noskew.training.relation.state import HEAD, IngestState

_TRIES = 5


@dataclass(frozen=True)
class Undone:
    """What undoing did for one view: events taken back, and events that count again."""

    view: str
    retracted: int
    restored: int


def undo(view: FeatureView, offline: OfflineStore, run: int, now: int) -> Undone:
    """Undo what a run did for the table of a view, in one commit, known at ``now`` (µs).

    Does nothing where it did nothing, or was undone before. The next ingest of the source compares
    all that its data holds with what is there.
    """
    table = table_name(view)
    if not offline.has(table):
        return Undone(view.name, 0, 0)
    for last in (*[False] * (_TRIES - 1), True):
        work = _Undo(view, offline, offline.info(table), run, now)
        tables = work.rows()
        first = next(tables, None)
        if first is None:
            return work.done
        try:
            offline.append(
                table,
                (batch for rows in chain([first], tables) for batch in rows.to_batches()),
                token=f"undo:{run_id(run)}",
                notes={**work.state.with_undone().to_notes(), NOTE: ""},
                expected={HEAD: work.state.text},
            )
        except NoteMismatchError:  # somebody else has ingested meanwhile: look again
            if last:
                raise
        else:
            return work.done
    raise AssertionError("unreachable: the last try returns or raises")


class _Undo:
    """A run, in a table as of one snapshot; ``done`` counts while :meth:`rows` is read."""

    def __init__(
        self, view: FeatureView, offline: OfflineStore, info: TableInfo, run: int, now: int
    ) -> None:
        self.state = IngestState.of_notes(info.notes or {})
        self.done = Undone(view.name, 0, 0)
        self._view, self._offline, self._info, self._run, self._now = view, offline, info, run, now
        self._by = new_run()

    def rows(self) -> Iterator[pa.Table]:
        """What to append: retractions, and events again."""
        if INGEST not in self._info.spec.schema.names:
            return
        marks = [EVENT_TIME, KNOWN_TIME, BUCKET, SEQUENCE, RETRACTS, INGEST, IDENTITY]
        for bucket in range(self._info.spec.buckets):
            table = self._read(bucket, [*self._view.entity.keys, *marks])
            facts, back = taken_back(
                table, sequence=SEQUENCE, known_time=KNOWN_TIME, retracts=RETRACTS
            )
            lasting = np.ones(len(facts), bool) if back is None else back.until == NEVER
            added = lasting & self._of_run(facts)
            if added.any():
                yield self._retracted(facts.filter(pa.array(added)))
            if back is not None and (lost := self._lost(table, facts, lasting & ~added)):
                yield self._restored(bucket, lost)

    def _of_run(self, rows: pa.Table) -> Mask:
        return np.asarray(pc.fill_null(pc.equal(rows.column(INGEST), self._run), False))

    def _retracted(self, facts: pa.Table) -> pa.Table:
        known = [*self._view.entity.keys, EVENT_TIME, BUCKET, SEQUENCE]
        self._count(retracted=len(facts))
        schema = self._info.spec.schema
        return retractions(facts.select(known), schema, known_time=self._now, run=self._by)

    def _lost(self, table: pa.Table, facts: pa.Table, lasting: Mask) -> list[int]:
        """Sequences of facts that the run took back, and that have not come again since."""
        by_run = pa.array(self._of_run(table))
        targets = table.filter(by_run).column(RETRACTS).drop_null()
        gone = pc.is_in(facts.column(SEQUENCE), value_set=targets).to_numpy()
        identities = whole(facts.column(IDENTITY))
        there = RowPool()
        there.add(RowIdentities.of(identities)[lasting & valid_of(identities)])
        at = np.flatnonzero(gone & ~lasting)
        lost = at[~there.take(RowIdentities.of(identities)[at])]
        sequences: list[int] = integers(whole(facts.column(SEQUENCE)))[lost].tolist()
        return sequences

    def _restored(self, bucket: int, sequences: list[int]) -> pa.Table:
        schema = self._info.spec.schema
        table = self._read(bucket, [*schema.names, EVENT_TIME, BUCKET, SEQUENCE])
        wanted = pc.is_in(table.column(SEQUENCE), value_set=pa.array(sequences, pa.int64()))
        rows = table.filter(wanted).sort_by(SEQUENCE).drop_columns([SEQUENCE, INGEST])
        self._count(restored=len(rows))
        when = pa.array(np.full(len(rows), self._now)).cast(rows.schema.field(EVENT_TIME).type)
        rows = rows.append_column(KNOWN_TIME, when)
        return rows.append_column(INGEST, pa.array(np.full(len(rows), self._by, np.int64)))

    def _read(self, bucket: int, columns: list[str]) -> pa.Table:
        info = self._info
        return self._offline.read(info.spec.name, columns, bucket=bucket, snapshot=info.snapshot)

    def _count(self, *, retracted: int = 0, restored: int = 0) -> None:
        done = self.done
        self.done = Undone(done.view, done.retracted + retracted, done.restored + restored)
