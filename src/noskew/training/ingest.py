"""Ingest: read a source, transform its rows into events, append them to the offline table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.clock import MAX_TIME, MIN_TIME, Clock
from noskew.definitions import connectors
from noskew.definitions.project import Project
from noskew.definitions.push_down import PushDown, push_down
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, ConflictError, InputError, NoteMismatchError
from noskew.intake.ingested import IngestedRows
from noskew.intake.retracted import NOTE, retractions
from noskew.intake.tables import one_per_log, table_spec
from noskew.kernel.conform import conform
from noskew.kernel.keys import integers
from noskew.kernel.row_hashes import row_identities
from noskew.kernel.transforms.pipeline import Pipeline, check_engines
from noskew.kernel.values import whole
from noskew.read_ahead import read_ahead
from noskew.stores.offline.base import Filter, OfflineStore, RowProgress
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.named import NamedSource
from noskew.stores.sources.opening import open_source
from noskew.training.relation.changes import Changes, Step
from noskew.training.relation.doors import Door
from noskew.training.relation.known_rows import KnownRows, event_identities
from noskew.training.relation.marks import BehindMarkError
from noskew.training.relation.runs import new_run
from noskew.training.relation.state import HEAD
from noskew.types import Schema

#: Rows of a source that are transformed at a time.
BATCH_ROWS = 262_144
#: Connectors whose readers are told what is declared.
_TYPED = (
    connectors.Csv,
    connectors.DuckDb,
    connectors.Frame,
    connectors.Json,
    connectors.Parquet,
    connectors.Postgres,
)
#: How often rows are compared again because others have ingested meanwhile.
_TRIES = 5


@dataclass(repr=False)
class IngestReport:
    """What an ingest did for one view.

    ``rows``: events that were added. ``known``: rows that were read and are there already, by
    their values; ``known_by_id``: those of which only the id is. ``retracted``: events that were
    taken back. ``behind``: by how many rows those behind a cursor's mark were more or fewer than
    expected, so that all were read. ``parts`` of the source there were, of which ``repeated`` have
    not changed since they were ingested.
    """

    view: str
    rows: int = 0
    parts: int = 0
    repeated: int = 0
    known: int = 0
    known_by_id: int = 0
    retracted: int = 0
    behind: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = (f"{n}={v!r}" for n, v in told.items() if v or n in {"view", "rows", "parts"})
        return f"IngestReport({', '.join(shown)})"

    def beside(self, changes: Changes) -> IngestReport:
        """With how many parts there are, and how many need not be read."""
        parts, repeated = len(changes.parts), len(changes.parts) - len(changes.to_read)
        behind = changes.cursor.behind if changes.cursor else 0
        return replace(self, parts=parts, repeated=repeated, behind=behind)

    def plus(self, more: IngestReport) -> IngestReport:
        """With the rows of another one, too."""
        refused = dict(self.refused)
        add_counts(refused, more.refused)
        return replace(
            self,
            rows=self.rows + more.rows,
            known=self.known + more.known,
            known_by_id=self.known_by_id + more.known_by_id,
            retracted=self.retracted + more.retracted,
            refused=refused,
        )


def views_to_ingest(project: Project, source: str | None) -> list[FeatureView]:
    """One view for each offline table that an ingest of ``source`` fills; None: all with data.

    Raises NotFoundError for a source that is not in the project.
    """
    views = one_per_log(project.views.values())
    if source is None:
        return [v for v in views if v.source.batch is not None]
    return [v for v in views if v.source.name == project.source(source).name]


def open_connector(
    connector: connectors.Connector, schema: Schema, names: Mapping[str, str] | None = None
) -> BatchSource:
    """The reader of a connector: only the columns of ``schema`` matter; all if it has none.

    ``names``: what the data calls columns that are called otherwise there.
    """
    names = names or {}
    options: dict[str, Any] = connector.to_dict()
    kind = options.pop("kind")
    if isinstance(connector, _TYPED):
        types = _column_types(connector, schema)
        options["column_types"] = {names.get(name, name): t for name, t in types.items()}
    if isinstance(connector, connectors.Frame):
        options["frame"] = connector.data
    elif isinstance(connector, connectors.Postgres):
        variable = options.pop("dsn_env")
        if not os.environ.get(variable):
            raise ConfigError(f"set the environment variable {variable} to the connection string")
        options["dsn"] = os.environ[variable]
    source = open_source(kind, options)
    return NamedSource(source, names) if names else source


def _column_types(connector: connectors.Connector, schema: Schema) -> dict[str, pa.DataType]:
    types = dict(zip(schema, schema.arrow.types, strict=True))
    if isinstance(connector, connectors.Csv):
        # Numbers that count a unit are no texts of times.
        types |= dict.fromkeys(schema.units, pa.string())
    return types


def ingest(
    view: FeatureView,
    offline: OfflineStore,
    clock: Clock,
    *,
    buckets: int,
    connector: connectors.Connector | None = None,
    door: Door | None = None,
    run: int | None = None,
    whole: bool = False,
    progress: RowProgress | None = None,
) -> IngestReport:
    """Append the events of the view's source that its table does not have yet.

    Rows that were ingested before are known again by the values of their declared columns, each
    as often as it is there, in whatever form they come (decision 23). ``door`` says whether
    ``connector`` is the source's own data; by default it is unless it is a frame. ``run``: the
    number of the run that it belongs to, by which it can be undone. ``whole``: read all of a source
    that has a cursor. Rows with a null key, or dated
    further ahead than the source allows, are left out and counted.

    Killed at any moment, rows that are compared with others are all in the table or none is, and
    so are those of each new part; a repeated ingest adds nothing twice. Raises ChangedRowsError,
    and adds nothing, if rows of the source's own data were there and are not any more, unless the
    source replaces; InputError if there is no source to read, SchemaMismatchError for columns that
    do not fit the source's schema, TransformError when the transform fails, and StoreError.
    """
    chosen, pushed = pushed_down(view, chosen_connector(view, connector))
    schema = pushed.schema if pushed else view.source.schema
    source = open_connector(chosen, schema, view.source.columns)
    table, table_buckets = open_table(view, offline, buckets)
    door = door or (Door.GIVEN if isinstance(chosen, connectors.Frame) else Door.OWN)
    now, run = clock.now(), run or new_run()
    work = Ingest(view, source, table_buckets, now=now, run=run, pushed=pushed)
    by_cursor = view.source.cursor is not None and door is Door.OWN
    for last in (*[False] * (_TRIES - 1), True):
        if by_cursor:
            changes = Changes.by_cursor(view, offline, table, source, now=now, run=run, whole=whole)
        else:
            changes = Changes.of(view, offline, table, door, source.parts())
        try:
            return work.append(changes, progress)
        except BehindMarkError:
            whole = True
        except NoteMismatchError:  # somebody else has ingested meanwhile: compare again
            if last:
                raise
    raise ConflictError(
        f"source {view.source.name!r}: its rows changed again and again while they were read"
    )


def chosen_connector(
    view: FeatureView, connector: connectors.Connector | None
) -> connectors.Connector:
    """What an ingest reads: ``connector``, else the source's own. Raises InputError for neither."""
    chosen = connector or view.source.batch
    if chosen is None:
        raise InputError(
            f"source {view.source.name!r} has no batch data to read; give it batch=ns.Parquet(…) "
            f"or the like, or pass a frame"
        )
    return chosen


def pushed_down(
    view: FeatureView, connector: connectors.Connector
) -> tuple[connectors.Connector, PushDown | None]:
    """What to read instead if PostgreSQL runs the view's SELECT itself, and what comes then.

    The certificate holds for the server of the source; rows of another one are computed here, and
    so are the few that a cursor leaves.
    """
    own = view.source.batch
    if not view.source.is_as_declared or view.source.cursor:
        return connector, None
    if view.native_dialect != "postgres" or not isinstance(connector, connectors.Postgres):
        return connector, None
    if not isinstance(own, connectors.Postgres) or own.dsn_env != connector.dsn_env:
        return connector, None
    pushed = push_down(view)
    return replace(connector, sql=pushed.over(connector.sql)), pushed


def open_table(view: FeatureView, offline: OfflineStore, buckets: int) -> tuple[str, int]:
    """The table of a view, made if it is not there, and how many buckets it has.

    An existing table keeps its bucket count whatever the configuration says now. There is no
    table for a view whose engine is missing: raises as :func:`check_engines`.
    """
    check_engines(view)
    spec = table_spec(view, buckets)
    offline.create(spec)
    return spec.name, offline.info(spec.name).spec.buckets


class Ingest:
    """From parts of a source to events of a view; ``report`` says what became of the rows."""

    def __init__(
        self,
        view: FeatureView,
        source: BatchSource,
        buckets: int,
        *,
        now: int,
        run: int,
        pushed: PushDown | None = None,
    ) -> None:
        self._pipeline = Pipeline(view, pushed=pushed)
        self._needed = list(self._pipeline.takes)
        self._view, self._source, self._buckets, self._now = view, source, buckets, now
        self._gone = 0
        #: Events that are known by their ids, while those that have these may be gone.
        self._held: list[pa.Table] = []
        self._holds = False
        self._schema, self._run = table_spec(view, buckets).schema, run
        self.report = IngestReport(view.name)

    def append(self, changes: Changes, progress: RowProgress | None) -> IngestReport:
        """Add what is new, step by step; ``report`` is of all steps that were committed.

        Raises ChangedRowsError and NoteMismatchError: the step adds nothing then.
        """
        report, steps = self.report, list(changes.steps())
        self.report = report.beside(changes)
        if progress:
            progress(sum(p.rows or 0 for p in changes.parts if p not in changes.to_read))
        known = changes.known(self._bounds(changes)) if steps else KnownRows()
        offline, table = changes.ledger.offline, changes.table
        notes = {NOTE: ""} if changes.replaces and len(known.own) else {}
        for step in steps:
            before, self.report = self.report, IngestReport(self._view.name)
            try:
                commit = offline.append(
                    table,
                    self._events_of_step(step, changes, known, progress),
                    token=step.token,
                    notes=step.after.to_notes() | notes,
                    expected=step.expected,
                )
            except BaseException:
                self.report = before
                raise
            self.report.rows = 0 if commit.repeated else commit.rows - self.report.retracted
            self.report = before.plus(self.report)
            if step.after.has_gone and not self._gone:
                settled = step.after.with_parts(step.after.parts or (), has_gone=False)
                expected = {HEAD: step.after.text}
                offline.append(table, [], notes=settled.to_notes(), expected=expected)
        return self.report

    def _events_of_step(
        self, step: Step, changes: Changes, known: KnownRows, progress: RowProgress | None
    ) -> Iterator[pa.RecordBatch]:
        self._holds, self._held = changes.replaces and changes.ledger.has_ids, []
        if changes.cursor:
            self._source = changes.cursor.rows
        for part in step.parts:
            yield from self.events(part, progress, known, changes.door)
        self._gone = len(known.own)
        for gone in changes.gone(known, self._held):
            self.report.retracted += len(gone)
            yield from self._retracted(gone).to_batches()
            if self._held:
                yield from self._freed(known, gone)
        self.report.known_by_id += sum(map(len, self._held))

    def _retracted(self, gone: pa.Table) -> pa.Table:
        return retractions(gone, self._schema, known_time=self._now, run=self._run)

    def _freed(self, known: KnownRows, gone: pa.Table) -> Iterator[pa.RecordBatch]:
        """Events that were held back, since others had their ids which are gone now."""
        for i, events in enumerate(self._held):
            free = known.freed(self._view, gone, events)
            self._held[i] = events.filter(pa.array(~free))
            yield from events.filter(pa.array(free)).to_batches()

    def _bounds(self, changes: Changes) -> Filter | None:
        """Between which times an event that is equal to one of these must have happened."""
        clock = self._view.source.event_time
        remade = self._view.transform is not None and clock in self._view.columns
        if not self._source.is_in_memory or changes.door is Door.OWN:
            return None
        if remade or changes.ledger.has_ids:
            return None
        what, schema = f"source {self._view.source.name!r}", self._view.source.schema
        kind = schema.select([clock])
        least, most = MAX_TIME, MIN_TIME
        for part in changes.to_read:
            for batch in self._source.read(part, [clock], batch_rows=BATCH_ROWS):
                column = conform(pa.Table.from_batches([batch]), kind, what).column(clock)
                times = integers(whole(column.drop_null()))
                if len(times):
                    least, most = min(least, int(times.min())), max(most, int(times.max()))
        return Filter(event_from=least, event_to=max(least, most))

    def events(
        self,
        part: Part,
        progress: RowProgress | None,
        known: KnownRows | None = None,
        door: Door = Door.OWN,
    ) -> Iterator[pa.RecordBatch]:
        """The events of a part that are not known."""
        number = door.part(part)
        for batch in read_ahead(self._source.read(part, self._needed, batch_rows=BATCH_ROWS)):
            what = f"source {self._view.source.name!r}, {part.label}"
            yield from self._new_events(pa.Table.from_batches([batch]), known, number, what)
            if progress:
                progress(batch.num_rows)

    def _new_events(
        self, batch: pa.Table, known: KnownRows | None, part: int, what: str
    ) -> Iterator[pa.RecordBatch]:
        rows = conform(batch, self._pipeline.takes, what).combine_chunks()
        identities = None if self._view.native_dialect else row_identities(rows)
        cursors = self._cursors(rows)
        if known is not None and identities is not None:
            fresh = self._fresh(identities, known)
            if len(fresh) < len(rows):
                rows, identities = rows.take(fresh), identities.take(fresh)
                cursors = cursors if cursors is None else cursors.take(fresh)
        done = self._pipeline(rows, known_time=self._now, buckets=self._buckets)
        add_counts(self.report.refused, {why: len(at) for why, at in done.refused.items()})
        events, row = done.events, done.row
        if identities is None:
            identities, of_row = event_identities(self._view, events), row
            cursors = cursors if cursors is None else cursors.take(pa.array(of_row))
            row = np.arange(len(events))
            if known is not None:
                row = self._fresh(identities, known).to_numpy()
                events = events.take(pa.array(row))
        events = IngestedRows(identities, part, self._run, cursors).beside(events, row)
        if known is not None:
            events = self._without_known(events, known)
        yield from events.to_batches()

    def _cursors(self, rows: pa.Table) -> pa.Array | None:
        """The value of the source's cursor in each row, int64, if it has one."""
        cursor = self._view.source.cursor
        return None if cursor is None else whole(rows.column(cursor)).cast(pa.int64())

    def _fresh(self, identities: pa.FixedSizeBinaryArray, known: KnownRows) -> pa.Array:
        """The places of those that are not known. Those that are, are taken out."""
        there = known.take(identities)
        self.report.known += int(there.sum())
        return pa.array(np.flatnonzero(~there))

    def _without_known(self, events: pa.Table, known: KnownRows) -> pa.Table:
        by_value, by_id = known.take_events(self._view, events)
        self.report.known += int(by_value.sum())
        if self._holds:
            self._held.append(events.filter(pa.array(by_id)))
        else:
            self.report.known_by_id += int(by_id.sum())
        if not (by_value.any() or by_id.any()):
            return events
        return events.filter(pa.array(~by_value & ~by_id))


def add_counts(to: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by reason to others."""
    for why, count in more.items():
        to[why] = to.get(why, 0) + count
