"""A real Spark, which says what a text or a function of Spark means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    # It would compile hundreds of columns; what they mean is the same.
    "spark.sql.codegen.wholeStage": "false",
}


@pytest.fixture(scope="module")
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """Spark with ANSI mode off and the time zone UTC, for the tests of one module."""
    before = {name: spark_session.conf.get(name, None) for name in _SETTINGS}
    for name, value in _SETTINGS.items():
        spark_session.conf.set(name, value)
    yield spark_session
    for name, old in before.items():
        if old is None:
            spark_session.conf.unset(name)
        else:
            spark_session.conf.set(name, old)
