"""noskew: a feature store in which training and serving cannot disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noskew._lazy import lazy_names
from noskew._version import __version__ as __version__

if TYPE_CHECKING:
    from noskew.client import AsyncClient, Client
    from noskew.clock import FixedClock, SystemClock
    from noskew.definitions.aggregation import (
        count,
        count_distinct,
        first_n,
        first_value,
        last_n,
        last_value,
        latest,
        max,
        mean,
        min,
        quantile,
        stddev,
        sum,
        top_n,
        var,
    )
    from noskew.definitions.connectors import (
        Csv,
        Delta,
        DuckDb,
        Frame,
        Iceberg,
        Json,
        Kafka,
        LocalLog,
        Parquet,
        Postgres,
    )
    from noskew.definitions.entity import Entity
    from noskew.definitions.expressions import expressions
    from noskew.definitions.on_demand import OnDemand, per_row
    from noskew.definitions.service import FeatureService
    from noskew.definitions.source import Source
    from noskew.definitions.transforms import arrow, pandas, polars, pyspark, sql
    from noskew.definitions.view import FeatureView
    from noskew.errors import NoskewError
    from noskew.feature_store import FeatureStore


_HOMES = {
    "noskew.clock": ("FixedClock", "SystemClock"),
    "noskew.definitions.aggregation": (
        "count",
        "count_distinct",
        "first_n",
        "first_value",
        "last_n",
        "last_value",
        "latest",
        "max",
        "mean",
        "min",
        "quantile",
        "stddev",
        "sum",
        "top_n",
        "var",
    ),
    "noskew.definitions.connectors": (
        "Csv",
        "Delta",
        "DuckDb",
        "Frame",
        "Iceberg",
        "Json",
        "Kafka",
        "LocalLog",
        "Parquet",
        "Postgres",
    ),
    "noskew.definitions.entity": ("Entity",),
    "noskew.definitions.expressions": ("expressions",),
    "noskew.definitions.on_demand": ("OnDemand", "per_row"),
    "noskew.definitions.service": ("FeatureService",),
    "noskew.definitions.source": ("Source",),
    "noskew.definitions.transforms": ("arrow", "pandas", "polars", "pyspark", "sql"),
    "noskew.definitions.view": ("FeatureView",),
    "noskew.errors": ("NoskewError",),
    "noskew.feature_store": ("FeatureStore",),
    "noskew.client": ("AsyncClient", "Client"),
}

__all__ = [  # noqa: RUF022 - one line a kind
    "FeatureStore",
    "Client",
    "AsyncClient",
    "Entity",
    "Source",
    "FeatureView",
    "OnDemand",
    "FeatureService",
    "Csv",
    "Delta",
    "DuckDb",
    "Frame",
    "Iceberg",
    "Json",
    "Kafka",
    "LocalLog",
    "Parquet",
    "Postgres",
    "arrow",
    "pandas",
    "polars",
    "pyspark",
    "sql",
    "expressions",
    "per_row",
    "count",
    "count_distinct",
    "first_n",
    "first_value",
    "last_n",
    "last_value",
    "latest",
    "max",
    "mean",
    "min",
    "quantile",
    "stddev",
    "sum",
    "top_n",
    "var",
    "FixedClock",
    "SystemClock",
    "NoskewError",
]


# So that `import noskew` costs milliseconds.
__getattr__ = lazy_names(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
