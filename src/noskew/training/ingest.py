"""Ingest: read a source, transform its rows into events, append them to the offline table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.project import Project
from noskew.definitions.push_down import PushDown, push_down
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, InputError
from noskew.intake.tables import one_per_log, table_spec
from noskew.kernel.transforms.pipeline import Pipeline, check_engines
from noskew.stores.offline.base import Commit, OfflineStore, RowProgress
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.opening import open_source
from noskew.training.read_ahead import read_ahead

#: Rows of a source that are transformed at a time.
BATCH_ROWS = 262_144


@dataclass
class IngestReport:
    """What an ingest did for one view."""

    view: str
    rows: int = 0
    parts: int = 0
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def add(self, part: Part, commit: Commit, progress: RowProgress | None) -> None:
        """Count a part that is in the table; ``progress`` was told of it, unless it was before."""
        self.parts += 1
        self.repeated += commit.repeated
        self.rows += 0 if commit.repeated else commit.rows
        if commit.repeated and progress and part.rows:
            progress(part.rows)


def views_to_ingest(project: Project, source: str | None) -> list[FeatureView]:
    """One view for each offline table that an ingest of ``source`` fills; None: all with data.

    Raises NotFoundError for a source that is not in the project.
    """
    views = one_per_log(project.views.values())
    if source is None:
        return [v for v in views if v.source.batch is not None]
    return [v for v in views if v.source.name == project.source(source).name]


def open_connector(connector: connectors.Connector, schema: pa.Schema) -> BatchSource:
    """The reader of a connector. ``schema`` types the columns of files that have no types."""
    if isinstance(connector, connectors.Frame):
        return open_source("frame", {"frame": connector.data})
    options: dict[str, Any] = connector.to_dict()
    kind = options.pop("kind")
    if isinstance(connector, connectors.Csv):
        options["column_types"] = {f.name: f.type for f in schema}
    elif isinstance(connector, connectors.Postgres):
        variable = options.pop("dsn_env")
        if not os.environ.get(variable):
            raise ConfigError(f"set the environment variable {variable} to the connection string")
        options["dsn"] = os.environ[variable]
    return open_source(kind, options)


def ingest(
    view: FeatureView,
    offline: OfflineStore,
    clock: Clock,
    *,
    buckets: int,
    connector: connectors.Connector | None = None,
    progress: RowProgress | None = None,
) -> IngestReport:
    """Append the events of every part of the view's source that the table does not have yet.

    Each part is one atomic commit under a token made of its content, so a repeated ingest, or
    one after a kill, adds nothing twice and loses nothing. Rows with a null key, or dated
    further ahead than the source allows, are left out and counted in the report.

    Raises InputError if there is no source to read, SchemaMismatchError for columns that do
    not fit the source's schema, TransformError when the transform fails, and StoreError.
    """
    chosen, pushed = pushed_down(view, chosen_connector(view, connector))
    source = open_connector(chosen, view.source.schema.arrow)
    table, table_buckets = open_table(view, offline, buckets)
    run = Ingest(view, source, table_buckets, clock.now(), pushed)
    report = IngestReport(view.name)
    for part in source.parts():
        commit = offline.append(table, run.events(part, progress), token=token_of(part))
        report.add(part, commit, progress)
    report.refused = run.refused
    return report


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

    The certificate holds for the server of the source; rows of another one are computed here.
    """
    own = view.source.batch
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


def token_of(part: Part) -> str:
    """What a commit of a part is known by; the same whoever ingests it."""
    return f"ingest:{part.token}"


class Ingest:
    """From parts of a source to events of a view; counts what is refused."""

    def __init__(
        self,
        view: FeatureView,
        source: BatchSource,
        buckets: int,
        now: int,
        pushed: PushDown | None = None,
    ) -> None:
        self._pipeline = Pipeline(view, pushed=pushed)
        self._needed = list(self._pipeline.takes)
        self._source, self._buckets, self._now = source, buckets, now
        self.refused: dict[str, int] = {}

    def events(self, part: Part, progress: RowProgress | None) -> Iterator[pa.RecordBatch]:
        for batch in read_ahead(self._source.read(part, self._needed, batch_rows=BATCH_ROWS)):
            done = self._pipeline(
                pa.Table.from_batches([batch]), known_time=self._now, buckets=self._buckets
            )
            self._count(done.refused)
            yield from done.events.to_batches()
            if progress:
                progress(batch.num_rows)

    def _count(self, refused: Mapping[str, NDArray[np.int64]]) -> None:
        add_counts(self.refused, {why: len(rows) for why, rows in refused.items()})


def add_counts(to: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by reason to others."""
    for why, count in more.items():
        to[why] = to.get(why, 0) + count
