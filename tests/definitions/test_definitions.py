"""Definitions are checked when they are made; what is wrong is named, with what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import noskew as ns
from noskew.definitions.aggregation import INPUT_KINDS
from noskew.definitions.connectors import from_dict as connector_from_dict
from noskew.definitions.project import Project
from noskew.definitions.windows import default_hop, hop_of
from noskew.errors import DefinitionError, InputError, InvalidNameError, NotFoundError
from noskew.types import DType, dtype

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "made": "timestamp",
    "id": str,
    "x": float,
    "n": int,
    "ok": bool,
    "s": str,
    "tags": "list<string>",
    "money": "decimal(18, 2)",
    "day": "date",
}
USER = ns.Entity("user", {"user_id": int})
EVENTS = ns.Source("events", SCHEMA, event_time="at")
H = 3_600_000_000


def view(*features: Any, **options: Any) -> ns.FeatureView:
    options = {"entity": USER, "source": EVENTS, **options}
    return ns.FeatureView("view", features=features or ["x"], **options)


def on_demand_function(columns: Any) -> Any:
    return {"twice": columns["x"] * 2}


# ------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "../x", "é", "a" * 129, "_a", 'a"', None, 3]
)
def test_names_are_identifiers(name: Any) -> None:
    makers: list[Callable[[], Any]] = [
        lambda: ns.Entity(name, {"k": int}),
        lambda: ns.Entity("e", {name: int}),
        lambda: ns.Source(name, SCHEMA, event_time="at"),
        lambda: ns.Source("s", {name: int, "at": "timestamp"}, event_time="at"),
        lambda: ns.FeatureView(name, entity=USER, source=EVENTS, features=["x"]),
        lambda: ns.FeatureService(name, [view()]),
        lambda: ns.latest(name),
    ]
    for make in makers:
        with pytest.raises(InvalidNameError):
            make()


@pytest.mark.parametrize("name", ["a", "A1", "a_b", "a" * 128])
def test_these_names_are_fine(name: str) -> None:
    assert ns.Entity(name, {name: int}).name == name


NAMED = [
    (ns.count(), ["count"]),
    (ns.count("x", window="1h"), ["x_count_1h"]),
    (ns.count(where="ok"), ["ok_count"]),
    (ns.mean("x", window=["1h", "90s", "7d"]), ["x_mean_1h", "x_mean_90s", "x_mean_7d"]),
    (ns.sum("x", where="ok"), ["x_sum_where_ok"]),
    (ns.quantile("x", 0.5), ["x_p50"]),
    (ns.quantile("x", 0.995), ["x_p99_5"]),
    (ns.last_n("x", 3), ["x_last_3"]),
    (ns.top_n("s", 2, window="1d"), ["s_top_2_1d"]),
    (ns.mean("x", window="1h", name="m"), ["m"]),
    (ns.mean("x", window=["1h", "2h"], name="m"), ["m_1h", "m_2h"]),
    ("x", ["x"]),
    (ns.latest("x", name="newest"), ["newest"]),
]


@pytest.mark.parametrize(("feature", "names"), NAMED)
def test_names_of_features(feature: Any, names: list[str]) -> None:
    assert list(view(feature).features) == names


def test_output_types() -> None:
    made = view(
        "tags",
        ns.sum("x", name="a"),
        ns.sum("n", name="b"),
        ns.sum("money", name="c"),
        ns.mean("n", name="d"),
        ns.first_n("s", 2, name="e"),
        ns.min("day", name="f"),
        ns.count_distinct("s", name="g"),
        ns.sum("ok", name="h"),
        ns.top_n("money", 1, name="i"),
    )
    assert made.schema.texts() == {
        "tags": "list<string>",
        "a": "float64",
        "b": "int64",
        "c": "decimal(38, 2)",
        "d": "float64",
        "e": "list<string>",
        "f": "date",
        "g": "int64",
        "h": "int64",
        "i": "list<decimal(18, 2)>",
    }


# ------------------------------------------------------------------------------------ windows


@pytest.mark.parametrize(
    ("window", "hop"),
    [
        (1, 1_000_000),
        (24_000_000, 1_000_000),
        (H, 60_000_000),
        (6 * H, 15 * 60_000_000),
        (24 * H - 1, 15 * 60_000_000),
        (24 * H, H),
        (7 * 24 * H, 6 * H),
        (30 * 24 * H, 24 * H),
        (120_000_000 - 1, 1_000_000),
        (120_000_000, 5_000_000),
    ],
)
def test_default_hops(window: int, hop: int) -> None:
    assert default_hop(window) == hop
    assert hop <= max(window // 24, 1_000_000)


def test_hops_that_suit_and_do_not() -> None:
    assert hop_of(H, "exact", "w") == 1
    assert hop_of(H, "1min", "w") == 60_000_000
    assert hop_of(None, None, "w") == 0
    for window, hop in ((H, "2h"), (H, 0), (H, -1), (24 * H, "1s"), (None, "1h"), (H, "soon")):
        with pytest.raises(DefinitionError, match=r"^w"):
            hop_of(window, hop, "w")


def test_a_view_has_a_hop_for_windows_that_set_none() -> None:
    made = view(
        ns.count(window="1h"), ns.sum("x", window="1h", hop="5min"), ns.mean("x"), hop="30s"
    )
    hops = {name: f.hop for name, f in made.features.items()}
    assert hops == {"count_1h": 30_000_000, "x_sum_1h": 300_000_000, "x_mean": 0}


def test_the_hop_of_an_aggregation_wins_even_if_it_is_the_default_one() -> None:
    given = view(ns.count(window="1h", hop="1min"), hop="30s")
    assert given.features["count_1h"].hop == hop_of(H, None, "w") == 60_000_000
    assert view(ns.count(window=["1h", None]), hop="30s").features["count_1h"].hop == 30_000_000


def test_equal_hops_are_one_definition_wherever_they_are_set() -> None:
    plain = view(ns.count(window="1h"))
    for same in (
        view(ns.count(window="1h", hop="1min")),
        view(ns.count(window="1h"), hop="60s"),
        view(ns.count(window="1h", hop="1min"), hop="30s"),
    ):
        assert same.definition_hash == plain.definition_hash
        assert same.to_dict() == plain.to_dict()
        again = ns.FeatureView.from_dict(same.to_dict(), entity=same.entity, source=same.source)
        assert again.definition_hash == plain.definition_hash
    assert view(ns.count(window="1h"), hop="30s").definition_hash != plain.definition_hash


@pytest.mark.parametrize(
    "window", [0, -1, "", "1y", "h", [], ["1h", "60min"], ["1h", None, None], 1.5]
)
def test_windows_that_are_none(window: Any) -> None:
    with pytest.raises((DefinitionError, InputError)):
        ns.count(window=window)


# ------------------------------------------------------------------------------------- errors

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no keys": (lambda: ns.Entity("e", {}), "at least one join key"),
    "float key": (lambda: ns.Entity("e", {"k": float}), "'k' is float64, whose equality"),
    "list key": (lambda: ns.Entity("e", {"k": "list<int64>"}), "keys can be"),
    "unknown type": (lambda: ns.Entity("e", {"k": "strin"}), "Did you mean 'string'"),
    "decimal without digits": (lambda: dtype("decimal(39, 0)"), "precision"),
    "nested list": (lambda: dtype("list<list<int64>>"), "must be scalars|not a type|unknown type"),
    "vector of none": (lambda: dtype("vector<float32, 0>"), "1 to 65535"),
    "event time absent": (lambda: ns.Source("s", SCHEMA, event_time="att"), "mean 'at'"),
    "event time of a number": (lambda: ns.Source("s", SCHEMA, event_time="n"), "must be a timest"),
    "created of text": (
        lambda: ns.Source("s", SCHEMA, event_time="at", created="s"),
        "created='s' must be a time",
    ),
    "event id absent": (
        lambda: ns.Source("s", SCHEMA, event_time="at", event_id="idd"),
        "event_id='idd'.*'id'",
    ),
    "event id of lists": (
        lambda: ns.Source("s", SCHEMA, event_time="at", event_id="tags"),
        "must be a scalar",
    ),
    "negative future": (
        lambda: ns.Source("s", SCHEMA, event_time="at", max_future=-1),
        "max_future must not be negative",
    ),
    "horizon beyond the calendar": (
        lambda: ns.Source("s", SCHEMA, event_time="at", event_id="n", event_id_horizon=2**70),
        "event_id_horizon must not be .* longer",
    ),
    "filter": (lambda: ns.Source("s", SCHEMA, event_time="at", filter="nn > 1"), "filter.*nn"),
    "no connector": (
        lambda: ns.Source("s", SCHEMA, event_time="at", batch="data/"),
        r"ns\.Parquet",  # type: ignore[arg-type]
    ),
    "no entity": (lambda: view(entity="user"), "entity: expected Entity, got 'user'"),
    "no source": (lambda: view(source=SCHEMA), "source: expected Source"),
    "no features": (
        lambda: ns.FeatureView("view", entity=USER, source=EVENTS, features=[]),
        "features must not be empty",
    ),
    "no feature": (lambda: view(3), "a feature is an aggregation.*got 3"),
    "latest of nothing": (lambda: view("xx"), "no column 'xx'.*valid names.*x"),
    "mean of nothing": (lambda: view(ns.mean("mony")), "'mony'.*Did you mean 'money'"),
    "mean of text": (lambda: view(ns.mean("s")), "mean of 's' needs one of.*it is string"),
    "mean of decimals": (lambda: view(ns.mean("money")), "mean of 'money' needs one of"),
    "min of lists": (lambda: view(ns.min("tags")), "min of 'tags' needs"),
    "where of numbers": (lambda: view(ns.count(where="n")), "where='n' must be a bool"),
    "where absent": (lambda: view(ns.count(where="okk")), "'okk'.*'ok'"),
    "two of a name": (lambda: view("x", ns.latest("n", name="x")), "have the same name"),
    "the name of a key": (lambda: view("user_id"), "have the same name"),
    "key not there": (lambda: view(entity=ns.Entity("e", {"userid": int})), "'userid'.*'user_id'"),
    "key of another type": (
        lambda: view(entity=ns.Entity("e", {"user_id": str})),
        "'user_id' is string in entity 'e' and int64 here",
    ),
    "late": (lambda: view(late="ignore"), "late='ignore'.*fold"),
    "lateness": (lambda: view(lateness=-1), "lateness must not be negative"),
    "exact_cap": (lambda: view(exact_cap=0), "exact_cap must be 1 to 100000"),
    "max_age": (lambda: view(max_age=0), "longer than zero"),
    "unknown option": (lambda: ns.mean("x", windw="1h"), "windw.*window"),
    "no column name": (lambda: ns.mean("x + 1"), "must be a column's name"),
    "n of none": (lambda: ns.last_n("x", 0), "n must be 1 to 1000"),
    "n of a bool": (lambda: ns.last_n("x", True), "n must be"),
    "q": (lambda: ns.quantile("x", 1.5), "q must be 0 to 1"),
    "q of NaN": (lambda: ns.quantile("x", float("nan")), "q must be 0 to 1"),
    "distinct cap": (lambda: ns.count_distinct("x", cap=5_000), "cap must be 0 to 4096"),
    "top cap": (lambda: ns.top_n("x", 5, cap=4), "cap must be n to 10000"),
    "hop without window": (lambda: ns.mean("x", hop="1h"), "a hop needs a window"),
    "absent feature": (lambda: view("x")["y"], "no feature 'y'; valid names: x"),
    "no such engine": (lambda: ns.sql(""), "expects a SELECT"),
    "function without columns": (lambda: ns.pandas(on_demand_function, schema={}), "declare"),
    "empty service": (lambda: ns.FeatureService("s", []), "must not be empty"),
    "one name twice in a service": (
        lambda: ns.FeatureService("s", [view("x"), view("x", max_age="1h")["x"]]),
        "'x'",
    ),
    "no feature in a service": (
        lambda: ns.FeatureService("s", ["view"]),
        "expected a feature view",  # type: ignore[list-item]
    ),
    "no outputs": (
        lambda: ns.OnDemand("o", on_demand_function, inputs=[view()], outputs={}),
        "outputs must not be empty",
    ),
    "no inputs": (lambda: ns.OnDemand("o", on_demand_function, outputs={"y": float}), "no inputs"),
    "one input twice": (
        lambda: ns.OnDemand(
            "o", on_demand_function, inputs=[view("x")], request={"x": float}, outputs={"y": float}
        ),
        "two inputs are named 'x'",
    ),
    "transform that makes the event time a number": (
        lambda: view("x", transform=ns.sql("SELECT x, 1 AS at FROM events")),
        "event time",
    ),
    "unknown connector": (lambda: connector_from_dict({"kind": "parket"}), "mean 'parquet'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises((DefinitionError, TypeError, InputError), match=message):
        make()


@pytest.mark.parametrize("function", sorted(INPUT_KINDS))
def test_every_aggregate_takes_the_types_it_says_and_no_others(function: str) -> None:
    makers: dict[str, Callable[[str], Any]] = {
        "first": ns.first_value,
        "last": ns.last_value,
        "quantile": lambda c: ns.quantile(c, 0.5),
        "first_n": lambda c: ns.first_n(c, 1),
        "last_n": lambda c: ns.last_n(c, 1),
        "top_n": lambda c: ns.top_n(c, 1),
    }
    make = makers.get(function) or getattr(ns, function)
    kinds = {
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "float32",
        "float64",
        "string",
        "bytes",
        "timestamp",
        "date",
        "decimal",
        "list",
        "vector",
    }
    texts = {"decimal": "decimal(5, 2)", "list": "list<int64>", "vector": "vector<float32, 2>"}
    assert INPUT_KINDS[function] <= kinds
    for kind in kinds:
        source = ns.Source(
            "s", {"user_id": int, "at": "timestamp", "c": texts.get(kind, kind)}, event_time="at"
        )
        if kind in INPUT_KINDS[function]:
            assert len(view(make("c"), source=source).features) == 1
        else:
            with pytest.raises(DefinitionError, match=f"{function} of 'c' needs one of"):
                view(make("c"), source=source)


def test_projects_gather_what_is_referred_to() -> None:
    made = view("x")
    twice = ns.OnDemand("o", on_demand_function, inputs=[made["x"]], outputs={"twice": float})
    service = ns.FeatureService("s", [made, twice])
    project = Project.of([service])
    assert list(project.entities) == ["user"]
    assert list(project.sources) == ["events"]
    assert list(project.views) == ["view"]
    assert list(project.on_demand) == ["o"]
    with pytest.raises(NotFoundError, match=r"no feature view 'vew'.*Did you mean 'view'"):
        project.view("vew")
    with pytest.raises(NotFoundError, match="no feature service"):
        project.service("x")
    with pytest.raises(NotFoundError, match="no source"):
        project.source("x")
    with pytest.raises(DefinitionError, match="two different definitions of the feature view"):
        Project.of([made, view("n")])
    with pytest.raises(DefinitionError, match="expected a definition"):
        Project.of([3])  # type: ignore[list-item]


def test_descriptions_are_for_people() -> None:
    made = view(
        "x", ns.latest("n", max_age="1h"), ns.mean("x", window="1h", where="ok"), ns.count()
    )
    assert [f.describe() for f in made.features.values()] == [
        "latest x",
        "latest n not older than 1h",
        "mean of x where ok over 1h",
        "count over all of history",
    ]


def test_types_in_every_spelling() -> None:
    assert dtype(int) == dtype("int64") == dtype("INT") == DType("int64")
    assert str(dtype("list< string >")) == "list<string>"
    assert str(dtype("vector<float32,3>")) == "vector<float32, 3>"
    for kind in (
        "bool",
        "bytes",
        "decimal(38, 3)",
        "list<decimal(5, 1)>",
        "vector<int8, 4>",
        "date",
    ):
        assert dtype(dtype(kind).to_arrow()) == dtype(kind) == dtype(str(dtype(kind)))


def test_columns_of_a_service_know_whether_they_are_stored() -> None:
    of = view("x", "n")
    twice = ns.OnDemand("o", on_demand_function, inputs=[of["x"]], outputs={"twice": float})
    service = ns.FeatureService("s", [twice, of["n", "x"]])
    assert [(c.name, c.is_stored, c.views) for c in service.columns] == [
        ("n", True, ("view",)),
        ("x", True, ("view",)),
        ("twice", False, ("view",)),
    ]
    assert service.columns == (*service.stored_columns, *service.computed_columns)
    full = ns.FeatureService("s", [twice, of["x"]], full_names=True)
    assert [c.name for c in full.columns] == ["view__x", "o__twice"]
