"""Definitions whose hashes and documents are recorded in ``recorded.json``.

Engines, translations and digests are written out, so that no other version of a library changes
what is recorded.
"""

from __future__ import annotations

from typing import Any

import noskew as ns
from noskew.definitions.expressions import Expressions
from noskew.definitions.functions import FunctionRef
from noskew.definitions.on_demand import PerRow
from noskew.definitions.transforms import FunctionTransform, PySparkTransform, SqlTransform
from noskew.types import Schema

ENGINE = "duckdb-1"
SCHEMA: dict[str, Any] = {
    "user_id": int,
    "region": str,
    "at": "timestamp",
    "known": "timestamp",
    "id": str,
    "x": float,
    "n": "int32",
    "ok": bool,
    "tags": "list<string>",
    "money": "decimal(18, 2)",
    "day": "date",
    "vector": "vector<float32, 4>",
    "raw": "bytes",
}
PEOPLE: dict[str, Any] = {"description": "d é", "owner": "team", "tags": {"b": "2", "a": "1"}}
ENTITIES = {
    "plain": ns.Entity("plain", {"user_id": int}),
    "compound": ns.Entity("compound", {"user_id": int, "region": str}, **PEOPLE),
    "of_region": ns.Entity("of_region", {"region": "string"}, owner="o"),
}
SOURCES = {
    "plain": ns.Source("plain", SCHEMA, event_time="at"),
    "full": ns.Source(
        "full",
        SCHEMA,
        event_time="at",
        created="known",
        event_id="id",
        event_id_horizon="7d",
        filter="x > 0 AND ok",
        batch=ns.Parquet("data/"),
        stream=ns.Kafka("topic", key="region", servers_env="KAFKA"),
        max_future="1h",
        engine=ENGINE,
        **PEOPLE,
    ),
    "no_horizon": ns.Source("no_horizon", SCHEMA, event_time="at", event_id_horizon=5),
    "csv": ns.Source("csv", SCHEMA, event_time="at", batch=ns.Csv("a.csv")),
    "iceberg": ns.Source(
        "iceberg", SCHEMA, event_time="at", batch=ns.Iceberg("a.b", {"uri": "sqlite://"})
    ),
    "delta": ns.Source("delta", SCHEMA, event_time="at", batch=ns.Delta("a", 3)),
    "duckdb": ns.Source("duckdb", SCHEMA, event_time="at", batch=ns.DuckDb("SELECT 1", "a.db")),
    "postgres": ns.Source("postgres", SCHEMA, event_time="at", batch=ns.Postgres("SELECT 1")),
    "cursor": ns.Source(
        "cursor",
        SCHEMA,
        event_time="at",
        batch=ns.Postgres("SELECT 1"),
        cursor="known",
        overlap="2h",
    ),
    "frame": ns.Source("frame", SCHEMA, event_time="at", batch=ns.Frame([1])),
    "local": ns.Source(
        "local", SCHEMA, event_time="at", stream=ns.LocalLog(key=["user_id"], partitions=4)
    ),
    "avro": ns.Source(
        "avro",
        SCHEMA,
        event_time="at",
        stream=ns.Kafka("t", "avro", schema='{"type": "record", "name": "e", "fields": []}'),
    ),
}
SQL = "SELECT user_id, region, x * 2 AS twice, ok, n, x FROM plain WHERE n > 0"
TRANSFORMS = {
    "sql": SqlTransform(SQL, ENGINE),
    "spark": SqlTransform("SELECT `x` FROM plain", ENGINE, "spark", "SELECT x FROM plain"),
    "native": SqlTransform("SELECT x FROM plain", ENGINE, "spark", "SELECT x FROM plain", True),
    "pyspark": PySparkTransform("shop:clean", ENGINE, statement="SELECT x FROM plain"),
    "pandas": FunctionTransform(
        "pandas", FunctionRef("shop:clean", "0" * 32), Schema({"x": float}), "pandas-2"
    ),
    "polars": FunctionTransform(
        "polars", FunctionRef("shop:clean", "1" * 32), Schema({"x": "float32"}), "polars-1"
    ),
    "arrow": FunctionTransform(
        "arrow", FunctionRef("shop:clean", "2" * 32), Schema({"x": float}), "pyarrow-21"
    ),
}
FEATURES = [
    "x",
    ns.latest("n", name="newest", max_age="1h"),
    ns.mean("x", window=["1h", "7d", None], where="ok"),
    ns.sum("money", window="1d", hop="15min", name="spent"),
    ns.count(window="6h", hop="exact"),
    ns.count("tags"),
    ns.quantile("x", 0.95, window="1h"),
    ns.last_n("x", 3, nulls=True),
    ns.top_n("id", 2, cap=50, window="1d"),
    ns.count_distinct("id", cap=16),
    ns.first_value("day"),
    ns.var("n"),
]


def view(name: str, *features: Any, **options: Any) -> ns.FeatureView:
    """A view of the plain entity and source, unless others are given."""
    options = {"entity": ENTITIES["plain"], "source": SOURCES["plain"], **options}
    return ns.FeatureView(name, features=features or ["x"], **options)


VIEWS = {
    "plain": view("plain"),
    "every_feature": view("every_feature", *FEATURES, **PEOPLE),
    "full": view(
        "full",
        *FEATURES,
        entity=ENTITIES["compound"],
        source=SOURCES["full"],
        max_age="2d",
        hop="90s",
        exact_cap=77,
        lateness="10min",
        late="table",
        freshness="5min",
        online=False,
        **PEOPLE,
    ),
    "late_dropped": view("late_dropped", lateness=5, late="drop"),
    "exact": view("exact", ns.mean("x", window="1h"), hop="exact", exact_cap=9),
    "no_exact": view("no_exact", exact_cap=9),
    "of_region": view("of_region", entity=ENTITIES["of_region"]),
    **{name: view(name, source=source) for name, source in SOURCES.items() if name != "plain"},
    **{f"by_{name}": view(f"by_{name}", transform=t) for name, t in TRANSFORMS.items()},
}
ON_DEMAND = {
    "numpy": ns.OnDemand(
        "numpy",
        FunctionRef("shop:twice", "3" * 32),
        inputs=[VIEWS["every_feature"]["x", "spent"]],
        request={"amount": float, "where": "vector<float32, 2>"},
        outputs={"twice": float, "size": "decimal(5, 2)"},
        **PEOPLE,
    ),
    "per_row": ns.OnDemand(
        "per_row", PerRow("shop:tier", "4" * 32), inputs=[VIEWS["plain"]], outputs={"tier": str}
    ),
    "expressions": ns.OnDemand(
        "expressions",
        Expressions((("ratio", "x / amount"), ("large", "x > 10")), ENGINE),
        inputs=[VIEWS["plain"]["x"]],
        request={"amount": float},
        owner="o",
    ),
    "spark_expressions": ns.OnDemand(
        "spark_expressions",
        Expressions(
            (("more", "x + 1D"),),
            ENGINE,
            "spark",
            ("SELECT x + CAST(1 AS DOUBLE) AS made FROM inputs",),
        ),
        inputs=[VIEWS["plain"]["x"]],
    ),
}
SERVICES = {
    "one": ns.FeatureService("one", [VIEWS["plain"]]),
    "mixed": ns.FeatureService(
        "mixed",
        [ON_DEMAND["numpy"], VIEWS["every_feature"]["spent", "x"], ON_DEMAND["per_row"]],
        **PEOPLE,
    ),
    "full_names": ns.FeatureService(
        "full_names",
        [VIEWS["plain"], VIEWS["late_dropped"], ON_DEMAND["expressions"]],
        full_names=True,
    ),
}
