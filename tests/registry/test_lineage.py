from __future__ import annotations

import pytest

import noskew as ns
from noskew.definitions.project import Project
from noskew.registry.lineage import LineageNode, downstream, lineage, upstream
from noskew.testing.registry.examples import COLUMNS, airport, delays, departures, in_python, whole


def _columns(view: ns.FeatureView, feature: str) -> dict[str, set[str]]:
    """Role → source columns of a feature."""
    found: dict[str, set[str]] = {}
    for edge in lineage(Project.of([view])):
        if edge.target == LineageNode("feature", view.name, feature):
            found.setdefault(edge.role, set()).add(edge.origin.name)
    return found


def test_from_column_to_service() -> None:
    edges = lineage(whole())
    column = LineageNode("column", "departures", "dep_delay")
    wind = LineageNode("service", "delay_model", "wind")
    assert downstream(edges, column) == {
        LineageNode("feature", "delays", "delay"),
        LineageNode("feature", "delays", "late"),
        LineageNode("on_demand", "headwind", "wind"),
        LineageNode("service", "delay_model", "delay"),
        LineageNode("service", "delay_model", "late"),
        wind,
    }
    assert upstream(edges, wind) == {
        LineageNode("on_demand", "headwind", "wind"),
        LineageNode("request", "headwind", "speed"),
        LineageNode("feature", "delays", "delay"),
        column,
        LineageNode("column", "departures", "origin"),
        LineageNode("column", "departures", "departed_at"),
    }
    assert edges == sorted(set(edges))
    # No feature is made of it.
    assert not downstream(edges, LineageNode("column", "departures", "carrier"))


def test_roles() -> None:
    assert _columns(delays(), "late") == {
        "filter": {"dep_delay"},
        "key": {"origin"},
        "time": {"departed_at"},
    }
    source = departures(filter="carrier <> 'XX'", created="departed_at", event_id="carrier")
    found = _columns(delays(source=source, transform=None, features=["dep_delay"]), "dep_delay")
    assert found == {
        "value": {"dep_delay"},
        "filter": {"carrier"},
        "key": {"origin"},
        "time": {"departed_at"},
    }


@pytest.mark.parametrize(
    ("sql", "value", "decides"),
    [
        ("SELECT dep_delay AS x FROM departures", {"dep_delay"}, set()),
        ("SELECT *, length(carrier) AS x FROM departures", {"carrier"}, set()),
        ("SELECT 1.0 AS x FROM departures", set(), set()),
        (
            "WITH a AS (SELECT dep_delay AS d, carrier AS c FROM departures WHERE origin <> ''), "
            "b AS (SELECT d * 2 AS e, c FROM a WHERE c = 'UA') SELECT e AS x FROM b",
            {"dep_delay"},
            {"origin", "carrier"},
        ),
        ("SELECT x FROM (SELECT dep_delay AS x FROM departures) AS s", {"dep_delay"}, set()),
        (
            "SELECT Dep_Delay AS X FROM departures WHERE \"CARRIER\" = 'UA'",
            {"dep_delay"},
            {"carrier"},
        ),
        ("SELECT dep_delay + 1 AS y, y * 2 AS x FROM departures", {"dep_delay"}, set()),
        (
            "SELECT CASE WHEN carrier = 'UA' THEN dep_delay END AS x FROM departures AS d",
            {"carrier", "dep_delay"},
            set(),
        ),
    ],
)
def test_through_sql(sql: str, value: set[str], decides: set[str]) -> None:
    name = "X" if "AS X" in sql else "x"
    found = _columns(delays(transform=ns.sql(sql), features=[ns.latest(name)]), name)
    assert found.get("value", set()) == value
    assert found.get("filter", set()) == decides


def test_a_computed_event_time() -> None:
    sql = (
        "SELECT origin, departed_at + dep_delay * INTERVAL 1 MINUTE AS departed_at FROM departures"
    )
    view = delays(transform=ns.sql(sql), features=[ns.count(name="n")])
    assert _columns(view, "n")["time"] == {"departed_at", "dep_delay"}


def test_a_function_may_read_every_column() -> None:
    found = _columns(delays(transform=in_python()), "delay")
    assert found["value"] == found["filter"] == set(COLUMNS)


def test_keys_that_the_transform_leaves_out() -> None:
    view = ns.FeatureView(
        "v",
        entity=airport(),
        source=departures(),
        transform=ns.sql("SELECT dep_delay AS d FROM departures"),
        features=["d"],
    )
    assert _columns(view, "d")["key"] == {"origin"}
    assert _columns(view, "d")["time"] == {"departed_at"}
