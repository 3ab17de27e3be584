"""What a plan says of each kind of change: before, after, expected."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

import noskew as ns
from noskew.definitions.project import Project
from noskew.registry.plan import Change, Plan, plan
from noskew.registry.versions import Applied, hashes_of
from noskew.testing.registry.examples import (
    SQL,
    airport,
    delays,
    departures,
    headwind,
    in_python,
    service,
    whole,
)

VIEW, SERVICE = "feature_view", "feature_service"
EVERY = "values change: every feature"
PINS = "pins a new definition of delays"


class Case(NamedTuple):
    """``expected``: (kind, name) → breaking, backfill, reasons; all others are unchanged."""

    name: str
    after: Project
    expected: dict[tuple[str, str], tuple[bool, str, list[str]]]
    before: Project = whole()


def _view(breaking: bool, backfill: str, *reasons: str) -> tuple[bool, str, list[str]]:
    return breaking, backfill, list(reasons)


def _one(*reasons: str, breaking: bool = False) -> tuple[bool, str, list[str]]:
    return breaking, "none", list(reasons)


def _features(*more: Any, window: str = "1h", column: str = "dep_delay") -> list[Any]:
    late = ns.count(where="late", window="6h", name="late")
    return [ns.mean(column, window=window, name="delay"), late, *more]


def _whole(view: ns.FeatureView, **options: Any) -> Project:
    """The project after a change that leaves the service's two features alone."""
    return Project.of([service([view["delay", "late"], headwind(view, **options)])])


_FED = "values of inputs change: delays.delay"
_ALL_CHANGED = {
    ("on_demand", "headwind"): _one(_FED, EVERY),
    (SERVICE, "delay_model"): _one(
        PINS, "pins a new definition of headwind", "values change: delay, late, wind"
    ),
}
_PINNED = {
    ("on_demand", "headwind"): _one("reads new definitions of delays"),
    (SERVICE, "delay_model"): _one(PINS, "pins a new definition of headwind"),
}
_DELAY_CHANGED = {
    ("on_demand", "headwind"): _one(_FED, EVERY),
    (SERVICE, "delay_model"): _one(
        PINS, "pins a new definition of headwind", "values change: delay, wind"
    ),
}
_OLD = departures(filter="dep_delay < 100")
_EXACT = [ns.mean("dep_delay", window="1h", hop="exact", name="delay"), ns.count(name="late")]

CASES = [
    Case(
        "what is for people",
        whole(delays(description="how late", owner="ana", tags={"tier": "1"})),
        {
            (VIEW, "delays"): _one(
                "description: none -> how late", "owner: none -> ana", "tag tier: none -> 1"
            )
        },
    ),
    Case(
        "freshness and connector",
        whole(delays(freshness="1h", source=departures(batch=ns.Csv("new.csv")))),
        {
            ("source", "departures"): _one("batch: parquet data/departures/ -> csv new.csv"),
            (VIEW, "delays"): _one("freshness: none -> 1h"),
        },
    ),
    Case(
        "options of a connector are not shown",
        whole(delays(source=departures(batch=ns.Iceberg("n.t", {"token": "s3cret"})))),
        {("source", "departures"): _one("batch: options of iceberg n.t")},
        before=whole(delays(source=departures(batch=ns.Iceberg("n.t")))),
    ),
    Case(
        "a window",
        _whole(delays(features=_features(window="2h"))),
        {
            (VIEW, "delays"): _view(
                False,
                "online",
                "window of delay: 1h -> 2h",
                "hop of delay: 1min -> 5min",
                "values change: delay",
            ),
            **_DELAY_CHANGED,
        },
    ),
    Case(
        "a hop",
        _whole(
            delays(
                features=[
                    ns.mean("dep_delay", window="1h", hop="exact", name="delay"),
                    _features()[1],
                ]
            )
        ),
        {
            (VIEW, "delays"): _view(
                False, "online", "hop of delay: 1min -> exact", "values change: delay"
            ),
            **_DELAY_CHANGED,
        },
    ),
    Case(
        "a function",
        _whole(delays(features=[ns.max("dep_delay", window="1h", name="delay"), _features()[1]])),
        {
            (VIEW, "delays"): _view(
                False, "online", "function of delay: mean -> max", "values change: delay"
            ),
            **_DELAY_CHANGED,
        },
    ),
    Case(
        "a latest value instead of an aggregate",
        _whole(delays(features=[ns.latest("dep_delay", name="delay"), _features()[1]])),
        {
            (VIEW, "delays"): _view(
                False,
                "online",
                "definition of delay: mean of dep_delay over 1h -> latest dep_delay",
                "values change: delay",
            ),
            **_DELAY_CHANGED,
        },
    ),
    Case(
        "the age of latest values",
        Project.of([delays(features=["dep_delay", ns.latest("late", max_age="2h")], max_age="1d")]),
        {
            (VIEW, "delays"): _view(
                False, "online", "max_age of dep_delay: none -> 1d", "values change: dep_delay"
            )
        },
        before=Project.of([delays(features=["dep_delay", ns.latest("late", max_age="2h")])]),
    ),
    Case(
        "a feature more",
        _whole(delays(features=_features(ns.max("dep_delay", name="worst")))),
        {(VIEW, "delays"): _view(False, "online", "adds feature worst (float64)"), **_PINNED},
    ),
    Case(
        "a feature less, read by two",
        Project.of([service([delays(features=_features()[1:])])]),
        {
            (VIEW, "delays"): _view(
                True,
                "online",
                "removes feature delay (float64), which the on-demand headwind and the service "
                "delay_model read",
            ),
            (SERVICE, "delay_model"): _one(
                "removes feature delay (float64)",
                "removes feature wind (float64)",
                "removes request field speed (float64)",
                PINS,
                breaking=True,
            ),
            ("on_demand", "headwind"): _one(
                "removes feature wind (float64), which the service delay_model reads",
                breaking=True,
            ),
        },
    ),
    Case(
        "a feature less that nobody reads",
        _whole(delays()),
        {
            (VIEW, "delays"): _view(True, "online", "removes feature worst (float64)"),
            **_PINNED,
        },
        before=_whole(delays(features=_features(ns.max("dep_delay", name="worst")))),
    ),
    Case(
        "a type",
        Project.of([service([delays(features=[ns.count(name="delay")])])]),
        {
            (VIEW, "delays"): _view(
                True,
                "online",
                "type of feature delay: float64 -> int64, which the service delay_model reads",
                "function of delay: max -> count",
                "column of delay: dep_delay -> none",
                EVERY,
            ),
            (SERVICE, "delay_model"): _one(
                "type of feature delay: float64 -> int64",
                PINS,
                "values change: delay",
                breaking=True,
            ),
        },
        before=Project.of([service([delays(features=[ns.max("dep_delay", name="delay")])])]),
    ),
    Case(
        "a transform",
        _whole(delays(transform=ns.sql(SQL.replace("15", "30")))),
        {
            (VIEW, "delays"): _view(
                False,
                "log",
                "transform: …dep_delay, dep_delay > 15 AS late FROM departures -> "
                "…dep_delay, dep_delay > 30 AS late FROM departures",
                EVERY,
            ),
            **_ALL_CHANGED,
        },
    ),
    Case(
        "the source of a function",
        _whole(delays(transform=in_python(digest="ef" * 16))),
        {
            (VIEW, "delays"): _view(
                False, "log", "source of the transform: cdcdcdcd -> efefefef", EVERY
            ),
            **_ALL_CHANGED,
        },
        before=_whole(delays(transform=in_python())),
    ),
    Case(
        "a filter of the source",
        _whole(delays(source=_OLD)),
        {
            ("source", "departures"): _one("filter: none -> dep_delay < 100"),
            (VIEW, "delays"): _view(
                False, "log", "source departures: filter: none -> dep_delay < 100", EVERY
            ),
            **_ALL_CHANGED,
        },
    ),
    Case(
        "lateness",
        _whole(delays(lateness="5min", late="drop")),
        {
            (VIEW, "delays"): _view(
                False, "log", "lateness: 0 -> 5min", "late: fold -> drop", EVERY
            ),
            **_ALL_CHANGED,
        },
    ),
    Case(
        "the cap of exact windows",
        Project.of([delays(features=_EXACT, exact_cap=9)]),
        {(VIEW, "delays"): _view(False, "online", "exact_cap: 1000 -> 9", "values change: delay")},
        before=Project.of([delays(features=_EXACT)]),
    ),
    Case(
        "the type of a join key",
        whole(
            delays(
                entity=airport(keys={"origin": int}),
                source=departures(
                    schema={
                        "origin": int,
                        "departed_at": "timestamp",
                        "dep_delay": float,
                        "carrier": str,
                    }
                ),
            )
        ),
        {
            ("entity", "airport"): _one("type of join key origin: string -> int64", breaking=True),
            ("source", "departures"): _one("type of column origin: string -> int64"),
            (VIEW, "delays"): _view(
                True,
                "log",
                "type of join key origin: string -> int64",
                "source departures: type of column origin: string -> int64",
                EVERY,
            ),
            ("on_demand", "headwind"): _one(_FED, EVERY),
            (SERVICE, "delay_model"): _one(
                "type of join key origin: string -> int64",
                PINS,
                "pins a new definition of headwind",
                "values change: delay, late, wind",
                breaking=True,
            ),
        },
    ),
    Case(
        "another join key",
        Project.of(
            [
                delays(
                    entity=airport(keys={"origin": str, "carrier": str}),
                    transform=None,
                    features=["dep_delay"],
                )
            ]
        ),
        {
            ("entity", "airport"): _one("adds join key carrier (string)", breaking=True),
            (VIEW, "delays"): _view(True, "log", "adds join key carrier (string)", EVERY),
        },
        before=Project.of([delays(transform=None, features=["dep_delay"])]),
    ),
    Case(
        "an on-demand function and its request",
        Project.of(
            [
                service(
                    [
                        delays(),
                        headwind(delays(), "ef" * 16, request={"speed": float, "gust": float}),
                    ]
                )
            ]
        ),
        {
            ("on_demand", "headwind"): _one(
                "adds request field gust (float64)",
                "source of nowhere.at_all:headwind: abababab -> efefefef",
                EVERY,
                breaking=True,
            ),
            (SERVICE, "delay_model"): _one(
                "adds request field gust (float64)",
                "pins a new definition of headwind",
                "values change: wind",
                breaking=True,
            ),
        },
    ),
    Case(
        "the order of an answer",
        Project.of([service([delays()["late", "delay"], headwind(delays())])]),
        {
            (SERVICE, "delay_model"): _one(
                "order of features: delay, late, wind -> late, delay, wind", breaking=True
            )
        },
    ),
    Case(
        "materialized from now on",
        Project.of([delays()]),
        {(VIEW, "delays"): _view(False, "online", "online: False -> True")},
        before=Project.of([delays(online=False)]),
    ),
    Case(
        "values of a view that is not online",
        Project.of([delays(features=_features(window="2h"), online=False)]),
        {
            (VIEW, "delays"): _view(
                False,
                "none",
                "window of delay: 1h -> 2h",
                "hop of delay: 1min -> 5min",
                "values change: delay",
            )
        },
        before=Project.of([delays(online=False)]),
    ),
    Case(
        "the same features in other words",
        Project.of([delays(features=[ns.count(window=["1h", "2h"], name="n")])]),
        {(VIEW, "delays"): _view(False, "online", "the same features, written in another way")},
        before=Project.of(
            [
                delays(
                    features=[
                        ns.count(window="1h", name="n_1h"),
                        ns.count(window="2h", name="n_2h"),
                    ]
                )
            ]
        ),
    ),
    Case(
        "a frame of this process in place of the one of another",
        Project.of([delays(source=departures(batch=ns.Frame([1])))]),
        {},
        before=Project.of([delays(source=departures(batch=None))]),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change(case: Case) -> None:
    found = plan(case.before, case.after)
    told = {
        (c.kind, c.name): (c.breaking, c.backfill, list(c.reasons))
        for c in found.changes
        if c.action != "unchanged"
    }
    assert told == case.expected


def test_everything_is_new() -> None:
    found = plan(None, whole(), sizes={"departures": 336_776})
    assert [(c.kind, c.name, c.action) for c in found.changes] == [
        ("entity", "airport", "added"),
        ("source", "departures", "added"),
        (VIEW, "delays", "added"),
        ("on_demand", "headwind", "added"),
        (SERVICE, "delay_model", "added"),
    ]
    assert found.base_version == 0
    assert not found.breaking
    assert [(c.name, c.backfill, c.rows) for c in found.backfills] == [("delays", "log", 336_776)]
    assert (
        found.summary()
        == """\
+ entity airport
    join keys {origin: string}
+ source departures
    4 columns, event time departed_at
+ feature view delays
    adds feature delay (float64): mean of dep_delay over 1h
    adds feature late (int64): count where late over 6h
    backfill ≈ 336,776 rows: ingest into a new offline table
+ on-demand headwind
    adds feature wind (float64)
+ feature service delay_model
    reads delay, late, wind
5 added, 0 changed, 0 removed, 0 unchanged; 1 to backfill ≈ 336,776 rows"""
    )


def test_everything_goes() -> None:
    found = plan(Applied(7, whole(), hashes_of(whole())), Project())
    assert {c.action for c in found.changes} == {"removed"}
    assert {c.kind for c in found.breaking} == {VIEW, "on_demand", SERVICE}
    assert not found.backfills
    assert found.base_version == 7
    assert "- feature service delay_model (breaking)" in found.summary()


def test_a_second_view_of_the_same_events_needs_no_second_table() -> None:
    other = ns.FeatureView(
        "others", entity=airport(), source=departures(), transform=ns.sql(SQL), features=["late"]
    )
    found = plan(whole(), Project.of([*whole().services.values(), other]))
    change = found.of(VIEW, "others")
    assert change is not None
    assert (change.action, change.backfill, change.rows) == ("added", "online", None)


def test_rows_of_another_engine_are_rebuilt() -> None:
    """The definitions are the same, but what stores hold was made under other hashes."""
    old = {
        kind: {name: found[::-1] for name, found in names.items()}
        for kind, names in hashes_of(whole()).items()
        if kind not in ("entity", "source")
    }
    same = {kind: hashes_of(whole())[kind] for kind in ("entity", "source")}
    found = plan(Applied(3, whole(), {**same, **old}), whole())
    assert not found.is_empty
    change = found.of(VIEW, "delays")
    assert change is not None
    assert change.reasons == (
        "an engine, or noskew, has another major version than when it was applied",
        EVERY,
    )
    assert (change.backfill, change.breaking) == ("log", False)


def test_a_view_and_a_function_of_one_name_are_told_apart() -> None:
    twin = ns.FeatureView(
        "headwind", entity=airport(), source=departures(), features=[ns.count(name="wind")]
    )
    before = Project.of([*whole().services.values(), twin])
    change = plan(before, whole()).of(VIEW, "headwind")
    assert change is not None
    assert change.reasons == ("removes feature wind (int64)",)


def test_sizes_that_are_not_known() -> None:
    changes = (
        Change(VIEW, "a", "added", backfill="log", rows=1_000),
        Change(VIEW, "b", "added", backfill="log"),
    )
    last = Plan(changes).summary().splitlines()[-1]
    assert last.endswith("2 to backfill ≈ 1,000 rows and some of unknown size")
