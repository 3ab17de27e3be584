"""``definition_hash`` changes with everything that can change a value, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.definitions import identity
from noskew.definitions.identity import canonical_json
from noskew.definitions.project import Project
from noskew.definitions.transforms import SqlTransform
from noskew.testing.strategies import feature_views

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "other_id": int,
    "at": "timestamp",
    "made": "timestamp",
    "id": str,
    "x": float,
    "n": int,
    "ok": bool,
    "s": str,
}


def entity(**options: Any) -> ns.Entity:
    options = {"name": "user", "keys": {"user_id": int}, **options}
    return ns.Entity(options.pop("name"), options.pop("keys"), **options)


def source(**options: Any) -> ns.Source:
    options = {"name": "events", "schema": SCHEMA, "event_time": "at", **options}
    return ns.Source(options.pop("name"), options.pop("schema"), **options)


def view(*features: Any, **options: Any) -> ns.FeatureView:
    options = {"name": "view", "entity": entity(), "source": source(), **options}
    return ns.FeatureView(options.pop("name"), features=features or BASE, **options)


BASE = ("x", ns.mean("x", window="1h"), ns.count(window="1h", hop="exact", name="exactly"))


def twice(columns: Any) -> Any:
    return {"twice": columns["x"] * 2}


def thrice(columns: Any) -> Any:
    return {"twice": columns["x"] * 3}


def clean(frame: Any) -> Any:
    return frame


def as_it_is(frame: Any) -> Any:
    return frame


CHANGES: dict[str, Callable[[], ns.FeatureView]] = {
    "keys": lambda: view(entity=entity(keys={"other_id": int})),
    "more keys": lambda: view(entity=entity(keys={"user_id": int, "other_id": int})),
    "key order": lambda: view(entity=entity(keys={"other_id": int, "user_id": int})),
    "schema": lambda: view(source=source(schema={**SCHEMA, "more": int})),
    "type": lambda: view(source=source(schema={**SCHEMA, "x": "float32"})),
    "event time": lambda: view(source=source(event_time="made")),
    "created": lambda: view(source=source(created="made")),
    "event id": lambda: view(source=source(event_id="id")),
    "filter": lambda: view(source=source(filter="x > 0")),
    "another filter": lambda: view(source=source(filter="x > 1")),
    "max_future": lambda: view(source=source(max_future="1h")),
    "transform": lambda: view(transform=ns.sql("SELECT * FROM events")),
    "transform text": lambda: view(transform=ns.sql("SELECT *, 1 AS one FROM events")),
    "transform engine": lambda: view(transform=SqlTransform("SELECT * FROM events", "duckdb-1")),
    "dialect": lambda: view(transform=ns.sql("SELECT * FROM events", dialect="spark")),
    "what a function describes": lambda: view(transform=ns.pyspark(as_it_is)),
    "function": lambda: view(transform=ns.pandas(clean, schema=SCHEMA)),
    "kind of function": lambda: view(transform=ns.arrow(clean, schema=SCHEMA)),
    "function's schema": lambda: view(transform=ns.arrow(clean, schema={**SCHEMA, "m": int})),
    "column": lambda: view("n", *BASE[1:]),
    "order of features": lambda: view(*BASE[::-1]),
    "one feature less": lambda: view(*BASE[:2]),
    "name of a feature": lambda: view(ns.latest("x", name="newest"), *BASE[1:]),
    "age of one feature": lambda: view(ns.latest("x", max_age="1h"), *BASE[1:]),
    "aggregate": lambda: view("x", ns.sum("x", window="1h", name="x_mean_1h"), BASE[2]),
    "window": lambda: view("x", ns.mean("x", window="2h", name="x_mean_1h"), BASE[2]),
    "hop": lambda: view("x", ns.mean("x", window="1h", hop="30s"), BASE[2]),
    "hop of the view": lambda: view(hop="20s"),
    "where": lambda: view("x", ns.mean("x", window="1h", where="ok", name="x_mean_1h"), BASE[2]),
    "n": lambda: view(*BASE, ns.last_n("x", 2, name="l")),
    "another n": lambda: view(*BASE, ns.last_n("x", 3, name="l")),
    "nulls": lambda: view(*BASE, ns.last_n("x", 3, name="l", nulls=True)),
    "q": lambda: view(*BASE, ns.quantile("x", 0.5, name="l")),
    "another q": lambda: view(*BASE, ns.quantile("x", 0.6, name="l")),
    "cap": lambda: view(*BASE, ns.count_distinct("x", cap=5, name="l")),
    "another cap": lambda: view(*BASE, ns.count_distinct("x", cap=6, name="l")),
    "max_age": lambda: view(max_age="1h"),
    "exact_cap": lambda: view(exact_cap=5),
    "lateness": lambda: view(lateness="1h"),
    "late": lambda: view(late="drop"),
}
KEEPS: dict[str, Callable[[], ns.FeatureView]] = {
    "made again": view,
    "name of the view": lambda: view(name="another"),
    "for people": lambda: view(description="d", owner="o", tags={"a": "b"}),
    "for people, of the entity": lambda: view(entity=entity(description="d", tags={"a": "b"})),
    "for people, of the source": lambda: view(source=source(description="d", owner="o")),
    "where the data is": lambda: view(source=source(batch=ns.Parquet("elsewhere/"))),
    "freshness": lambda: view(freshness="1h"),
    "online": lambda: view(online=False),
    "spelling of a window": lambda: view("x", ns.mean("x", window="60min"), BASE[2]),
    "the default hop in words": lambda: view("x", ns.mean("x", window="1h", hop="1min"), BASE[2]),
    "spelling of a type": lambda: view(source=source(schema={**SCHEMA, "x": "double"})),
}


def test_everything_that_can_change_a_value_changes_the_hash() -> None:
    hashes = {name: make().definition_hash for name, make in CHANGES.items()}
    hashes["as it is"] = view().definition_hash
    same: dict[str, list[str]] = {}
    for name, found in hashes.items():
        same.setdefault(found, []).append(name)
    assert [names for names in same.values() if len(names) > 1] == []


@pytest.mark.parametrize("name", KEEPS)
def test_what_cannot_change_a_value_keeps_the_hash(name: str) -> None:
    assert KEEPS[name]().definition_hash == view().definition_hash


def test_the_cap_of_exact_windows_counts_only_where_there_are_some() -> None:
    assert view("x").definition_hash == view("x", exact_cap=5).definition_hash


def test_views_that_differ_in_features_alone_share_their_events() -> None:
    assert view("x").log_hash == view("n", max_age="1h").log_hash
    assert view("x").log_hash == view("x", lateness="1min").log_hash
    # What a policy keeps out of the features stays out of the events that training reads.
    assert view("x").log_hash != view("x", lateness="1min", late="drop").log_hash
    assert view("x").log_hash != view("x", source=source(filter="ok")).log_hash


def test_a_new_meaning_is_a_new_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = view().definition_hash
    monkeypatch.setattr(identity, "SEMANTICS_VERSION", identity.SEMANTICS_VERSION + 1)
    assert view().definition_hash != before


def test_functions_and_services_depend_on_their_views() -> None:
    def function(made: Any = twice, of: ns.FeatureView | None = None, **options: Any) -> Any:
        options = {"outputs": {"twice": float}, **options}
        return ns.OnDemand("o", made, inputs=[(of or view())["x"]], **options)

    different = [
        function(),
        function(thrice),
        function(of=view(max_age="1h")),
        function(outputs={"twice": "float32"}),
        function(request={"y": float}),
    ]
    assert len({f.definition_hash for f in different}) == len(different)
    assert function(description="d").definition_hash == function().definition_hash
    services = [ns.FeatureService("s", [f]) for f in different]
    services += [
        ns.FeatureService("s", [view()["x"]]),
        ns.FeatureService("s", [view()]),
        ns.FeatureService("s", [view()], full_names=True),
    ]
    assert len({s.definition_hash for s in services}) == len(services)
    assert (
        ns.FeatureService("t", [view()], owner="o").definition_hash == services[-2].definition_hash
    )


def test_hashes_are_of_canonical_json() -> None:
    assert canonical_json({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()
    assert len(view().definition_hash) == 32
    # A hash that moves from release to release would orphan every row and table.
    plain = ns.Source("s", {"k": int, "at": "timestamp", "x": float}, event_time="at")
    fixed = ns.FeatureView("v", entity=ns.Entity("e", {"k": int}), source=plain, features=["x"])
    assert fixed.definition_hash == PINNED


PINNED = "9ebb9d2abc17e91b9f9000e5e45def49"


@given(feature_views())
def test_views_come_back_from_json(made: ns.FeatureView) -> None:
    text = orjson.dumps(Project.of([made]).to_dict())
    back = Project.from_dict(orjson.loads(text)).view(made.name)
    assert back == made
    assert back.definition_hash == made.definition_hash
    assert back.features == made.features


@pytest.mark.parametrize("make", [*CHANGES.values(), *KEEPS.values()])
def test_whole_projects_come_back_from_json(make: Callable[[], ns.FeatureView]) -> None:
    made = make()
    function = ns.OnDemand(
        "o",
        twice,
        inputs=[made[next(iter(made.features))]],
        request={"r": "vector<float32, 2>"},
        outputs={"twice": "decimal(5, 2)"},
        description="d",
        tags={"a": "b"},
    )
    project = Project.of([ns.FeatureService("s", [made, function], full_names=True, owner="o")])
    data = project.to_dict()
    back = Project.from_dict(orjson.loads(orjson.dumps(data)))
    assert orjson.dumps(back.to_dict()) == orjson.dumps(data)
    assert back.service("s").definition_hash == project.service("s").definition_hash
    assert back.view(made.name).definition_hash == made.definition_hash


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=5), st.randoms())
def test_the_order_of_a_mapping_is_no_part_of_it(data: dict[str, Any], chance: Any) -> None:
    if any(isinstance(v, int) and not -(2**63) <= v < 2**63 for v in data.values()):
        return
    items = list(data.items())
    chance.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(data)
