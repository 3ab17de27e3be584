"""From rows of a source to the events of a view: conform, filter, transform, stamp, sort out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.engines import check_engine
from noskew.definitions.push_down import PushDown
from noskew.definitions.sql_engine import ROW
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView
from noskew.errors import SchemaMismatchError
from noskew.kernel import values
from noskew.kernel.conform import conform, conform_column
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, OFFSET, ORIGIN, PLACE
from noskew.kernel.keys import buckets_of, encode_columns, integers
from noskew.kernel.transforms.functions import FunctionEngine
from noskew.kernel.transforms.sql import FilterEngine, SqlEngine
from noskew.types import Schema

BUCKET = "_bucket"
_UTC = pa.timestamp("us", "UTC")
_PLACES = (
    pa.field(ORIGIN, pa.string()),
    pa.field(OFFSET, pa.int64()),
    pa.field(PLACE, pa.int32()),
)


@dataclass
class Transformed:
    """What became of the rows of a batch.

    ``row`` has the source row of each event (int64, ascending); ``refused`` those of the events
    that were left out, by the reason.
    """

    events: pa.Table
    row: NDArray[np.int64]
    refused: dict[str, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Origin:
    """The rows that events were made of, in the order of the events; ``row``: None for all."""

    rows: pa.Table
    row: pa.ChunkedArray | None

    def column(self, name: str) -> pa.ChunkedArray:
        column = self.rows.column(name)
        return column if self.row is None else column.take(self.row)


def events_schema(view: FeatureView) -> pa.Schema:
    """The columns of a view's events, without the clocks and the bucket."""
    ids = [pa.field(EVENT_ID, pa.int64())] if view.source.event_id else []
    return pa.schema([*view.columns.arrow, *ids, *(_PLACES if view.source.stream else ())])


class Pipeline:
    """The transform of a view, ready to run on batches. Safe to share by threads.

    It is row-wise: which events come out of a row does not depend on the batch around it.
    ``streamed``: the log says when a row became known, not its created column, and a row without
    an event time is refused instead of failing the batch. ``pushed``: rows come from an engine
    that has run the transform, and what is left is to make events of them.
    """

    def __init__(
        self, view: FeatureView, *, streamed: bool = False, pushed: PushDown | None = None
    ) -> None:
        what = f"feature view {view.name!r}"
        self._view, self._source = view, view.source
        self._streamed, self._pushed = streamed, pushed
        #: The columns of the rows that are taken, and their types.
        self.takes: Schema = pushed.schema if pushed else view.source.schema
        self._filter = FilterEngine(view.source.filter, what) if view.source.filter else None
        self._engine: SqlEngine | FunctionEngine | None = None
        check_engines(view)
        transform = None if pushed else view.transform
        if isinstance(transform, SqlTransform):
            self._engine = SqlEngine(transform.statement, view.source.name, what)
        elif transform is not None:
            self._engine = FunctionEngine(transform, what)

    def __call__(
        self, batch: pa.Table, *, known_time: int | NDArray[np.int64], buckets: int
    ) -> Transformed:
        """The events of a batch of source rows.

        ``known_time`` (one, or one for each row) stands in where the source has no created
        column, or null in it. The events have the view's columns, ``_event_time``,
        ``_known_time``, ``_bucket``; for a source with event ids ``_event_id`` (a hash); and for
        one with a stream ``_origin``, ``_offset`` and ``_place``, null since these rows come
        from no log (who reads a log adds its own).
        Rows without a key or an event time, or dated further ahead of their known time than
        the source allows, are refused.

        Raises SchemaMismatchError for columns that do not fit, and TransformError when the
        transform fails.
        """
        source = self._source
        rows = conform(batch, self.takes, f"source {source.name!r}")
        kept = self._filter(rows) if self._filter else None
        if kept is not None:
            rows = rows.take(kept)
        output = self._engine(rows) if self._engine else rows.append_column(ROW, _positions(rows))
        row = output.column(ROW)
        # Row numbers ascend: if there are as many as rows, they are all of them.
        origin = _Origin(self._named(rows), None if len(output) == len(rows) else row)
        columns = {c: self._column(c, output, origin) for c in self._view.columns}
        events = pa.table(columns)
        clock = source.event_time
        when = columns[clock] if clock in columns else origin.column(clock)
        at = integers(values.whole(row if kept is None else kept.take(row)))
        stamp = np.full(len(at), known_time) if isinstance(known_time, int) else known_time[at]
        known = pa.chunked_array([pa.array(stamp).view(_UTC)])
        if source.created and not self._streamed:
            known = pa.compute.coalesce(origin.column(source.created), known)
        events = events.append_column(EVENT_TIME, when).append_column(KNOWN_TIME, known)
        if source.event_id:
            events = events.append_column(EVENT_ID, _identify(origin.column(source.event_id)))
        for place in _PLACES if source.stream and not self._streamed else ():
            events = events.append_column(place, pa.nulls(len(events), place.type))
        return self._sort_out(events, at, buckets)

    def _named(self, rows: pa.Table) -> pa.Table:
        """Rows with the source's clocks and ids under the names that these have there."""
        carried = self._pushed.carried if self._pushed else {}
        if not carried:
            return rows
        return rows.select(list(carried)).rename_columns(list(carried.values()))

    def _column(self, name: str, output: pa.Table, origin: _Origin) -> pa.ChunkedArray:
        column = output.column(name) if name in output.column_names else origin.column(name)
        what = f"feature view {self._view.name!r}, column {name!r}"
        return conform_column(column, self._view.columns[name], what)

    def _sort_out(self, events: pa.Table, row: NDArray[np.int64], buckets: int) -> Transformed:
        """Leave out rows without a time or a key, and those dated too far in the future."""
        undated = ~values.valid_of(values.whole(events.column(EVENT_TIME)))
        if undated.any() and not self._streamed:
            raise SchemaMismatchError(
                f"source {self._source.name!r}: {undated.sum()} rows have "
                f"no event time ({self._source.event_time!r}); filter them out with filter=…"
            )
        columns = [values.whole(events.column(k)) for k in self._view.entity.keys]
        keys, has_key = encode_columns(columns)
        ahead = _micros(events, EVENT_TIME) - _micros(events, KNOWN_TIME)
        future = ~undated & (ahead > self._source.max_future)
        events = events.append_column(BUCKET, pa.array(buckets_of(keys, buckets)))
        refused = {
            "null key": ~has_key,
            "no event time": undated & has_key,
            "future event time": future & has_key,
        }
        keep = has_key & ~future & ~undated
        if keep.all():
            return Transformed(events, row)
        kept = events.filter(pa.array(keep))
        return Transformed(
            kept, row[keep], {why: row[at] for why, at in refused.items() if at.any()}
        )


def check_engines(view: FeatureView) -> None:
    """Refuse a view that was made with other engines than those that are installed.

    Raises TransformError, and MissingExtraError for one that is not there.
    """
    for kind, engine in _engines(view):
        check_engine(kind, engine, f"feature view {view.name!r}")


def _engines(view: FeatureView) -> Iterator[tuple[str, str]]:
    """The kinds of engine that a view runs on, and the engine of each that it was made with."""
    if view.source.filter:
        yield "sql", view.source.engine
    if isinstance(view.transform, SqlTransform):
        yield "sql", view.transform.engine
    elif view.transform is not None:
        yield view.transform.kind, view.transform.engine


def _positions(rows: pa.Table) -> pa.Array:
    return pa.array(np.arange(len(rows)))


def _micros(table: pa.Table, name: str) -> NDArray[np.int64]:
    return integers(values.whole(table.column(name)))


def _identify(column: pa.ChunkedArray) -> pa.Array:
    ids = values.whole(column)
    hashed = values.hashes(ids).view(np.int64)
    return pa.array(hashed, mask=~values.valid_of(ids) if ids.null_count else None)
