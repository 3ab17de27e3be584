"""Spark runs a view's SELECT itself, as it is meant: in UTC, with ANSI mode off."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
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
