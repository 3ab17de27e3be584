"""Ingests of a project: of which views, from what data, and by which runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import InputError
from noskew.runners.spark.session import is_frame
from noskew.stores.offline.base import OfflineStore
from noskew.stores.sources.frame import is_data_frame
from noskew.training import frames
from noskew.training.ingest import IngestReport, ingest
from noskew.training.progress import ViewProgress, of_one
from noskew.training.relation.doors import Door
from noskew.training.spark.ingest import FrameOfSource, ingest_frame, ingest_parts
from noskew.training.spark.task_project import RunnerProject, SparkProject


def ingest_all(
    views: Iterable[FeatureView],
    offline: OfflineStore,
    clock: Clock,
    *,
    root: Path,
    buckets: int,
    data: Any = None,
    source: str | None = None,
    progress: ViewProgress | None = None,
    spark: RunnerProject | None = None,
    run: int | None = None,
    whole: bool = False,
) -> Iterator[IngestReport]:
    """Ingest each view from ``data`` of ``source``, else from its source's own batch data.

    Paths of the source's own are taken from ``root``. ``spark``: what does the work; None for
    this process, which also does it for data that only it has. ``run``: the number of the run.
    ``whole``: read all of sources that have a cursor.

    Yields the report of each view when it is done.

    Raises InputError if it is not said whose data it is, and as :func:`ingest`.
    """
    if data is not None and source is None:
        raise InputError("say which source the data belongs to: ingest('name', data)")
    of_spark = (
        FrameOfSource(data, spark) if isinstance(spark, SparkProject) and is_frame(data) else None
    )
    connector = None
    if data is not None and of_spark is None:
        connector = _connector_of(data, f"data for {source!r}")
    for view in views:
        door = _door(view.source, is_given=connector is not None)
        own = view.source.batch.rooted(root) if view.source.batch else None
        chosen, rows_done = connector or own, of_one(progress, view.name)
        if of_spark is not None:
            _check_adds(view.source)
            report = ingest_frame(
                view, of_spark, offline, clock, buckets=buckets, run=run, progress=rows_done
            )
        elif spark is not None and not _is_read_here(view.source, chosen, door):
            report = ingest_parts(
                spark,
                view,
                chosen,
                offline,
                clock,
                buckets=buckets,
                door=door,
                run=run,
                progress=rows_done,
            )
        else:
            report = ingest(
                view,
                offline,
                clock,
                buckets=buckets,
                connector=chosen,
                door=door,
                run=run,
                whole=whole,
                progress=rows_done,
            )
        yield report


def _door(source: Source, *, is_given: bool) -> Door:
    """Whose data it is: what is given is the source's own where it replaces, and has no other."""
    is_all = source.changes == "replace" and source.batch is None
    return Door.GIVEN if is_given and not is_all else Door.OWN


def _is_read_here(source: Source, data: connectors.Connector | None, door: Door) -> bool:
    """Whether only this process has the data, or what a cursor leaves of it is little."""
    return isinstance(data, connectors.Frame) or (source.cursor is not None and door is Door.OWN)


def _check_adds(source: Source) -> None:
    """Raise InputError if a Spark DataFrame would have to take rows back."""
    if source.changes == "replace" and source.batch is None:
        raise InputError(
            f"source {source.name!r}: a Spark DataFrame cannot replace what is there "
            f"(changes='replace'); write it to files, and ingest ns.Parquet(…)"
        )


def _connector_of(data: Any, what: str) -> connectors.Connector:
    if isinstance(data, connectors.Connector):
        return data
    # The reader of a frame leaves behind what nobody declared, before it converts the rest.
    if isinstance(data, pa.Table) or is_data_frame(data):
        return connectors.Frame(data)
    return connectors.Frame(frames.to_arrow(data, what))
