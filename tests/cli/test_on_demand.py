"""What the command line says of on-demand functions of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import noskew as ns
from tests.cli.project import ok


def doubled(columns: Any) -> Any:
    return {"y": columns["x"] * 2}


def tripled(x: float | None) -> float | None:
    return None if x is None else x * 3


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "noskew.toml").write_text('project = "p"\n', encoding="utf-8")
    source = ns.Source("s", {"k": int, "at": "timestamp", "x": float}, event_time="at")
    view = ns.FeatureView("v", entity=ns.Entity("e", {"k": int}), source=source, features=["x"])
    functions = [
        ns.OnDemand("arrays", doubled, inputs=[view], outputs={"y": float}),
        ns.OnDemand("rows", ns.per_row(tripled), inputs=[view], outputs={"z": float}),
        ns.OnDemand("sums", ns.expressions({"a": "x / 2"}), inputs=[view]),
        ns.OnDemand("spark", ns.expressions({"b": "nvl(x, 0)"}, dialect="spark"), inputs=[view]),
    ]
    with ns.FeatureStore(tmp_path) as store:
        store.apply([ns.FeatureService("model", functions)])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arrays", ["test_on_demand:doubled", "source digest"]),
        ("rows", ["test_on_demand:tripled, row by row", "source digest"]),
        ("sums", ["a is", "x / 2", "duckdb-2"]),
        ("spark", ["nvl(x, 0)", "b in DuckDB", "coalesce("]),
        ("model", ["computed by SQL: x / 2", "computed by SQL (spark): nvl(x, 0)"]),
    ],
)
def test_show_says_what_computes_it(project: Path, name: str, said: list[str]) -> None:
    out = ok("-C", project, "show", name).out
    assert all(text in out for text in said), out


def test_list_says_what_computes_each(project: Path) -> None:
    out = ok("-C", project, "list", "on-demand").out
    assert "SQL (spark): nvl(x, 0)" in out
    assert "tripled, row by row" in out
