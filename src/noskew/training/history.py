"""Training sets: the features of a service as of each row's time, bucket by bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.errors import SchemaMismatchError, nearest
from noskew.kernel import on_demand
from noskew.kernel.conform import conform, conform_column
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE, Events
from noskew.kernel.history import KnownAt, historical
from noskew.kernel.keys import buckets_of, encode_columns, integers
from noskew.kernel.plan import ViewPlan, compile_view
from noskew.kernel.ragged import Ragged
from noskew.stores.offline.base import Filter, OfflineStore, Progress
from noskew.training.keys import distinct_keys, positions, whole
from noskew.training.tables import has_table, table_name
from noskew.types import DType, Schema

#: The column of the caller's rows that says when each asks.
DEFAULT_EVENT_TIME = "event_timestamp"
#: Buckets worked on at a time; the kernel and the readers let go of the interpreter's lock.
_THREADS = 2


@dataclass(frozen=True)
class _Rows:
    """The caller's rows as the kernel needs them."""

    table: pa.Table
    t: NDArray[np.int64]


def historical_features(
    service: FeatureService,
    rows: pa.Table,
    offline: OfflineStore,
    *,
    event_time: str = DEFAULT_EVENT_TIME,
    known_at: KnownAt = None,
    snapshots: Mapping[str, int | None] | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """The rows with the service's features as of each row's own time.

    Rows come back in their order, duplicates and all columns kept. ``snapshots`` pins offline
    tables (by name) to earlier snapshots. ``progress`` is told of (row, view) pairs done.

    Raises SchemaMismatchError when a join key, request field or the event time is absent, of
    another type, or when a column has the name of a feature.
    """
    asked = _check_rows(service, rows, event_time)
    answers: dict[str, dict[str, pa.Array]] = {}
    for view in service.views:
        names = _features_of(service, view)
        plan = compile_view(view).restrict(names)
        table = table_name(view)
        pinned = snapshots.get(table) if snapshots else None
        answers[view.name] = _view_answer(
            view, plan, asked, offline, known_at=known_at, snapshot=pinned, progress=progress
        )
    computed = on_demand.compute(service, answers, rows)
    out = rows
    for column in service.columns:
        held = answers if isinstance(column.origin, FeatureView) else computed
        out = out.append_column(column.name, held[column.origin.name][column.feature])
    return out


def _check_rows(service: FeatureService, rows: pa.Table, event_time: str) -> _Rows:
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
    when = conform_column(rows.column(event_time), DType("timestamp"), f"{what}, {event_time!r}")
    if when.null_count:
        raise SchemaMismatchError(f"{what}: {when.null_count} rows have no {event_time!r}")
    return _Rows(rows, integers(whole(when)))


def _features_of(service: FeatureService, view: FeatureView) -> set[str]:
    selections = [*service.selections, *(i for f in service.on_demand for i in f.inputs)]
    return {n for s in selections if s.view.name == view.name for n in s.names}


def _view_answer(
    view: FeatureView,
    plan: ViewPlan,
    asked: _Rows,
    offline: OfflineStore,
    *,
    known_at: KnownAt,
    snapshot: int | None,
    progress: Progress | None,
) -> dict[str, pa.Array]:
    keys_table = conform(asked.table, view.entity.keys, "rows")
    columns = [whole(keys_table.column(k)) for k in view.entity.keys]
    keys, valid = encode_columns(columns)
    if not has_table(offline, view):
        nothing = np.full(len(asked.t), -1, np.int64)
        return _with_null_keys(historical(plan, _no_events(view, plan), nothing, asked.t), valid)
    info = offline.info(table_name(view), snapshot=snapshot)
    # Rows without a key match nothing: they go behind the last bucket.
    buckets = np.where(valid, buckets_of(keys, info.spec.buckets), info.spec.buckets)
    order = np.argsort(buckets, kind="stable")
    ends = np.searchsorted(buckets[order], np.arange(info.spec.buckets + 2))
    work = _Work(view, plan, asked, offline, columns, keys, known_at, info.snapshot)

    def one(bucket: int) -> dict[str, pa.Array]:
        index = order[ends[bucket] : ends[bucket + 1]]
        answer = work.bucket(bucket, index)
        if progress:
            progress(len(index))
        return answer

    asked_for = [b for b in range(info.spec.buckets) if ends[b + 1] > ends[b]]
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(one, asked_for))
    unkeyed = order[ends[-2] :]
    if len(unkeyed) or not parts:
        none = np.full(len(unkeyed), -1, np.int64)
        parts.append(historical(plan, _no_events(view, plan), none, asked.t[unkeyed]))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    place = pa.array(back)
    together = {n: pa.concat_arrays([p[n] for p in parts]).take(place) for n in parts[0]}
    return _with_null_keys(together, valid)


@dataclass(frozen=True)
class _Work:
    """One view's question, answered a bucket at a time."""

    view: FeatureView
    plan: ViewPlan
    asked: _Rows
    offline: OfflineStore
    columns: Sequence[pa.Array]
    keys: Ragged
    known_at: KnownAt
    snapshot: int | None

    def bucket(self, bucket: int, index: NDArray[np.int64]) -> dict[str, pa.Array]:
        """The answer for the rows at ``index``, all of one bucket."""
        t = self.asked.t[index]
        at = pa.array(index)
        mine = [c.take(at) for c in self.columns]
        unique, group = distinct_keys(mine, list(self.view.entity.keys))
        table = self.offline.read(
            table_name(self.view),
            [*self.view.entity.keys, EVENT_TIME, KNOWN_TIME, SEQUENCE, *self._values()],
            bucket=bucket,
            where=Filter(
                event_from=self._earliest(int(t.min())),
                event_to=self._latest(int(t.max())),
                known_to=self.known_at if isinstance(self.known_at, int) else None,
                keys=unique,
            ),
            snapshot=self.snapshot,
        )
        events = Events.from_table(table, list(self.view.entity.keys))
        entity = positions(unique, events.keys)[group]
        return historical(self.plan, events, entity, t, self.known_at)

    def _values(self) -> list[str]:
        wanted = [c for c in self.plan.columns if c not in self.view.entity.keys]
        return [*wanted, EVENT_ID] if self.view.source.event_id else wanted

    def _latest(self, t: int) -> int | None:
        """No event after this can matter to a row at ``t`` or earlier.

        Where events have ids, any event can: it may make another one a duplicate.
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


def _with_null_keys(answer: dict[str, pa.Array], valid: NDArray[np.bool_]) -> dict[str, pa.Array]:
    """SPEC §2: a row with a null in its key has null features."""
    if valid.all():
        return answer
    at = pa.array(np.arange(len(valid)), mask=~valid)
    return {name: values.take(at) for name, values in answer.items()}


def _no_events(view: FeatureView, plan: ViewPlan) -> Events:
    columns = {c: view.columns[c] for c in plan.columns}
    clocks = {EVENT_TIME: "timestamp", KNOWN_TIME: "timestamp", SEQUENCE: "int64"}
    schema = Schema({**view.entity.keys, **columns}).arrow
    for name, kind in clocks.items():
        schema = schema.append(pa.field(name, DType(kind).to_arrow()))
    return Events.from_table(schema.empty_table(), list(view.entity.keys))
