"""Both runners do what every runner does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from noskew.runners.base import Runner
from noskew.runners.in_process import InProcessRunner
from noskew.runners.spark.runner import SparkRunner
from noskew.testing.runner import RunnerTests

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.conformance
class TestInProcess(RunnerTests):
    @pytest.fixture(params=[1, 3])
    def runner(self, request: pytest.FixtureRequest) -> Iterator[Runner]:
        with InProcessRunner(request.param) as runner:
            yield runner


@pytest.mark.conformance
class TestSpark(RunnerTests):
    @pytest.fixture
    def runner(self, spark_session: SparkSession) -> Iterator[Runner]:
        with SparkRunner(spark_session) as runner:
            yield runner
