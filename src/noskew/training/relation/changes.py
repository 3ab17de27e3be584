"""Changes: what of a relation must be read, and what its rows are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.errors import ChangedRowsError
from noskew.intake.retracted import retraction_columns
from noskew.kernel.events import EVENT_TIME
from noskew.stores.offline.base import Filter, OfflineStore, TableInfo
from noskew.stores.sources.base import BatchSource, Part
from noskew.training.relation.doors import Door
from noskew.training.relation.known_rows import KnownRows, Ledger
from noskew.training.relation.marks import CursorRead
from noskew.training.relation.runs import run_id
from noskew.training.relation.state import HEAD, IngestState, part_id

#: Rows that an error shows.
_SHOWN = 3


@dataclass(frozen=True)
class Step:
    """Parts whose events go into the table in one commit, and what the table says before it."""

    parts: Sequence[Part]
    before: IngestState
    after: IngestState
    token: str

    @property
    def expected(self) -> dict[str, str | None]:
        """The note that the table must have: nobody else has ingested."""
        return {HEAD: self.before.text}


@dataclass(frozen=True)
class Changes:
    """A relation beside the table of events that it is ingested into.

    Attributes
    ----------
    parts, to_read
        The parts that there are, and those that must be read.
    only_grew
        Whether the rows of new parts are new rows: all that was there is there still, and nothing
        was given that could be in them.
    is_new
        Whether the table has no events at all.
    cursor
        What is read, if that is told by a cursor.
    before
        What the table says of its ingests.
    """

    ledger: Ledger
    door: Door
    parts: Sequence[Part]
    to_read: Sequence[Part]
    only_grew: bool
    is_new: bool
    before: IngestState
    cursor: CursorRead | None = None

    @classmethod
    def by_cursor(
        cls,
        view: FeatureView,
        offline: OfflineStore,
        table: str,
        data: BatchSource,
        *,
        now: int,
        run: int,
        whole: bool,
    ) -> Changes:
        """Look at what the table says, and at what there is of ``data``; no event is read.

        ``run``: the number of the run. ``whole``: read all, whatever was read before.
        """
        ledger, before, info = _looked_up(view, offline, table)
        cursor = CursorRead.of(
            view.source,
            data,
            before.mark,
            now=now,
            start=info.last_sequence + 1,
            whole=whole,
        )
        label = f"its rows by {view.source.cursor}"
        parts = [Part(f"cursor-{run_id(run)}", label, None)]
        return cls(ledger, Door.OWN, parts, parts, False, info.rows == 0, before, cursor)

    @classmethod
    def of(
        cls,
        view: FeatureView,
        offline: OfflineStore,
        table: str,
        door: Door,
        parts: Sequence[Part],
    ) -> Changes:
        """Look at what the table says; no event is read."""
        ledger, before, info = _looked_up(view, offline, table)
        is_new = info.rows == 0
        if door is Door.GIVEN:
            token = partial(_given_token, undone=before.undone)
            fresh = [p for p in parts if not offline.committed(table, token(p))]
            return cls(ledger, door, parts, fresh, False, is_new, before)
        # Before there were notes, each part was a commit of its own.
        were, is_first = before.parts, before.parts is None
        if were is None:
            were = frozenset(part_id(p) for p in parts if offline.committed(table, _token(p)))
            is_first = not were and (before.text is not None or is_new)
        present = {part_id(p) for p in parts}
        only_grew = not before.has_given and (
            is_first or (bool(were) and were <= present and not before.has_gone)
        )
        fresh = [p for p in parts if part_id(p) not in were]
        if not only_grew and were != present:
            return cls(ledger, door, parts, list(parts), False, is_new, before)
        return cls(ledger, door, parts, fresh, only_grew, is_new, before)

    @property
    def table(self) -> str:
        """The name of the table of events."""
        return self.ledger.table

    def steps(self) -> Iterator[Step]:
        """What to commit, in turn.

        Rows that are compared with others of the source go in one commit, whatever is gone.
        """
        before = self.before
        if self.door is Door.GIVEN:
            for part in self.to_read:
                after = before.with_given()
                yield Step([part], before, after, _given_token(part, before.undone))
                before = after
        elif self.only_grew:
            done = {part_id(p) for p in self.parts if p not in self.to_read}
            for part in self.to_read:
                done.add(part_id(part))
                after = before.with_parts(done, has_gone=False)
                yield Step([part], before, after, f"{_token(part)}-{after.ingests}")
                before = after
        elif self.to_read:
            has_gone = not (self.is_one or self.replaces)
            mark = self.cursor.after if self.cursor else None
            after = before.with_parts(map(part_id, self.parts), has_gone=has_gone, mark=mark)
            yield Step(self.to_read, before, after, f"{_token(*self.to_read)}-{after.ingests}")

    @property
    def replaces(self) -> bool:
        """Whether rows that are not there any more are taken back."""
        return self.door is Door.OWN and self.ledger.view.source.changes == "replace"

    @cached_property
    def is_one(self) -> bool:
        """Whether only all parts together are the source; else each comes and goes by itself."""
        strict = self.ledger.view.source.changes in ("grow", "replace")
        return strict or any(not p.path for p in self.parts)

    @cached_property
    def compares(self) -> bool:
        """Whether rows must be compared with what is in the table."""
        if self.is_new:
            return False
        if self.only_grew:
            return self.ledger.has_ids
        return bool(self.to_read)

    def known(self, where: Filter | None = None) -> KnownRows:
        """What rows that come are compared with; ``where``: which events may be equal to them.

        Equal rows of one extract are as many events, so rows of a part are not compared with those
        of another part of what is given, though that may be in the table since an earlier call.
        """
        if not self.compares:
            return KnownRows()
        beside = [p for p in self.parts if p not in self.to_read]
        own = [self.door.part(p) for p in beside] if self.door is Door.GIVEN else []
        if self.cursor and not (self.ledger.has_ids or self.before.has_given):
            where = self._since
        return self.ledger.known(with_own=not self.only_grew, where=where, besides=own)

    @property
    def _since(self) -> Filter | None:
        """Which events may be of the rows that a cursor has found; None: any."""
        first = self.cursor.first_sequence if self.cursor else None
        return None if first is None else Filter(sequence_from=first)

    def gone(self, known: KnownRows, held: Sequence[pa.Table] = ()) -> Iterator[pa.Table]:
        """Events of the source's own data that were not taken from ``known``: keys, event time,
        bucket and sequence. ``held``: events that others have the ids of, which came again if a
        cursor does not lead to these.

        Files of a folder come and go; a file that is there still must hold what it held. Raises
        ChangedRowsError where nothing may go.
        """
        if self.door is Door.GIVEN:
            return
        if not (len(known.own) or held):
            yield from self.cursor.checked([]) if self.cursor else ()
            return
        ids = known.ids_of(self.ledger.view, held)
        gone = self.ledger.left_over(
            known.own,
            Door.OWN,
            [p.path for p in self.parts],
            others_too=self.is_one,
            window=self.cursor.window if self.cursor else None,
            where=None if len(ids) else self._since,
            besides=ids,
        )
        if self.cursor:
            gone = self.cursor.checked(gone)
        if self.replaces:
            yield from gone
        elif tables := list(gone):
            raise ChangedRowsError(_message(self.ledger.view, pa.concat_tables(tables)))


def _looked_up(
    view: FeatureView, offline: OfflineStore, table: str
) -> tuple[Ledger, IngestState, TableInfo]:
    info = offline.info(table)
    retractions = retraction_columns(info)
    ledger = Ledger(view, offline, table, info.snapshot, info.spec.buckets, retractions)
    return ledger, IngestState.of_notes(info.notes or {}), info


def _token(*parts: Part) -> str:
    if len(parts) == 1:
        return f"ingest:{parts[0].token}"
    together = hashlib.blake2b("|".join(p.token for p in parts).encode(), digest_size=16)
    return f"ingest:{together.hexdigest()}"


def _given_token(part: Part, undone: int) -> str:
    """A part that was given counts anew once a run was undone: it may have been that one."""
    return f"{_token(part)}-undone-{undone}" if undone else _token(part)


def _message(view: FeatureView, gone: pa.Table) -> str:
    told = gone.select([*view.entity.keys, EVENT_TIME])
    shown = "; ".join(
        ", ".join(f"{name.removeprefix('_')} {value}" for name, value in row.items())
        for row in told.slice(0, _SHOWN).to_pylist()
    )
    return (
        f"source {view.source.name!r}: {len(gone):,} rows that were ingested are not in its data "
        f"any more, or were changed; nothing was added. Such are the events of {shown}. If what "
        f"the data holds now is the truth, say changes='replace' in the source: these rows are "
        f"taken back then. Else bring them back"
    )
