"""Materialize on Spark: each task folds some buckets, and writes their rows to the online store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.errors import InputError
from noskew.intake.tables import table_name
from noskew.runners.base import Piece
from noskew.stores.offline.base import OfflineStore, RowProgress
from noskew.stores.online.base import OnlineStore
from noskew.training.materialize import EarlierRun, Fill, Filled, MaterializeJob, fill_here
from noskew.training.spark.task_project import RunnerProject, TaskProject

_BUCKET = "bucket"


def filled_by(spark: RunnerProject) -> Fill:
    """What writes the rows of a job by tasks of Spark.

    Raises InputError for an embedded online store whose files other machines do not have.
    """

    def fill(
        job: MaterializeJob,
        offline: OfflineStore,
        online: OnlineStore,
        progress: RowProgress | None,
    ) -> Filled:
        del offline  # tasks open their own
        if online.embedded_at is not None and not spark.runner.is_local:
            raise InputError(
                f"the online store is in files of this machine, {str(online.embedded_at)!r}, and "
                f"Spark runs on others: use Redis, or materialize with runner='in_process'"
            )
        context = spark.context(
            [job.view],
            view=job.view.name,
            snapshot=job.table.snapshot,
            until=job.until,
            since=asdict(job.since) if job.since else None,
        )
        if job.table.snapshot is None:
            return Filled(0, 0, job.since.sequence if job.since else -1)
        cut = np.array_split(
            np.arange(job.table.spec.buckets), spark.runner.parts_of(job.table.spec.buckets)
        )
        tables = [pa.table({_BUCKET: numbers}) for numbers in cut]
        reports = [t.to_pylist()[0] for _, t in spark.runner.run(tables, _fill, context)]
        if progress:
            progress(sum(m["scanned"] for m in reports))
        return Filled(
            sum(m["entities"] for m in reports),
            sum(m["changed"] for m in reports),
            max(m["sequence"] for m in reports),
        )

    return fill


def _fill(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Write the rows of the buckets in each piece; they are durable when it is done."""
    place = TaskProject(context)
    view, offline, online = place.project.view(context["view"]), place.offline, place.online
    since = EarlierRun(**context["since"]) if context["since"] else None
    for number, table in pieces:
        info = offline.info(table_name(view), snapshot=context["snapshot"])
        job = MaterializeJob(view, place.tenant, info, context["until"], since)
        scanned: list[int] = []
        done = fill_here(job, offline, online, scanned.append, table.column(_BUCKET).to_pylist())
        online.sync()
        yield Piece(number, pa.Table.from_pylist([asdict(done) | {"scanned": sum(scanned)}]))
