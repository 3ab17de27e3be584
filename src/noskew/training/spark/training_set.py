"""A training set whose rows are on Spark until somebody asks for them here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noskew.runners.spark.border import leave
from noskew.runners.spark.runner import SparkRunner
from noskew.training.training_set import Keeper, TrainingSet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkTrainingSet(TrainingSet):
    """The answer of ``get_historical_features`` for the rows of a Spark DataFrame.

    ``to_spark()`` gives a DataFrame and computes nothing yet. All else that looks at rows brings
    them into this process, once. The offline tables' snapshots are those of when it was made,
    whenever that happens. Rows come in no order.
    """

    def __init__(
        self,
        frame: DataFrame,
        runner: SparkRunner,
        schema: pa.Schema,
        spec: Mapping[str, Any],
        keeper: Keeper,
    ) -> None:
        put = object.__setattr__
        put(self, "spec", spec)
        put(self, "keeper", keeper)
        put(self, "_frame", frame)
        put(self, "_runner", runner)
        put(self, "_schema", schema)

    if TYPE_CHECKING:
        _frame: DataFrame
        _runner: SparkRunner
        _schema: pa.Schema

    def to_spark(self) -> DataFrame:
        """The rows as a Spark DataFrame. Nothing goes through this process."""
        return self._frame

    @cached_property
    def table(self) -> pa.Table:
        """The rows, brought into this process."""
        return leave(self._runner.collect(self._frame), self._schema)

    def __repr__(self) -> str:
        if "table" in self.__dict__:
            return super().__repr__().replace("<TrainingSet", "<SparkTrainingSet")
        return (
            f"<SparkTrainingSet: {len(self._schema)} columns of {self.spec['service']}, on Spark>"
        )
