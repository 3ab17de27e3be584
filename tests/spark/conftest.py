"""One session of Spark for all of these tests: starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from noskew.runners.spark.session import make_session
from tests.spark_cluster import JAVA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark_session() -> Iterator[SparkSession]:
    """A session as users have them: of another time zone, and with batches of few rows."""
    made = make_session(
        "local[2]",
        {
            "spark.sql.session.timeZone": "America/New_York",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "150",
            "spark.driver.extraJavaOptions": JAVA,
        },
    )
    yield made
    made.stop()
