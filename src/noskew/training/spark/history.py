"""Training sets on Spark: rows go to their buckets, and ask there as they do in one process.

1. Rows are put into packs by the bucket of their key, which the kernel tells as it did for events.
2. Packs of a bucket meet in one partition. Views with the same keys and buckets share that move.
3. A task reads the events of its rows' buckets from the offline store, and answers.

Where a row is never decides its answer: a task would answer any row. Only that it reads few
buckets rests on 1 and 2. The rows of a table of this process are in packs from the start, and
answers come back in packs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.intake.tables import table_name
from noskew.kernel.conform import conform
from noskew.kernel.history import KnownAt
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.kernel.values import whole
from noskew.runners.base import Piece
from noskew.runners.spark.border import appended, struct_of
from noskew.runners.spark.tasks import dealt, together
from noskew.stores.offline.base import OfflineStore
from noskew.training.answer_columns import AnswerColumns
from noskew.training.history import (
    CallerRows,
    StoredFeatures,
    features_of,
    stored_features,
    with_features,
)
from noskew.training.load_time_warning import earliest
from noskew.training.row_lookup import RowBuckets
from noskew.training.spark.task_project import RunnerProject, SparkProject, TaskProject
from noskew.types import Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TIME = "_noskew_time"
_UTC = pa.timestamp("us", "UTC")
#: Rows that ask at a time. The events of their buckets are read for each such piece.
_MOST_ROWS = 1_048_576
#: Rows of a frame that are put into packs at a time.
_PACKED_ROWS = 262_144


@dataclass(frozen=True)
class _Group:
    """Views of the same keys, whose tables have the same buckets."""

    keys: Schema
    buckets: int
    views: list[FeatureView]

    @property
    def names(self) -> list[str]:
        return [v.name for v in self.views]


@dataclass(frozen=True)
class HistoryQuery:
    """What is asked, whatever the rows: pinned on the driver, so that all tasks read the same."""

    service: FeatureService
    event_time: str
    known_at: KnownAt
    snapshots: Mapping[str, int | None]

    # ------------------------------------------------------------ rows of this process

    def of_table(self, spark: RunnerProject, offline: OfflineStore, rows: pa.Table) -> pa.Table:
        """The answer for rows of this process, in their order.

        Only keys and times leave, and only features come back.
        """
        asked = CallerRows.of(self.service, rows, self.event_time)
        groups, empty = self._groups(offline)
        stored = stored_features(
            self.service, empty, asked, offline, known_at=self.known_at, snapshots=self.snapshots
        )
        for group in groups:
            stored |= self._scattered(spark, group, asked)
        return with_features(self.service, rows, stored)

    def _scattered(self, spark: RunnerProject, group: _Group, asked: CallerRows) -> StoredFeatures:
        table = conform(asked.table, group.keys, "rows")
        buckets = RowBuckets([whole(table.column(k)) for k in group.keys], group.buckets)
        table = table.append_column(_TIME, pa.array(asked.t).view(_UTC))
        pieces = list(_ranges(buckets, spark.runner.parts))
        sent = (table.take(pa.array(buckets.order[start:end])) for start, end in pieces)
        context = self._context(spark, views=group.names)
        kinds = {
            f"{v.name}.{n}": v.features[n].dtype.to_arrow()
            for v in group.views
            for n in features_of(self.service, v)
        }
        answer = AnswerColumns(kinds, buckets.order)
        at = [start for start, _ in pieces]  # where what comes next of each piece goes
        for number, answers in spark.runner.run(sent, _answer_some, context):
            values = {n: whole(answers.column(n)) for n in answers.column_names}
            answer.put(np.arange(at[number], at[number] + len(answers)), values)
            at[number] += len(answers)
        rows = answer.finish()
        return {
            v.name: {n: rows[f"{v.name}.{n}"] for n in features_of(self.service, v)}
            for v in group.views
        }

    # ------------------------------------------------------------ rows of Spark

    def of_frame(self, spark: SparkProject, offline: OfflineStore, frame: DataFrame) -> DataFrame:
        """The answer for the rows of a frame, in no order. It is computed when it is asked for.

        Columns are checked now. Values that cannot be, such as a row without a time, are errors
        of the task that meets them.
        """
        columns = spark.runner.schema(frame)
        nothing = columns.empty_table()
        CallerRows.of(self.service, nothing, self.event_time)
        wanted = Schema({**self.service.join_keys, **self.service.request})
        conform(nothing, wanted, f"rows for {self.service.name!r}")
        schema = appended(frame.schema, struct_of(pa.schema(self._features())))
        groups, empty = self._groups(offline)
        if not groups:
            context = self._context(spark, views=[v.name for v in empty], earlier=[], next=None)
            return spark.runner.map(frame, _answer, context, columns=schema)
        moves = [
            {
                "keys": g.keys.texts(),
                "buckets": g.buckets,
                "parts": spark.runner.parts_of(g.buckets),
            }
            for g in groups
        ]
        packs = spark.runner.map(frame, _put_into_packs, moves[0])
        earlier: list[str] = []
        for i, group in enumerate(groups):
            packs = spark.runner.meet(packs, spark.runner.parts_of(group.buckets))
            names = [*group.names, *(v.name for v in empty if i == 0)]
            is_last = i == len(groups) - 1
            context = self._context(
                spark, views=names, earlier=earlier, next=None if is_last else moves[i + 1]
            )
            packs = spark.runner.map(
                packs, _answer, context, columns=schema if is_last else None, takes_packs=True
            )
            earlier = [*earlier, *names]
        return packs

    def earliest(self, spark: SparkProject, frame: DataFrame) -> int | None:
        """The least time of a frame's rows; None if there are none. The rows are looked at."""
        times = spark.runner.select(frame, [self.event_time]).toDF(_TIME)
        times_found = spark.runner.gather(spark.runner.map(times, _least_time, {}))
        return min((int(table.column(0)[0].as_py()) for _, table in times_found), default=None)

    def collected(self, columns: pa.Schema) -> pa.Schema:
        """The types of an answer in this process; ``columns``: those of the rows, of Spark."""
        return pa.schema([*columns, *self._features()])

    # ------------------------------------------------------------ both

    def _features(self) -> list[pa.Field]:
        return [pa.field(c.name, c.dtype.to_arrow()) for c in self.service.columns]

    def _context(self, spark: RunnerProject, **more: Any) -> dict[str, Any]:
        return spark.context(
            [self.service],
            service=self.service.name,
            event_time=self.event_time,
            known_at=self.known_at,
            snapshots=dict(self.snapshots),
            **more,
        )

    def _groups(self, offline: OfflineStore) -> tuple[list[_Group], list[FeatureView]]:
        """Views that share a move; and those without events, which need none."""
        groups: dict[Any, _Group] = {}
        empty = []
        for view in self.service.views:
            snapshot = self.snapshots.get(table_name(view))
            if snapshot is None:
                empty.append(view)
                continue
            buckets = offline.info(table_name(view), snapshot=snapshot).spec.buckets
            keys = view.entity.keys
            groups.setdefault((keys, buckets), _Group(keys, buckets, [])).views.append(view)
        return list(groups.values()), empty


def _ranges(buckets: RowBuckets, parts: int) -> Iterator[tuple[int, int]]:
    """Places of rows for about ``parts`` tasks: whole buckets, unless one has too many rows."""
    ends = np.cumsum([len(rows) for _, _, rows in buckets]).tolist()
    least = min(_MOST_ROWS, -(-ends[-1] // parts)) if ends else 0
    start = 0
    for end in ends:
        while end - start > _MOST_ROWS:
            yield start, start + _MOST_ROWS
            start += _MOST_ROWS
        if end - start >= least or end == ends[-1]:
            yield start, end
            start = end


# ---------------------------------------------------------------- tasks


def _least_time(pieces: Iterable[Piece], _: Mapping[str, Any]) -> Iterator[Piece]:
    """The least time of each piece, in µs; nothing for one without rows."""
    for _number, table in pieces:
        least = earliest(table, _TIME)
        if least is not None:
            yield Piece(0, pa.table({_TIME: [least]}))


def _put_into_packs(pieces: Iterable[Piece], move: Mapping[str, Any]) -> Iterator[Piece]:
    """Rows by the number of the part that their bucket goes to."""
    for table in together(pieces, _PACKED_ROWS):
        yield from _packs(table, table, move)


def _packs(table: pa.Table, rows: pa.Table, move: Mapping[str, Any]) -> Iterator[Piece]:
    """``table`` by the part of each row's bucket; ``rows`` have the keys. Null keys are spread."""
    keys, parts = Schema(move["keys"]), int(move["parts"])
    asked = conform(rows, keys, "rows")
    encoded, valid = encode_columns([whole(asked.column(k)) for k in keys])
    part = np.where(valid, buckets_of(encoded, move["buckets"]), np.arange(len(rows))) % parts
    yield from dealt(table, part, parts)


def _answer_some(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """The features of some views for keys and times, alone."""
    place = TaskProject(context)
    service, views = _asked(place, context)
    for number, table in pieces:
        asked = CallerRows.of(service, table, _TIME)
        stored = _stored(place, service, views, asked, context)
        columns = {
            f"{v}.{n}": array for v, features in stored.items() for n, array in features.items()
        }
        yield Piece(number, pa.table(columns))


def _answer(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Rows with the features of some views.

    After the last of them as the service has them; else in packs, for the views that come next.
    """
    place = TaskProject(context)
    service, views = _asked(place, context)
    for table in together(pieces, _MOST_ROWS):
        rows, earlier = _taken(service, table, context["earlier"])
        asked = CallerRows.of(service, rows, context["event_time"])
        stored = _stored(place, service, views, asked, context)
        if context["next"] is None:
            yield Piece(0, with_features(service, rows, earlier | stored))
        else:
            yield from _packs(_put(service, table, stored), rows, context["next"])


def _asked(
    place: TaskProject, context: Mapping[str, Any]
) -> tuple[FeatureService, list[FeatureView]]:
    service = place.project.service(context["service"])
    return service, [v for v in service.views if v.name in context["views"]]


def _stored(
    place: TaskProject,
    service: FeatureService,
    views: Sequence[FeatureView],
    asked: CallerRows,
    context: Mapping[str, Any],
) -> StoredFeatures:
    return stored_features(
        service,
        views,
        asked,
        place.offline,
        known_at=context["known_at"],
        snapshots=context["snapshots"],
        threads=1,
    )


def _waiting(view: str, feature: str) -> str:
    """The column in which a feature waits for those of other views."""
    return f"_noskew_{view}.{feature}"


def _put(service: FeatureService, rows: pa.Table, stored: StoredFeatures) -> pa.Table:
    for view in service.views:
        for name in features_of(service, view) if view.name in stored else ():
            rows = rows.append_column(_waiting(view.name, name), stored[view.name][name])
    return rows


def _taken(
    service: FeatureService, rows: pa.Table, views: Sequence[str]
) -> tuple[pa.Table, StoredFeatures]:
    """The rows, and the features of ``views`` that wait in them."""
    features: StoredFeatures = {}
    names: list[str] = []
    for view in service.views:
        if view.name in views:
            waiting = {n: _waiting(view.name, n) for n in features_of(service, view)}
            features[view.name] = {n: whole(rows.column(c)) for n, c in waiting.items()}
            names += waiting.values()
    return rows.drop_columns(names), features
