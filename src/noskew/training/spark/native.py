"""Spark runs a view's SELECT itself, as it is meant: in UTC, with ANSI mode off."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from noskew.definitions.push_down import PushDown
from noskew.errors import TransformError
from noskew.runners.spark.runner import SparkRunner

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: What Spark's SQL means here, whatever the user's session is set to.
_MEANING: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "false",
}
#: Whether Spark skips what no row of can pass a filter, as the statistics of a file have it.
_SKIPS = "spark.sql.parquet.filterPushdown"


@contextmanager
def skipping_nothing(rows: DataFrame) -> Iterator[None]:
    """Meanwhile all of the Parquet files behind ``rows`` is read, whatever their statistics say.

    Arrow leaves NaN out of them, and NaN is greater than all numbers: of a file with 1.0 and NaN
    Spark skips all for ``x > 5``. What counts is the setting of the session in which the files were
    named; it is put back afterwards.
    """
    conf = rows.sparkSession.conf
    before = conf.getAll.get(_SKIPS)
    conf.set(_SKIPS, "false")
    try:
        yield
    finally:
        if before is None:
            conf.unset(_SKIPS)
        else:
            conf.set(_SKIPS, before)


def made_by_spark(runner: SparkRunner, rows: DataFrame, pushed: PushDown, what: str) -> DataFrame:
    """What Spark makes of the rows of a source; nothing runs before somebody asks for it.

    The statement is read in a session of its own, so that the user's keeps its settings. Raises
    TransformError if Spark refuses it.
    """
    from pyspark.errors import PySparkException

    session = runner.session.newSession()
    for setting, value in {**runner.session.conf.getAll, **_MEANING}.items():
        if session.conf.isModifiable(setting):
            session.conf.set(setting, value)
    # Views of a session are its own; a global one is seen by both, for as long as it is read.
    name = f"noskew_{uuid.uuid4().hex}"
    rows.createGlobalTempView(name)
    try:
        return session.sql(pushed.over(f"SELECT * FROM global_temp.{name}"))
    except PySparkException as error:
        message = str(error).splitlines()[0]
        raise TransformError(f"{what}: Spark refuses its SELECT: {message}") from error
    finally:
        session.catalog.dropGlobalTempView(name)
