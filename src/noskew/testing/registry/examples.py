"""A small project on flights, with every kind of definition, and ways to vary it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import noskew as ns
from noskew.definitions.functions import FunctionRef
from noskew.definitions.identity import canonical_json
from noskew.definitions.project import Project
from noskew.definitions.transforms import FunctionTransform
from noskew.registry.records.certificate import Certificate, PathDifference, PathReport
from noskew.registry.records.ingests import IngestRun, ViewIngest
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import (
    ASSIGNMENTS,
    CERTIFICATE,
    INGEST,
    MATERIALIZED,
    SERVED,
    SKEW_AUDIT,
    STREAM,
    UNCERTIFIED,
)
from noskew.registry.records.record import AnyRecord, Record
from noskew.registry.records.serving import ServedDefinition, SkewAudit, SkewCounts
from noskew.registry.records.streaming import Assignments, StreamGeneration
from noskew.registry.records.views import Exemption, MaterializedUntil
from noskew.types import Schema

COLUMNS = {"origin": str, "departed_at": "timestamp", "dep_delay": float, "carrier": str}
SQL = "SELECT origin, departed_at, dep_delay, dep_delay > 15 AS late FROM departures"


def airport(**options: Any) -> ns.Entity:
    """An entity; options take the place of its own."""
    return ns.Entity("airport", **{"keys": {"origin": str}, **options})


def departures(**options: Any) -> ns.Source:
    """A source; options take the place of its own."""
    return ns.Source(
        "departures",
        **{
            "schema": COLUMNS,
            "event_time": "departed_at",
            "batch": ns.Parquet("data/departures/"),
            **options,
        },
    )


def delays(**options: Any) -> ns.FeatureView:
    """A feature view; options take the place of its own."""
    return ns.FeatureView(
        "delays",
        **{
            "entity": airport(),
            "source": departures(),
            "transform": ns.sql(SQL),
            "features": [
                ns.mean("dep_delay", window="1h", name="delay"),
                ns.count(where="late", window="6h", name="late"),
            ],
            **options,
        },
    )


def headwind(view: ns.FeatureView, digest: str = "ab" * 16, **options: Any) -> ns.OnDemand:
    """An on-demand function that no module here has; options take the place of its own."""
    return ns.OnDemand(
        "headwind",
        FunctionRef("nowhere.at_all:headwind", digest),
        **{
            "inputs": [view["delay"]],
            "request": {"speed": float},
            "outputs": {"wind": float},
            **options,
        },
    )


def example_service(features: Iterable[Any], **options: Any) -> ns.FeatureService:
    """A service of these features."""
    return ns.FeatureService("delay_model", features, **options)


def whole_project(view: ns.FeatureView | None = None, **options: Any) -> Project:
    """The project: one view, one on-demand function, one service that reads all of both."""
    view = view or delays(**options)
    return Project.of([example_service([view, headwind(view)])])


def in_python(path: str = "nowhere.at_all:clean", digest: str = "cd" * 16) -> FunctionTransform:
    """A transform by a function that no module here has."""
    schema = Schema({"origin": str, "departed_at": "timestamp", "dep_delay": float, "late": bool})
    return FunctionTransform("arrow", FunctionRef(path, digest), schema)


def text_of(project: Project) -> bytes:
    """A project as canonical JSON: equal for equal projects, decoded or not."""
    return canonical_json(project.to_dict())


def versioned_project(version: int) -> Project:
    """Other definitions in every version: some stay, some change, some come and go."""
    stays = ns.Entity("stays", {"key": str})
    changes = [ns.Entity(f"changes_{i}", {"key": str}, owner=f"owner {version}") for i in range(3)]
    passes = [ns.Entity(f"passes_{version}_{i}", {"key": str}) for i in range(20)]
    return Project.of([stays, *changes, *passes])


#: One record of every kind, in the order of KINDS.
RECORDS: tuple[AnyRecord, ...] = (
    Record(MATERIALIZED, DefinitionKey("delays:9f"), MaterializedUntil(-5, 2**40, 7), 1),
    Record(STREAM, DefinitionKey("delays:9f"), StreamGeneration(2, "l\u00fc", -1, 1), 2),
    Record(ASSIGNMENTS, "s", Assignments({"host-1-a": 3}, {10: "host-1-a", 0: "host-1-a"}), 3),
    Record(
        CERTIFICATE,
        "9f",
        Certificate(
            "feature_view",
            "delays",
            "9f",
            4,
            seconds=0.25,
            paths=(PathReport("shuffled", 9, 1), PathReport("Spark", skipped="no Spark")),
            differences=(PathDifference("shuffled", "delay", 1, {"here": "1", "there": "2"}),),
            libraries={"pyarrow": "24.0.0"},
        ),
        4,
    ),
    Record(UNCERTIFIED, "9f", Exemption("delays", "ana"), 5),
    Record(
        SERVED,
        DefinitionKey("delay_model:9f"),
        ServedDefinition("delay_model", "served_9f", {"entities": [{"name": "a"}], "n": 1.5}),
        6,
    ),
    Record(
        SKEW_AUDIT, "delay_model", SkewAudit(7, None, 7, {"d": SkewCounts(5, 4, 1, 0, 0, 2)}), 7
    ),
    Record(
        INGEST,
        "0123456789ab",
        IngestRun(
            8,
            "orders",
            9,
            ViewIngest(4, 3, 2, 1, 1, 0, {"null key": 1}, 5),
            {"spent": ViewIngest(4, 3, 2, 1, 1, 0, {"null key": 1}, 5)},
        ),
        8,
    ),
)
