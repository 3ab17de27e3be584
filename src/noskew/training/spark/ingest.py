"""Ingest on Spark: tasks read, transform and write files; the driver commits them by name.

Parts of a source, such as files, go to a task each. A task writes the events of its part to files
that nobody sees, and the driver adds them to the table in one commit a part, under the token that
the part has everywhere: what one process has ingested is known to Spark, and the other way round.

A Spark DataFrame is one part. It is read twice:

1. To give it a token: a digest of its rows, whatever their order and their partitions.
2. To make events of it. They meet by bucket, so that there is one file a bucket. Each event is
   numbered by the place of its row in the frame, as in one process. If the rows are not those of
   1, nothing is committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.push_down import PushDown, push_down
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, NoteMismatchError
from noskew.intake.ingested import IngestedRows
from noskew.kernel.conform import conform
from noskew.kernel.events import IDENTITY, SEQUENCE
from noskew.kernel.row_hashes import row_identities
from noskew.kernel.transforms.pipeline import BUCKET, Pipeline
from noskew.kernel.values import whole
from noskew.runners.base import Piece
from noskew.runners.spark.tasks import dealt, partition, together
from noskew.stores.offline.base import OfflineStore, RowProgress, WrittenFacts
from noskew.stores.sources.base import Part
from noskew.stores.sources.batches import considered
from noskew.training.ingest import (
    BATCH_ROWS,
    Ingest,
    IngestReport,
    add_counts,
    chosen_connector,
    ingest,
    open_connector,
    open_table,
    pushed_down,
)
from noskew.training.relation.changes import Changes, Step
from noskew.training.relation.doors import Door
from noskew.training.relation.known_rows import KnownRows, Ledger, event_identities
from noskew.training.relation.runs import new_run
from noskew.training.spark.native import made_by_spark, skipping_nothing
from noskew.training.spark.row_digest import RowDigest
from noskew.training.spark.task_project import RunnerProject, SparkProject, TaskProject
from noskew.types import Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: How often files are written again because others appended meanwhile. Each time with twice as
#: much room for them.
_TRIES = 8
#: More rows than a part of unknown size has; a part takes as many numbers of the table's 2**63.
_MOST_ROWS = 2**36
#: Columns of what tasks tell: what was written, what became of rows or was refused, and the
#: digest of rows read.
_WRITTEN, _REPORT, _REFUSED, _READ = "written", "report", "refused", "read"


# ---------------------------------------------------------------- parts of a source


def ingest_parts(
    spark: RunnerProject,
    view: FeatureView,
    connector: connectors.Connector | None,
    offline: OfflineStore,
    clock: Clock,
    *,
    buckets: int,
    door: Door | None = None,
    run: int | None = None,
    progress: RowProgress | None = None,
) -> IngestReport:
    """As :func:`noskew.training.ingest.ingest`, each part by a task of Spark.

    Where rows must be compared with what is there, it is done in this process.
    """
    given = chosen_connector(view, connector).rooted(Path.cwd())
    chosen, pushed = pushed_down(view, given)
    schema = pushed.schema if pushed else view.source.schema
    source = open_connector(chosen, schema, view.source.columns)
    table, table_buckets = open_table(view, offline, buckets)
    door, run = door or Door.OWN, run or new_run()
    is_pushed, now = pushed is not None, clock.now()
    work = _Parts(spark, view, chosen, is_pushed, offline, table, table_buckets, now, run)
    report = IngestReport(view.name)
    for last in (*[False] * (_TRIES - 1), True):
        changes = Changes.of(view, offline, table, door, source.parts())
        if changes.compares:
            here = partial(ingest, view, offline, clock, buckets=buckets, connector=given)
            return here(door=door, run=run, progress=progress)
        report = report.beside(changes)
        if progress:
            progress(sum(p.rows or 0 for p in changes.parts if p not in changes.to_read))
        steps = iter(changes.steps())
        try:
            # Some at a time, so that what a kill throws away is bounded.
            while some := list(islice(steps, spark.runner.parts)):
                for step, of_step in work.ingest(some, door):
                    report = report.plus(of_step)
                    if progress:
                        progress(sum(p.rows or 0 for p in step.parts))
            return report
        except NoteMismatchError:
            if last:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


@dataclass(frozen=True)
class _Parts:
    spark: RunnerProject
    view: FeatureView
    connector: connectors.Connector
    is_pushed: bool
    offline: OfflineStore
    table: str
    buckets: int
    now: int
    run: int

    def ingest(self, steps: Sequence[Step], door: Door) -> Iterator[tuple[Step, IngestReport]]:
        """Commit the steps, of a part each, in their order."""
        todo = list(steps)
        for number in range(_TRIES):
            written = self._written(todo, door, number)
            while todo:
                step = todo[0]
                files, report = written[step.token]
                try:
                    commit = self.offline.commit_files(
                        self.table,
                        files,
                        token=step.token,
                        notes=step.after.to_notes(),
                        expected=step.expected,
                    )
                except NoteMismatchError:
                    raise
                except ConflictError:
                    if number == _TRIES - 1:
                        raise
                    break
                report.rows = 0 if commit.repeated else commit.rows
                yield step, report
                todo.pop(0)
            if not todo:
                return

    def _written(
        self, steps: Sequence[Step], door: Door, number: int
    ) -> dict[str, tuple[list[WrittenFacts], IngestReport]]:
        """Files of each step, numbered in their order, and what became of its rows; by token."""
        parts = [part for step in steps for part in step.parts]
        sizes = [_most_rows(p) for p in parts]
        room = sum(sizes) << number if number else 0
        first = self.offline.info(self.table).last_sequence + 1 + room
        firsts = first + np.cumsum([0, *sizes])[:-1]
        tables = [
            pa.Table.from_pylist([{**asdict(part), "first": int(at), "work": step.token}])
            for step, part, at in zip(steps, parts, firsts, strict=True)
        ]
        context = self.spark.context(
            [self.view],
            view=self.view.name,
            connector=self.connector.to_dict(),
            is_pushed=self.is_pushed,
            table=self.table,
            buckets=self.buckets,
            now=self.now,
            run=self.run,
            door=int(door),
        )
        written = {}
        for at, told in self.spark.runner.run(tables, _ingest_part, context):
            files, report = _told(told, self.view)
            written[steps[at].token] = ([files], report)
        return written


def _most_rows(part: Part) -> int:
    """At least as many as the events of a part: no row makes two, and each takes a byte."""
    return next((n for n in (part.rows, part.bytes) if n is not None), _MOST_ROWS)


def _ingest_part(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Write the files of a part's events."""
    place = TaskProject(context)
    view = place.project.view(context["view"])
    for number, table in pieces:
        row = table.to_pylist()[0]
        first, token = row.pop("first"), row.pop("work")
        part = Part(**row)
        pushed = push_down(view) if context["is_pushed"] else None
        schema = pushed.schema if pushed else view.source.schema
        connector = connectors.from_dict(context["connector"])
        assert connector is not None, "data of the driver's process stays there"
        # Of files, only the part's own is looked at.
        source = open_connector(connector, schema, view.source.columns)
        told = {name: context[name] for name in ("buckets", "now", "run")}
        work = Ingest(view, source, **told, pushed=pushed)
        events = work.events(part, None, door=Door(context["door"]))
        files = place.offline.write_files(context["table"], events, token=token, first=first)
        yield Piece(number, _telling(files, work.report))


# ---------------------------------------------------------------- a frame


@dataclass(frozen=True)
class FrameOfSource:
    """A Spark DataFrame with the rows of a source."""

    frame: DataFrame
    spark: SparkProject

    def rows(self, view: FeatureView) -> tuple[DataFrame, PushDown | None]:
        """The columns that the source declares, or what Spark makes of them, if it may.

        Raises SchemaMismatchError, and TransformError if Spark refuses the view's SELECT.
        """
        source, runner = view.source, self.spark.runner
        columns = runner.schema(self.frame)
        what = f"data for {source.name!r}"
        own = {source.columns.get(name, name): name for name in source.schema}
        at = considered(columns.names, own, what)
        named = [own[columns.names[i]] for i in at]
        conform(columns.empty_table().select(at).rename_columns(named), source.schema, what)
        rows = runner.select(self.frame, list(own)).toDF(*source.schema)
        if view.native_dialect != "spark" or not source.is_as_declared:
            return rows, None
        pushed = push_down(view)
        return made_by_spark(runner, rows, pushed, f"feature view {view.name!r}"), pushed

    def digests(
        self, view: FeatureView, rows: DataFrame, pushed: PushDown | None
    ) -> list[RowDigest]:
        """A digest of each partition's rows."""
        # Views of one source share its rows, but what Spark makes of them is each one's own.
        key = view.log_hash if pushed else view.source.name
        digests = self._digests.get(key)
        if digests is None:
            schema = pushed.schema if pushed else view.source.schema
            context = {"schema": schema.texts(), "source": view.source.name}
            runner = self.spark.runner
            by_task = {
                number: RowDigest.from_text(table.column(0)[0].as_py())
                for number, table in runner.gather(runner.map(rows, _digest_rows, context))
            }
            digests = [by_task.get(i, RowDigest()) for i in range(max(by_task, default=-1) + 1)]
            self._digests[key] = digests
        return digests

    @cached_property
    def _digests(self) -> dict[str, list[RowDigest]]:
        return {}


def ingest_frame(
    view: FeatureView,
    data: FrameOfSource,
    offline: OfflineStore,
    clock: Clock,
    *,
    buckets: int,
    run: int | None = None,
    progress: RowProgress | None = None,
) -> IngestReport:
    """Append the events of a frame in one commit, without those that are there already.

    Of rows of one key, event time and known time, the later in the frame is the later one. Raises
    ConflictError if the frame has other rows when it is read again.
    """
    rows, pushed = data.rows(view)
    report = IngestReport(view.name)
    with skipping_nothing(data.frame) if pushed else nullcontext():
        digests = data.digests(view, rows, pushed)
        whole = sum(digests, RowDigest())
        token = whole.token((pushed.schema if pushed else view.source.schema).arrow)
        part = Part(token, "a Spark DataFrame", whole.rows)
        table, table_buckets = open_table(view, offline, buckets)
        run = run or new_run()
        for last in (*[False] * (_TRIES - 1), True):
            changes = Changes.of(view, offline, table, Door.GIVEN, [part])
            report = IngestReport(view.name).beside(changes)
            try:
                for step in changes.steps():
                    work = _Frame(
                        data.spark, view, rows, pushed, digests, table_buckets, clock.now(), run
                    )
                    report = report.plus(work.ingest(changes, step))
                if progress:
                    progress(whole.rows)
                return report
            except NoteMismatchError:  # somebody else has ingested meanwhile: compare again
                if last:
                    raise
    raise AssertionError("unreachable: the last try returns or raises")


@dataclass(frozen=True)
class _Frame:
    spark: SparkProject
    view: FeatureView
    rows: DataFrame
    pushed: PushDown | None
    digests: Sequence[RowDigest]
    buckets: int
    now: int
    run: int

    def ingest(self, changes: Changes, step: Step) -> IngestReport:
        """Write and commit, and again on top of what others appended meanwhile."""
        offline = changes.ledger.offline
        size = sum(d.rows for d in self.digests)
        for number in range(_TRIES):
            room = size << number if number else 0
            first = offline.info(changes.table).last_sequence + 1 + room
            files, report = self._written(changes, step.token, first)
            try:
                commit = offline.commit_files(
                    changes.table,
                    files,
                    token=step.token,
                    notes=step.after.to_notes(),
                    expected=step.expected,
                )
            except NoteMismatchError:
                raise
            except ConflictError:
                if number == _TRIES - 1:
                    raise
                continue
            report.rows = 0 if commit.repeated else commit.rows
            return report
        raise AssertionError("unreachable: the last try returns or raises")

    def _written(
        self, changes: Changes, token: str, first: int
    ) -> tuple[list[WrittenFacts], IngestReport]:
        runner = self.spark.runner
        parts = runner.parts_of(self.buckets)
        context = self.spark.context(
            [self.view],
            view=self.view.name,
            buckets=self.buckets,
            parts=parts,
            now=self.now,
            digests=[d.to_text() for d in self.digests],
            is_pushed=self.pushed is not None,
            part=changes.door.part(changes.parts[0]),
            run=self.run,
        )
        events = runner.map(self.rows, _events_of_rows, context)
        work = {
            "view": self.view.name,
            "table": changes.table,
            "snapshot": changes.ledger.snapshot,
            "compares": changes.compares,
            "parts": parts,
            "buckets": self.buckets,
            "token": token,
            "first": first,
        }
        files = runner.map(
            runner.meet(events, parts),
            _write_events,
            self.spark.context([self.view], **work),
            takes_packs=True,
        )
        facts: list[WrittenFacts] = []
        report, read = IngestReport(self.view.name), RowDigest()
        for _, told in runner.gather(files):
            written, of_task = _told(told, self.view)
            facts.append(written)
            report = report.plus(of_task)
            read += RowDigest.from_text(told.column(_READ)[0].as_py())
        if read != sum(self.digests, RowDigest()):  # a partition without rows may have no task
            raise _changed(self.view)
        return facts, report


def _digest_rows(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """The digest of a partition's rows, under its number."""
    schema, digest = Schema(context["schema"], has_units=True), RowDigest()
    for table in together(pieces, BATCH_ROWS):
        digest += RowDigest.of(conform(table, schema, f"data for {context['source']!r}"))
    yield Piece(partition(), pa.table({"digest": [digest.to_text()]}))


def _events_of_rows(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Events in packs by bucket, numbered by the place of their rows; and what was refused."""
    view = TaskProject(context).project.view(context["view"])
    pushed = push_down(view) if context["is_pushed"] else None
    pipeline, parts = Pipeline(view, pushed=pushed), context["parts"]
    digests = [RowDigest.from_text(d) for d in context["digests"]]
    mine = partition()
    expected = digests[mine] if mine < len(digests) else RowDigest()
    start = sum(d.rows for d in digests[:mine])
    digest = RowDigest()
    refused: dict[str, int] = {}
    for table in together(pieces, BATCH_ROWS):
        rows = conform(table, pipeline.takes, f"source {view.source.name!r}").combine_chunks()
        done = pipeline(rows, known_time=context["now"], buckets=context["buckets"])
        add_counts(refused, {why: len(at) for why, at in done.refused.items()})
        numbers = pa.array(start + digest.rows + done.row)
        if view.native_dialect:
            identities, at = event_identities(view, done.events), np.arange(len(done.events))
        else:
            identities, at = row_identities(rows), done.row
        part = IngestedRows(identities, context["part"], context["run"])
        events = part.beside(done.events, at).append_column(SEQUENCE, numbers)
        yield from dealt(events, events.column(BUCKET).to_numpy() % parts, parts)
        digest += RowDigest.of(rows)
    if digest != expected:  # or numbers might be those of other rows
        raise _changed(view)
    yield Piece(0, pa.table({_READ: [digest.to_text()], _REFUSED: [json.dumps(refused)]}))


def _write_events(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Write the files of some buckets, without the events that these have already."""
    place = TaskProject(context)
    view, table = place.project.view(context["view"]), context["table"]
    read, report = RowDigest(), IngestReport(view.name)
    ledger = Ledger(view, place.offline, table, context["snapshot"], context["buckets"])
    known: dict[int, KnownRows] = {}

    def new(events: pa.Table) -> pa.Table:
        buckets = events.column(BUCKET).to_numpy()
        keep = np.zeros(len(events), bool)
        for bucket in np.unique(buckets).tolist():
            if bucket not in known:
                known[bucket] = ledger.known(buckets=[bucket])
            at = np.flatnonzero(buckets == bucket)
            there = known[bucket].take(whole(events.column(IDENTITY)).take(pa.array(at)))
            by_value, by_id = known[bucket].take_events(view, events.take(pa.array(at)))
            report.known += int((there | by_value).sum())
            report.known_by_id += int((by_id & ~there).sum())
            keep[at] = ~(there | by_value | by_id)
        return events if keep.all() else events.filter(pa.array(keep))

    def events() -> Iterator[pa.RecordBatch]:
        nonlocal read
        for _, told in pieces:
            if _READ in told.column_names:
                read += RowDigest.from_text(told.column(_READ)[0].as_py())
                add_counts(report.refused, json.loads(told.column(_REFUSED)[0].as_py()))
            else:
                yield from (new(told) if context["compares"] else told).to_batches()

    files = place.offline.write_files(
        table, events(), token=context["token"], first=context["first"], numbered=True
    )
    yield Piece(0, _telling(files, report).append_column(_READ, [[read.to_text()]]))


def _changed(view: FeatureView) -> ConflictError:
    return ConflictError(
        f"the DataFrame for {view.source.name!r} gave other rows when it was read again; nothing "
        f"was added: cache it, or write it to files and ingest those"
    )


# ---------------------------------------------------------------- both


def _telling(files: WrittenFacts, report: IngestReport) -> pa.Table:
    """What a task tells the driver: what it wrote, and what became of its rows."""
    told = {_WRITTEN: json.dumps(asdict(files)), _REPORT: json.dumps(asdict(report))}
    return pa.Table.from_pylist([told])


def _told(table: pa.Table, view: FeatureView) -> tuple[WrittenFacts, IngestReport]:
    told = table.to_pylist()[0]
    report = IngestReport(**{**json.loads(told[_REPORT]), "view": view.name})
    return WrittenFacts(**json.loads(told[_WRITTEN])), report
