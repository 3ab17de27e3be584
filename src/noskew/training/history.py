"""Training sets: the features of a service as of each row's time, bucket by bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.errors import SchemaMismatchError, nearest
from noskew.intake.retracted import retraction_columns
from noskew.intake.tables import has_table, table_name
from noskew.kernel import on_demand
from noskew.kernel.aggregates.ordered import Ordered
from noskew.kernel.arrays import Index
from noskew.kernel.conform import conform, conform_column
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE, Events
from noskew.kernel.history import KnownAt, historical
from noskew.kernel.keys import integers
from noskew.kernel.plan import ViewPlan, WindowFeature, compile_view
from noskew.kernel.spans import mark, spans
from noskew.kernel.values import whole
from noskew.runners.in_process import THREADS, each
from noskew.stores.offline.base import Filter, OfflineStore, RowProgress
from noskew.training.answer_columns import AnswerColumns
from noskew.training.event_time import DEFAULT_EVENT_TIME
from noskew.training.row_lookup import RowBuckets, RowLookup, RowMatches
from noskew.types import DType, Schema

#: A choice of events that keeps more than this share is not worth copying them for.
_WORTH_SELECTING = 0.5


#: The features of some views, by view and feature name.
StoredFeatures = dict[str, dict[str, pa.Array]]


def historical_features(
    service: FeatureService,
    rows: pa.Table,
    offline: OfflineStore,
    *,
    event_time: str = DEFAULT_EVENT_TIME,
    known_at: KnownAt = None,
    snapshots: Mapping[str, int | None] | None = None,
    progress: RowProgress | None = None,
) -> pa.Table:
    """The rows with the service's features as of each row's own time.

    Rows come back in their order, duplicates and all columns kept. ``snapshots`` pins offline
    tables (by name) to earlier snapshots; one that is not named had no events. ``progress`` is
    told of (row, view) pairs done.

    Raises SchemaMismatchError when a join key, request field or the event time is absent, of
    another type, or when a column has the name of a feature.
    """
    asked = CallerRows.of(service, rows, event_time)
    stored = stored_features(
        service,
        service.views,
        asked,
        offline,
        known_at=known_at,
        snapshots=snapshots,
        progress=progress,
    )
    return with_features(service, rows, stored)


@dataclass(frozen=True)
class CallerRows:
    """The caller's rows, and the time of each: int64 (µs), shape (rows,)."""

    table: pa.Table
    t: Index

    @classmethod
    def of(cls, service: FeatureService, rows: pa.Table, event_time: str) -> CallerRows:
        """Check that rows have a time and no feature. Raises SchemaMismatchError."""
        what = f"rows for {service.name!r}"
        if event_time not in rows.column_names:
            raise SchemaMismatchError(
                f"{what}: no column {event_time!r} with the time of each row; name it with "
                f"event_time=…; {nearest(event_time, rows.column_names)}"
            )
        clash = [c.name for c in service.columns if c.name in rows.column_names]
        if clash:
            raise SchemaMismatchError(
                f"{what}: the column {clash[0]!r} has the name of a feature; drop or rename it"
            )
        column = rows.column(event_time)
        when = conform_column(column, DType("timestamp"), f"{what}, {event_time!r}")
        if when.null_count:
            raise SchemaMismatchError(f"{what}: {when.null_count} rows have no {event_time!r}")
        return cls(rows, integers(whole(when)))


def stored_features(
    service: FeatureService,
    views: Iterable[FeatureView],
    asked: CallerRows,
    offline: OfflineStore,
    *,
    known_at: KnownAt,
    snapshots: Mapping[str, int | None] | None,
    progress: RowProgress | None = None,
    threads: int = THREADS,
) -> StoredFeatures:
    """The features of some of the service's views, those that it needs; see
    :func:`historical_features`.
    """
    features: StoredFeatures = {}
    for view in views:
        plan = compile_view(view).restrict(features_of(service, view))
        pinned = None if snapshots is None else snapshots.get(table_name(view))
        is_empty = not has_table(offline, view) if snapshots is None else pinned is None
        query = _ViewQuery(view, plan, asked, known_at)
        if is_empty:
            features[view.name] = query.of_nothing()
        else:
            features[view.name] = query.of(offline, pinned, progress, threads)
    return features


def with_features(service: FeatureService, rows: pa.Table, stored: StoredFeatures) -> pa.Table:
    """The rows, and the columns of the service after them; on-demand functions are run.

    ``stored``: the features of every view of the service.
    """
    computed = on_demand.compute(service, stored, rows)
    for column in service.columns:
        values = stored if column.is_stored else computed
        rows = rows.append_column(column.name, values[column.origin.name][column.feature])
    return rows


def features_of(service: FeatureService, view: FeatureView) -> set[str]:
    """The features of a view that a service needs, those for on-demand functions included."""
    selections = [*service.selections, *(i for f in service.on_demand for i in f.inputs)]
    return {n for s in selections if s.view.name == view.name for n in s.names}


@dataclass(frozen=True)
class _ViewQuery:
    """What rows ask of one view."""

    view: FeatureView
    plan: ViewPlan
    asked: CallerRows
    known_at: KnownAt

    def of_nothing(self) -> dict[str, pa.Array]:
        """The answer of a table without events."""
        buckets = RowBuckets(self._keys(), 1)
        answer, none = AnswerColumns(self._kinds(), buckets.order), np.full(len(buckets.keyed), -1)
        values = historical(
            self.plan, _no_events(self.view, self.plan), none, self.asked.t[buckets.keyed]
        )
        answer.put(np.arange(len(none)), values)
        return answer.finish()

    def of(
        self,
        offline: OfflineStore,
        snapshot: int | None,
        progress: RowProgress | None,
        threads: int,
    ) -> dict[str, pa.Array]:
        """The answer of the view's table; ``snapshot``: None for the latest."""
        info = offline.info(table_name(self.view), snapshot=snapshot)
        columns = self._keys()
        buckets = RowBuckets(columns, info.spec.buckets)
        answer = AnswerColumns(self._kinds(), buckets.order)
        nothing = _no_events(self.view, self.plan)
        work = _Work(
            self.view,
            self.plan,
            self.asked,
            offline,
            columns,
            self.known_at,
            info.snapshot,
            retraction_columns(info),
            nothing,
            answer,
        )

        def one(item: tuple[int, int, Index]) -> None:
            work.bucket(*item)
            if progress:
                progress(len(item[2]))

        each(one, buckets, threads=threads)
        return answer.finish()

    def _keys(self) -> list[pa.Array]:
        keys = self.view.entity.keys
        table = conform(self.asked.table, keys, "rows")
        return [whole(table.column(k)) for k in keys]

    def _kinds(self) -> dict[str, pa.DataType]:
        latest, windows = self.plan.latest, self.plan.windows
        return {f.name: f.kind for f in latest} | {f.name: f.kind for f in windows}


@dataclass(frozen=True)
class _Work:
    """One view's query, answered a bucket at a time, and in each a slice at a time."""

    view: FeatureView
    plan: ViewPlan
    asked: CallerRows
    offline: OfflineStore
    columns: Sequence[pa.Array]
    known_at: KnownAt
    snapshot: int | None
    retractions: Sequence[str]
    nothing: Events
    answer: AnswerColumns

    def bucket(self, bucket: int, first: int, rows: Index) -> None:
        """Answer the rows, all of one bucket; ``first``: the place of the first of them."""
        names = list(self.view.entity.keys)
        lookup = RowLookup(self.columns, names, rows)
        t = self.asked.t[rows]
        earliest, latest = self._earliest(int(t.min())), self._latest(int(t.max()))
        known_to = self.known_at if isinstance(self.known_at, int) else None
        where = Filter(event_from=earliest, event_to=latest, known_to=known_to, keys=lookup.keys)
        tables = self.offline.scan(
            table_name(self.view),
            [*names, *self._columns()],
            bucket=bucket,
            where=where,
            snapshot=self.snapshot,
        )
        horizon = self.view.source.event_id_horizon
        of = Events.lasting if self.known_at is None else Events.from_table
        events_of = partial(of, keys=names, id_horizon=horizon)
        for events, matches in lookup.sweep(tables, events_of):
            needed = self._needed(events, matches, where)
            del events  # they are many, and what is needed of them is a copy
            self._put(needed, first, matches.rows, matches.entity, t)
            del needed  # or it was held while the next table is read
        if self.plan.windows:
            rest = lookup.rest()
            self._put(self.nothing, first, rest, np.full(len(rest), -1), t)

    def _put(self, events: Events, first: int, rows: Index, entity: Index, t: Index) -> None:
        values = historical(self.plan, events, entity, t[rows], self.known_at)
        self.answer.put(first + rows, values)

    def _needed(self, events: Events, matches: RowMatches, where: Filter) -> Events:
        """Without the events that cannot matter, where each costs something and they are many.

        Latest values look up the few that they need; aggregates look at every one.
        """
        if not self.plan.windows:
            return events
        least = MIN_TIME if where.event_from is None else where.event_from
        most = MAX_TIME if where.event_to is None else where.event_to
        starts, ends = spans(events.event_time, events.offsets, matches.entity, least, most)
        if (ends - starts).sum() >= _WORTH_SELECTING * len(events):
            return events
        keep = np.zeros(len(events), bool)
        mark(starts, ends, keep)
        return events.select(keep)

    def _columns(self) -> list[str]:
        """What to read beside the keys.

        Ties are decided by the order of the table, and matter to few aggregates, so the clocks
        that made it are only read where something asks for them.
        """
        if self.view.source.event_id or any(_has_order(f) for f in self.plan.windows):
            clocks = [EVENT_TIME, KNOWN_TIME, SEQUENCE]
        else:
            clocks = [EVENT_TIME] if self.known_at is None else [EVENT_TIME, KNOWN_TIME]
        return list(dict.fromkeys([*clocks, *self.retractions, *self._values()]))

    def _values(self) -> list[str]:
        wanted = [c for c in self.plan.columns if c not in self.view.entity.keys]
        return [*wanted, EVENT_ID] if self.view.source.event_id else wanted

    def _latest(self, t: int) -> int | None:
        """No event after this can matter to a row at ``t`` or earlier.

        Where events have ids, any event can: it may make another one a duplicate. Nor does the
        horizon of ids bound what to read: what counts follows from the first of a chain of
        repetitions, however long ago that was known.
        """
        return None if self.view.source.event_id else t

    def _earliest(self, t: int) -> int | None:
        """No event before this can matter to a row at ``t`` or later."""
        if self.view.source.event_id:
            return None
        reach = 0
        for latest in self.plan.latest:
            if latest.max_age is None:
                return None
            reach = max(reach, latest.max_age)
        for feature in self.plan.windows:
            if feature.window is None:
                return None
            reach = max(reach, feature.window + feature.hop)
        return t - reach


def _has_order(feature: WindowFeature) -> bool:
    """Whether an aggregate's states carry the order of events; all others do not depend on it."""
    return any(isinstance(a, Ordered) for a in feature.aggregate.accumulators)


def _no_events(view: FeatureView, plan: ViewPlan) -> Events:
    columns = {c: view.columns[c] for c in plan.columns}
    clocks = {EVENT_TIME: "timestamp", KNOWN_TIME: "timestamp", SEQUENCE: "int64"}
    schema = Schema({**view.entity.keys, **columns}).arrow
    for name, kind in clocks.items():
        schema = schema.append(pa.field(name, DType(kind).to_arrow()))
    return Events.from_table(schema.empty_table(), list(view.entity.keys))
