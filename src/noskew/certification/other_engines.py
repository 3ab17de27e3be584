"""Events made by others than this process: by tasks of Spark, and by engines that run the SELECT.

A native view is run by PostgreSQL or Spark itself, on the same rows, and must give the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.certification.causes import of_engine, of_runner
from noskew.certification.outcomes import PathRun
from noskew.certification.postgres_values import can_hold, values_query
from noskew.definitions.connectors import Postgres
from noskew.definitions.native import ENGINES
from noskew.definitions.push_down import NUMBER, PushDown, push_down
from noskew.definitions.view import FeatureView
from noskew.errors import CertificateError, NoskewError
from noskew.kernel.transforms.pipeline import Pipeline, Transformed
from noskew.runners.base import Piece
from noskew.training.ingest import open_connector
from noskew.training.spark.native import made_by_spark
from noskew.training.spark.runners import Runners
from noskew.training.spark.task_project import SparkProject, TaskProject
from noskew.types import Schema

#: Rows that a task of Spark is given at a time.
_PIECE = 256
_ROW, _REFUSED = "_source_row", "_refused"


@dataclass(frozen=True)
class Engine:
    """Something else than this process that makes events of rows.

    Attributes
    ----------
    path
        What its path is called in a certificate.
    run
        Makes events of a batch.
    cause
        What it means if they are others.
    library, version
        What it is.
    can_take
        Which rows it can be given at all, bool, shape (rows,).
    can_fail
        Whether it can be given rows that it fails on.
    """

    path: str
    run: PathRun
    cause: str
    library: str
    version: str
    can_take: Callable[[pa.Table], NDArray[np.bool_]]
    can_fail: bool = True


def other_engines(
    view: FeatureView, known_time: int, runners: Runners | None, *, thorough: bool
) -> Iterator[Engine]:
    """Those that the view is to be compared on.

    ``thorough``: Spark's tasks, too, where the configuration names Spark as the runner. Raises
    CertificateError if the engine of a native view cannot be reached.
    """
    usual = runners.project(None) if thorough and runners is not None else None
    if isinstance(usual, SparkProject):
        spark = usual
        run = partial(_by_tasks, spark, view, known_time)
        version = spark.runner.version
        yield Engine("Spark's tasks", run, of_runner(), "pyspark", version, _all, can_fail=False)
    if view.native_dialect:
        try:
            yield _native(view, known_time, runners)
        except NoskewError as error:
            raise CertificateError(
                f"{view.name}: native=True needs a certificate that compares "
                f"{ENGINES[view.native_dialect]} with DuckDB, and that cannot be made: {error}"
            ) from error


def _native(view: FeatureView, known_time: int, runners: Runners | None) -> Engine:
    pushed = push_down(view, numbered=True)
    path, cause = f"{pushed.engine} itself", of_engine(pushed.engine)
    ask: Callable[[pa.Table, PushDown], pa.Table]
    if pushed.dialect == "postgres":
        connector = view.source.batch
        assert isinstance(connector, Postgres), "a definition was checked for it"
        version = _answer(replace(connector, sql=_VERSION)).column(0)[0].as_py()
        ask, can_take, library = partial(_by_postgres, connector), can_hold, "postgresql"
    else:
        assert runners is not None, "a definition is certified in a project"
        spark = runners.spark()
        version, library = spark.runner.version, "pyspark"
        ask, can_take = partial(_by_spark, spark, f"feature view {view.name!r}"), _all
    pipeline = Pipeline(view, pushed=pushed)

    def run(rows: pa.Table, _: NDArray[np.int64]) -> Transformed:
        answer = ask(rows.append_column(NUMBER, pa.array(np.arange(len(rows)))), pushed)
        answer = answer.sort_by(NUMBER)
        transformed = pipeline(answer, known_time=known_time, buckets=1)
        number = answer.column(NUMBER).to_numpy()
        refused = {why: number[at] for why, at in transformed.refused.items()}
        return Transformed(transformed.events, number[transformed.row], refused)

    return Engine(path, run, cause, library, version, can_take)


def _all(rows: pa.Table) -> NDArray[np.bool_]:
    return np.ones(len(rows), np.bool_)


# ---------------------------------------------------------------- engines of a dialect

_VERSION = "SELECT current_setting('server_version') AS version"


def _by_postgres(connector: Postgres, rows: pa.Table, pushed: PushDown) -> pa.Table:
    return _answer(replace(connector, sql=pushed.over(values_query(rows))))


def _answer(connector: Postgres) -> pa.Table:
    source = open_connector(connector, Schema())
    (part,) = source.parts()
    return pa.Table.from_batches(source.read(part), source.schema())


def _by_spark(spark: SparkProject, what: str, rows: pa.Table, pushed: PushDown) -> pa.Table:
    frame = spark.runner.frame(rows)
    return spark.runner.collect(made_by_spark(spark.runner, frame, pushed, what))


# ---------------------------------------------------------------- tasks of Spark


def _by_tasks(
    spark: SparkProject, view: FeatureView, known_time: int, rows: pa.Table, _: NDArray[np.int64]
) -> Transformed:
    """Events of rows in small pieces, each made in a process of Spark."""
    pieces = [rows.slice(at, _PIECE) for at in range(0, max(1, len(rows)), _PIECE)]
    context = spark.context([view], view=view.name, now=known_time)
    events: list[pa.Table] = []
    refused: dict[int, str] = {}
    for _number, table in spark.runner.run(pieces, _events_of_rows, context):
        if _REFUSED in table.column_names:
            refused |= {row: why for why, row in _refusals(table)}
        else:
            events.append(table)
    joined = pa.concat_tables(events).sort_by(_ROW)
    by_reason = {
        why: np.array(sorted(row for row in refused if refused[row] == why))
        for why in set(refused.values())
    }
    return Transformed(joined.drop_columns([_ROW]), joined.column(_ROW).to_numpy(), by_reason)


def _events_of_rows(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """Events, each with the place of its row among all, and what was refused."""
    pipeline = Pipeline(TaskProject(context).project.view(context["view"]))
    for number, table in pieces:
        done = pipeline(table, known_time=context["now"], buckets=1)
        first = number * _PIECE
        yield Piece(number, done.events.append_column(_ROW, pa.array(first + done.row)))
        refused = [(why, first + int(at)) for why, some in done.refused.items() for at in some]
        yield Piece(number, pa.table({_REFUSED: [json.dumps(refused)]}))


def _refusals(table: pa.Table) -> list[tuple[str, int]]:
    rows: list[tuple[str, int]] = json.loads(table.column(_REFUSED)[0].as_py())
    return rows
