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
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.push_down import PushDown, push_down
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError
from noskew.kernel.conform import conform
from noskew.kernel.events import SEQUENCE
from noskew.kernel.transforms.pipeline import BUCKET, Pipeline
from noskew.runners.base import Piece
from noskew.runners.spark.tasks import dealt, partition, together
from noskew.stores.offline.base import Commit, OfflineStore, RowProgress, WrittenFacts
from noskew.stores.sources.base import BatchSource, Part
from noskew.training.ingest import (
    BATCH_ROWS,
    Ingest,
    IngestReport,
    add_counts,
    chosen_connector,
    open_connector,
    open_table,
    pushed_down,
    token_of,
)
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
#: Columns of what tasks tell: what was written, what was refused, and the digest of rows read.
_WRITTEN, _REFUSED, _READ = "written", "refused", "read"


# ---------------------------------------------------------------- parts of a source


def ingest_parts(
    spark: RunnerProject,
    view: FeatureView,
    connector: connectors.Connector | None,
    offline: OfflineStore,
    clock: Clock,
    *,
    buckets: int,
    progress: RowProgress | None = None,
) -> IngestReport:
    """As :func:`noskew.training.ingest.ingest`, each part by a task of Spark."""
    chosen, pushed = pushed_down(view, chosen_connector(view, connector).rooted(Path.cwd()))
    parts = iter(open_connector(chosen, view.source.schema.arrow).parts())
    table, table_buckets = open_table(view, offline, buckets)
    is_pushed = pushed is not None
    work = _Parts(spark, view, chosen, is_pushed, offline, table, table_buckets, clock.now())
    report = IngestReport(view.name)
    # Some at a time, so that what a kill throws away is bounded.
    while some := list(islice(parts, spark.runner.parts)):
        for part, commit, refused in work.ingest(some):
            if progress and part.rows and not commit.repeated:
                progress(part.rows)
            report.add(part, commit, progress)
            add_counts(report.refused, refused)
    return report


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

    def ingest(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Commit, dict[str, int]]]:
        """Commit the parts, in their order."""
        todo = list(parts)
        for number in range(_TRIES):
            fresh = [p for p in todo if not self.offline.committed(self.table, token_of(p))]
            written = self._written(fresh, number)
            while todo:
                part = todo[0]
                files, refused = written[part.token] if part in fresh else ([], {})
                try:
                    commit = self.offline.commit_files(self.table, files, token=token_of(part))
                except ConflictError:
                    if number == _TRIES - 1:
                        raise
                    break
                yield part, commit, {} if commit.repeated else refused
                todo.pop(0)
            if not todo:
                return

    def _written(
        self, parts: Sequence[Part], number: int
    ) -> dict[str, tuple[list[WrittenFacts], dict[str, int]]]:
        """Files of each part, numbered in the order of parts, and what was refused; by token."""
        sizes = [_most_rows(p) for p in parts]
        room = sum(sizes) << number if number else 0
        first = self.offline.info(self.table).last_sequence + 1 + room
        firsts = first + np.cumsum([0, *sizes])[:-1]
        tables = [
            pa.Table.from_pylist([{**asdict(part), "first": int(at)}])
            for part, at in zip(parts, firsts, strict=True)
        ]
        context = self.spark.context(
            [self.view],
            view=self.view.name,
            connector=self.connector.to_dict(),
            is_pushed=self.is_pushed,
            table=self.table,
            buckets=self.buckets,
            now=self.now,
        )
        written = {}
        for at, report in self.spark.runner.run(tables, _ingest_part, context):
            files, refused = _told(report)
            written[parts[at].token] = ([files], refused)
        return written


def _most_rows(part: Part) -> int:
    """At least as many as the events of a part: no row makes two, and each takes a byte."""
    return next((n for n in (part.rows, part.bytes) if n is not None), _MOST_ROWS)


def _ingest_part(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Write the files of a part's events."""
    place = TaskProject(context)
    view = place.project.view(context["view"])
    for number, table in pieces:
        work = table.to_pylist()[0]
        first = work.pop("first")
        part = Part(**work)
        source, own = _opened(view, context["connector"], part)
        pushed = push_down(view) if context["is_pushed"] else None
        run = Ingest(view, source, context["buckets"], context["now"], pushed)
        files = place.offline.write_files(
            context["table"], run.events(own, None), token=token_of(part), first=first
        )
        yield Piece(number, _telling(files, run.refused))


def _opened(view: FeatureView, options: Mapping[str, Any], part: Part) -> tuple[BatchSource, Part]:
    """A source that has the part, and the part in it. Of files, only its own is looked at."""
    connector = connectors.from_dict(options)
    assert connector is not None, "data of the driver's process stays there"
    if not isinstance(connector, (connectors.Parquet, connectors.Csv)):
        return open_connector(connector, view.source.schema.arrow), part
    source = open_connector(replace(connector, path=part.label), view.source.schema.arrow)
    (own,) = source.parts()
    if own.token != part.token.partition("-")[0]:
        raise ConflictError(f"{part.label!r} changed while it was ingested; repeat the call")
    return source, own


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
        conform(columns.empty_table(), source.schema, f"data for {source.name!r}")
        rows = runner.select(self.frame, list(source.schema))
        if view.native_dialect != "spark":
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
    progress: RowProgress | None = None,
) -> IngestReport:
    """Append the events of a frame in one commit; a frame of the same rows adds nothing again.

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
        commit = offline.committed(table, token_of(part))
        if commit is None:
            work = _Frame(
                data.spark, view, rows, pushed, digests, table, table_buckets, clock.now()
            )
            commit, report.refused = work.ingest(offline, token_of(part))
    if progress and not commit.repeated:
        progress(whole.rows)
    report.add(part, commit, progress)
    return report


@dataclass(frozen=True)
class _Frame:
    spark: SparkProject
    view: FeatureView
    rows: DataFrame
    pushed: PushDown | None
    digests: Sequence[RowDigest]
    table: str
    buckets: int
    now: int

    def ingest(self, offline: OfflineStore, token: str) -> tuple[Commit, dict[str, int]]:
        """Write and commit, and again on top of what others appended meanwhile."""
        size = sum(d.rows for d in self.digests)
        for number in range(_TRIES):
            room = size << number if number else 0
            first = offline.info(self.table).last_sequence + 1 + room
            files, refused = self._written(token, first)
            try:
                commit = offline.commit_files(self.table, files, token=token)
            except ConflictError:
                if number == _TRIES - 1:
                    raise
                continue
            return commit, {} if commit.repeated else refused
        raise AssertionError("unreachable: the last try returns or raises")

    def _written(self, token: str, first: int) -> tuple[list[WrittenFacts], dict[str, int]]:
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
        )
        events = runner.map(self.rows, _events_of_rows, context)
        work = {"table": self.table, "token": token, "first": first}
        files = runner.map(
            runner.meet(events, parts),
            _write_events,
            self.spark.context([self.view], **work),
            takes_packs=True,
        )
        facts: list[WrittenFacts] = []
        refused: dict[str, int] = {}
        read = RowDigest()
        for _, report in runner.gather(files):
            written, left_out = _told(report)
            facts.append(written)
            add_counts(refused, left_out)
            read += RowDigest.from_text(report.column(_READ)[0].as_py())
        if read != sum(self.digests, RowDigest()):  # a partition without rows may have no task
            raise _changed(self.view)
        return facts, refused


def _digest_rows(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """The digest of a partition's rows, under its number."""
    schema, digest = Schema(context["schema"]), RowDigest()
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
        rows = conform(table, pipeline.takes, f"source {view.source.name!r}")
        done = pipeline(rows, known_time=context["now"], buckets=context["buckets"])
        add_counts(refused, {why: len(at) for why, at in done.refused.items()})
        numbers = pa.array(start + digest.rows + done.row)
        events = done.events.append_column(SEQUENCE, numbers)
        yield from dealt(events, events.column(BUCKET).to_numpy() % parts, parts)
        digest += RowDigest.of(rows)
    if digest != expected:  # or numbers might be those of other rows
        raise _changed(view)
    yield Piece(0, pa.table({_READ: [digest.to_text()], _REFUSED: [json.dumps(refused)]}))


def _write_events(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Write the files of some buckets."""
    read = RowDigest()
    refused: dict[str, int] = {}

    def events() -> Iterator[pa.RecordBatch]:
        nonlocal read
        for _, table in pieces:
            if _READ in table.column_names:
                read += RowDigest.from_text(table.column(_READ)[0].as_py())
                add_counts(refused, json.loads(table.column(_REFUSED)[0].as_py()))
            else:
                yield from table.to_batches()

    files = TaskProject(context).offline.write_files(
        context["table"], events(), token=context["token"], first=context["first"], numbered=True
    )
    yield Piece(0, _telling(files, refused).append_column(_READ, [[read.to_text()]]))


def _changed(view: FeatureView) -> ConflictError:
    return ConflictError(
        f"the DataFrame for {view.source.name!r} gave other rows when it was read again; nothing "
        f"was added: cache it, or write it to files and ingest those"
    )


# ---------------------------------------------------------------- both


def _telling(files: WrittenFacts, refused: Mapping[str, int]) -> pa.Table:
    """What a task tells the driver: what it wrote, and what it left out."""
    report = {_WRITTEN: json.dumps(asdict(files)), _REFUSED: json.dumps(dict(refused))}
    return pa.Table.from_pylist([report])


def _told(table: pa.Table) -> tuple[WrittenFacts, dict[str, int]]:
    report = table.to_pylist()[0]
    return WrittenFacts(**json.loads(report[_WRITTEN])), json.loads(report[_REFUSED])
