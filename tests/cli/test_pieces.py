"""Small parts of the command line: typed values, time lines, bars, bit-wise comparison."""

from __future__ import annotations

import io
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

import noskew as ns
from noskew.cli import starter_data, templates
from noskew.cli.demo import project as demo_project
from noskew.cli.progress import Bars
from noskew.cli.render.timeline import timelines
from noskew.cli.values import columns_from_text
from noskew.errors import ConfigError, InputError
from noskew.kernel.bits import differences
from noskew.types import Schema

KINDS = Schema(
    {
        "b": bool,
        "i": "int8",
        "f": float,
        "s": str,
        "y": bytes,
        "d": "date",
        "t": "timestamp",
        "m": "decimal(5, 2)",
        "v": "vector<float64, 2>",
    }
)


def one(name: str, text: str) -> object:
    return columns_from_text([f"{name}={text}"], {name: KINDS[name]})[name][0]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("b", "true", True),
        ("b", "No", False),
        ("i", "-7", -7),
        ("f", "1e3", 1000.0),
        ("s", "a=b", "a=b"),
        ("y", "00ff", b"\x00\xff"),
        ("d", "2026-01-31", date(2026, 1, 31)),
        ("t", "2026-01-31T01:00:00+01:00", datetime(2026, 1, 31, tzinfo=UTC)),
        ("m", "1.50", Decimal("1.50")),
        ("v", "[1.5, 2]", [1.5, 2]),
        ("s", "", None),
    ],
)
def test_values_are_read_as_declared(name: str, text: str, value: object) -> None:
    assert one(name, text) == value
    assert type(one(name, text)) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b", "maybe"),
        ("i", "1.5"),
        ("f", "x"),
        ("y", "xyz"),
        ("d", "31.1.2026"),
        ("t", "2026-01-31"),
        ("m", "x"),
        ("v", "[1"),
    ],
)
def test_values_of_another_type_are_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"^{name}"):
        one(name, text)


def test_one_value_stands_for_all_rows_and_names_may_repeat() -> None:
    kinds = {"s": KINDS["s"], "f": KINDS["f"]}
    assert columns_from_text(["s=a,b", "s=c", "f=1"], kinds) == {
        "s": ["a", "b", "c"],
        "f": [1.0] * 3,
    }


def features(*specs: object) -> list[object]:
    source = ns.Source("events", {"k": str, "x": float, "at": "timestamp"}, event_time="at")
    entity = ns.Entity("thing", {"k": str})
    view = ns.FeatureView("view", entity=entity, source=source, features=specs)  # type: ignore[arg-type]
    return list(view.features.values())


def test_time_lines_end_at_t_and_grow_with_the_window() -> None:
    found = timelines(
        features(
            ns.count(window=["1h", "1d", "7d"], name="n"),
            ns.sum("x", name="ever"),
            ns.latest("x", name="old"),
            ns.latest("x", name="new", max_age="1h"),
            ns.max("x", window="1h", hop="exact", name="exact"),
        ),  # type: ignore[arg-type]
        width=20,
    )
    assert found == [
        ("n_1h", "               (━━━]", "1h, in steps of 1min"),
        ("n_1d", "      (━━━━━━━━━━━━]", "1d, in steps of 1h"),
        ("n_7d", "(━━━━━━━━━━━━━━━━━━]", "7d, in steps of 6h"),
        ("ever", "◂━━━━━━━━━━━━━━━━━━]", "all of history"),
        ("old", "◂┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄●]", "newest, however old"),
        ("new", "               [┄┄●]", "newest, at most 1h old"),
        ("exact", "               (━━━]", "1h, exact"),
    ]


def table(**columns: object) -> pa.Table:
    return pa.table(columns)


def test_bits_tell_what_equality_does_not() -> None:
    same = table(f=[0.0, math.nan, None], s=["a", None, ""], v=[[1], None, []])
    assert differences(same, same) == {}
    other = table(f=[-0.0, math.nan, math.nan], s=["a", "", None], v=[[1], [], None])
    assert differences(same, other) == {"f": 2, "s": 2, "v": 2}
    last_bit = table(f=[math.nextafter(1.0, 2.0)])
    assert differences(table(f=[1.0]), last_bit) == {"f": 1}


def test_bits_count_columns_of_other_types_or_none() -> None:
    assert differences(table(a=[1, 2]), table(a=[1.0, 2.0])) == {"a": 2}
    assert differences(table(a=[1, 2]), table(b=[1, 2])) == {"a": 2, "b": 2}


def test_bars_show_rate_and_count_on_a_terminal_only() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Bars({"flights": 1_000, "planes": None}, console=screen) as bars:
        bars("flights", 400)
        bars("flights", 600)
        bars("planes", 7)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "1,000 / 1,000" in shown
    assert "rows/s" in shown
    pipe = Console(file=io.StringIO(), width=120)
    with Bars({"flights": 1_000}, console=pipe) as bars:
        bars("flights", 1_000)
    assert pipe.file.getvalue() == ""  # type: ignore[attr-defined]
    bars.summary("done")
    assert pipe.file.getvalue().startswith("done in ")  # type: ignore[attr-defined]


def test_starter_data_depend_on_the_time_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        starter_data.write_starter_data(tmp_path / name, now=1_767_225_600_000_000)
    for file in ("orders.parquet", "questions.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_demo_is_made_again_but_never_over_other_files(tmp_path: Path) -> None:
    assert not demo_project.make(tmp_path / "demo")
    (tmp_path / "demo" / ".noskew" / "registry.db").write_text("old")
    (tmp_path / "demo" / "features" / "model.py").write_text("mine")
    assert demo_project.make(tmp_path / "demo")
    assert not (tmp_path / "demo" / ".noskew" / "registry.db").exists()
    assert (tmp_path / "demo" / "features" / "model.py").read_text() == "mine"
    (tmp_path / "other" / ".noskew").mkdir(parents=True)
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        demo_project.make(tmp_path / "other")


@pytest.mark.parametrize("name", ["starter", "flights"])
def test_templates_bring_no_state_and_no_data(tmp_path: Path, name: str) -> None:
    templates.copy(name, tmp_path / name)
    made = {p.name for p in (tmp_path / name).rglob("*")}
    assert {"noskew.toml", "features", "README.md"} <= made
    assert not made & {".noskew", "data", "__pycache__"}
