"""Random projects: entities, sources, views, on-demand functions and services that fit."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import noskew as ns
from noskew.definitions.functions import FunctionRef
from noskew.definitions.project import Project
from noskew.definitions.transforms import FunctionTransform
from noskew.types import Schema

_KEYS = ("string", "int64", "date")
_VALUES = ("float64", "int32", "bool", "string", "decimal(9, 2)", "timestamp", "list<int64>")
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FOR_PEOPLE: dict[str, st.SearchStrategy[Any]] = {
    "description": _TEXT,
    "owner": _TEXT,
    "tags": st.dictionaries(_TEXT, _TEXT, max_size=2),
}
_DURATIONS = st.sampled_from(["1s", "90s", "1h", "6h", "7d", "30d"])
_DIGESTS = st.sampled_from(["00" * 16, "ff" * 16])
_STREAMS = st.sampled_from(
    [
        None,
        ns.Kafka("t"),
        ns.Kafka("t", "arrow", key=["at", "flag"]),
        ns.LocalLog(partitions=2, key="at"),
    ]
)
_CONNECTORS = st.sampled_from(
    [None, ns.Parquet("a/"), ns.Csv("b'\".csv"), ns.Kafka("t"), ns.Iceberg("n.t", {"uri": "x"})]
)


@st.composite
def entities(draw: st.DrawFn, name: str) -> ns.Entity:
    kinds = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=2))
    return ns.Entity(
        name,
        # Keys are called after their type, so that every service can read every entity.
        {f"key_{kind}_{i}": kind for i, kind in enumerate(kinds)},
        **draw(st.fixed_dictionaries(_FOR_PEOPLE)),
    )


@st.composite
def sources(draw: st.DrawFn, name: str) -> ns.Source:
    keys = {f"key_{kind}_{i}": kind for kind in _KEYS for i in range(2)}
    values = draw(st.lists(st.sampled_from(_VALUES), min_size=1, max_size=4))
    columns = {**keys, "at": "timestamp", "flag": "bool", "known": "timestamp"}
    return ns.Source(
        name,
        {**columns, **{f"value_{i}": kind for i, kind in enumerate(values)}},
        event_time="at",
        created=draw(st.sampled_from([None, "known"])),
        event_id=draw(st.sampled_from([None, "key_string_0"])),
        filter=draw(st.sampled_from([None, None, "flag", "flag AND key_int64_0 > 0"])),
        batch=draw(_CONNECTORS),
        stream=draw(_STREAMS),
        max_future=draw(_DURATIONS),
        **draw(st.fixed_dictionaries(_FOR_PEOPLE)),
    )


@st.composite
def transforms(draw: st.DrawFn, source: ns.Source) -> Any:
    kind = draw(st.sampled_from(["none", "none", "sql", "arrow", "pandas"]))
    if kind == "none":
        return None
    if kind == "sql":
        return ns.sql(
            draw(
                st.sampled_from(
                    [
                        f"SELECT * FROM {source.name}",
                        f"WITH r AS (SELECT * FROM {source.name} WHERE flag) SELECT * FROM r",
                    ]
                )
            )
        )
    return FunctionTransform(kind, FunctionRef("no.where:f", draw(_DIGESTS)), Schema(source.schema))


@st.composite
def specs(draw: st.DrawFn, source: ns.Source, name: str) -> Any:
    column = draw(st.sampled_from([c for c in source.schema if c.startswith("value_")]))
    options: dict[str, Any] = {"name": name}
    if draw(st.booleans()):
        options["where"] = "flag"
    window = draw(st.none() | _DURATIONS | st.just(["1h", "1d"]))
    if window is not None:
        options["window"] = window
        if draw(st.booleans()):
            options["hop"] = (
                draw(st.sampled_from(["1s", "exact"])) if window in ("1s", "1h") else None
            )
    numeric = source.schema[column].kind in ("float64", "int32", "bool")
    makers = [
        lambda: ns.latest(column, name=name, max_age=draw(st.none() | _DURATIONS)),
        lambda: ns.count(column, **options),
        lambda: ns.count(**options),
    ]
    if not source.schema[column].is_nested:
        makers += [
            lambda: ns.max(column, **options),
            lambda: ns.last_value(column, nulls=draw(st.booleans()), **options),
            lambda: ns.top_n(column, draw(st.integers(1, 5)), **options),
            lambda: ns.count_distinct(column, cap=draw(st.integers(0, 9)), **options),
        ]
    if numeric:
        makers += [
            lambda: ns.stddev(column, **options),
            lambda: ns.quantile(column, draw(st.floats(0, 1)), **options),
        ]
    return draw(st.sampled_from(makers))()


@st.composite
def views(draw: st.DrawFn, name: str, entity: ns.Entity, source: ns.Source) -> ns.FeatureView:
    count = draw(st.integers(1, 4))
    stems = draw(st.permutations([f"{name}_f{i}" for i in range(count)]))
    return ns.FeatureView(
        name,
        entity=entity,
        source=source,
        features=[draw(specs(source, stem)) for stem in stems],
        transform=draw(transforms(source)),
        max_age=draw(st.none() | _DURATIONS),
        exact_cap=draw(st.sampled_from([5, 1_000])),
        lateness=draw(st.sampled_from([0, "5min"])),
        late=draw(st.sampled_from(["fold", "table", "drop"])),
        freshness=draw(st.none() | _DURATIONS),
        online=draw(st.booleans()),
        **draw(st.fixed_dictionaries(_FOR_PEOPLE)),
    )


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """Up to two of everything; names are few, so that two projects often share them."""
    known = [draw(entities(f"entity{i}")) for i in range(draw(st.integers(1, 2)))]
    origins = [draw(sources(f"source{i}")) for i in range(draw(st.integers(1, 2)))]
    made = [
        draw(views(f"view{i}", draw(st.sampled_from(known)), draw(st.sampled_from(origins))))
        for i in range(draw(st.integers(0, 2)))
    ]
    functions: list[Any] = [
        ns.OnDemand(
            "function0",
            FunctionRef("no.where:g", draw(_DIGESTS)),
            inputs=[view[next(iter(view.features))] for view in made],
            request=draw(st.sampled_from([{"asked": "float64"}, {"other": "string"}])),
            outputs=draw(st.sampled_from([{"out": "float64"}, {"out": "int64", "more": "bool"}])),
            **draw(st.fixed_dictionaries(_FOR_PEOPLE)),
        )
        for _ in range(draw(st.integers(0, 1)))
    ]
    services = [
        ns.FeatureService(
            f"service{i}",
            draw(st.permutations([*made, *functions]))[: draw(st.integers(1, 3))],
            full_names=draw(st.booleans()),
            **draw(st.fixed_dictionaries(_FOR_PEOPLE)),
        )
        for i in range(draw(st.integers(0, 2)) if made or functions else 0)
    ]
    return Project.of([*known, *origins, *made, *functions, *services])
