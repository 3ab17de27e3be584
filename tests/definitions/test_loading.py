"""Projects in one process, as in a notebook: each loads and runs its own code."""

from __future__ import annotations

from pathlib import Path

import noskew as ns

CODE = """
import noskew as ns

def scaled(columns):
    return {{"scaled": columns["x"] * FACTOR}}

FACTOR = {factor}
user = ns.Entity("user", {{"user": int}})
times = ns.OnDemand(
    "times", scaled, request={{"x": float}}, outputs={{"scaled": float}}
)
readings = ns.Source("readings", {{"user": int, "at": "timestamp", "y": float}}, event_time="at")
view = ns.FeatureView("view{factor}", entity=user, source=readings, features=["y"])
service = ns.FeatureService("svc", [view, times])
"""


def project(root: Path, factor: int) -> ns.FeatureStore:
    (root / "features").mkdir(parents=True)
    (root / "features" / "shop.py").write_text(CODE.format(factor=factor))
    (root / "noskew.toml").write_text(f'project = "p{factor}"\n')
    return ns.FeatureStore(root)


def scaled(store: ns.FeatureStore) -> object:
    return store.get_online_features("svc", {"user": [1], "x": [1.5]}).to_dict()["scaled"]


def test_two_projects_with_modules_of_the_same_name(tmp_path: Path) -> None:
    with project(tmp_path / "a", 2) as a, project(tmp_path / "b", 10) as b:
        assert set(a.load().views) == {"view2"}
        assert set(b.load().views) == {"view10"}
        assert set(a.load().views) == {"view2"}, "not what is first on the path"
        for store in (a, b):
            store.apply()
            store.materialize()
        assert [scaled(store) for store in (a, b, a, b)] == [[3.0], [15.0], [3.0], [15.0]]
    with ns.FeatureStore(tmp_path / "a") as a, ns.FeatureStore(tmp_path / "b") as b:
        assert [scaled(store) for store in (b, a, b)] == [[15.0], [3.0], [15.0]]
