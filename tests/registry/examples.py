"""A small project on flights, with every kind of definition, and ways to vary it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import noskew as ns
from noskew.definitions.functions import FunctionRef
from noskew.definitions.project import Project
from noskew.definitions.transforms import FunctionTransform
from noskew.types import Schema

COLUMNS = {"origin": str, "departed_at": "timestamp", "dep_delay": float, "carrier": str}
SQL = "SELECT origin, departed_at, dep_delay, dep_delay > 15 AS late FROM departures"


def airport(**options: Any) -> ns.Entity:
    return ns.Entity("airport", **{"keys": {"origin": str}, **options})


def departures(**options: Any) -> ns.Source:
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


def service(features: Iterable[Any], **options: Any) -> ns.FeatureService:
    return ns.FeatureService("delay_model", features, **options)


def whole(view: ns.FeatureView | None = None, **options: Any) -> Project:
    """The project: one view, one on-demand function, one service that reads all of both."""
    view = view or delays(**options)
    return Project.of([service([view, headwind(view)])])


def in_python(path: str = "nowhere.at_all:clean", digest: str = "cd" * 16) -> FunctionTransform:
    """A transform by a function that no module here has."""
    schema = Schema({"origin": str, "departed_at": "timestamp", "dep_delay": float, "late": bool})
    return FunctionTransform("arrow", FunctionRef(path, digest), schema)
