"""On-demand functions as definitions: what is derived, refused, kept and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pytest

import noskew as ns
from noskew.definitions.on_demand import PerRow
from noskew.definitions.project import Project
from noskew.errors import DefinitionError, InvalidNameError, TransformError
from noskew.kernel.on_demand import call_function
from noskew.types import Schema

FIELDS = {
    "x": float,
    "k": int,
    "s": str,
    "t": "timestamp",
    "d": "decimal(9, 2)",
    "order": int,
    "l": "list<int64>",
}


def routes() -> ns.FeatureView:
    flights = ns.Source(
        "flights", {"route": str, "left": "timestamp", "minutes": float}, event_time="left"
    )
    return ns.FeatureView(
        "routes", entity=ns.Entity("route", {"route": str}), source=flights, features=["minutes"]
    )


def doubled(columns: Any) -> Any:
    return {"y": columns["x"] * 2}


def of_row(x: float) -> float:
    return x * 2


def sql(text: str, dialect: str = "duckdb", **options: Any) -> ns.OnDemand:
    made = ns.expressions({"y": text}, dialect=dialect, unchecked=True)
    return ns.OnDemand("o", made, request=FIELDS, **options)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x - k", "float64"),
        ("k + 1", "int64"),
        ("k // 2", "int64"),
        ("k / 2", "float64"),
        ("k > 1", "bool"),
        ("upper(s)", "string"),
        ("t + INTERVAL 1 DAY", "timestamp"),
        ("CAST(t AS DATE)", "date"),
        ("d * 2", "decimal(18, 2)"),
        ('"order"', "int64"),
        ("X + K", "float64"),
        ("hour(t)", "int64"),
        ("CAST(x AS FLOAT)", "float32"),
    ],
)
def test_the_types_of_outputs_follow_from_the_expressions(text: str, kind: str) -> None:
    assert sql(text).outputs == Schema({"y": kind})


def test_inputs_are_features_and_request_fields() -> None:
    slack = ns.OnDemand(
        "slack",
        ns.expressions({"left": "scheduled - minutes", "late": "scheduled < minutes"}),
        inputs=[routes()["minutes"]],
        request={"scheduled": float},
    )
    assert slack.outputs == Schema({"left": float, "late": bool})
    assert slack.columns == Schema({"minutes": float, "scheduled": float})
    assert repr(slack) == (
        "<OnDemand slack: left, late by SQL: scheduled - minutes, scheduled < minutes>"
    )


def test_declared_outputs_are_checked() -> None:
    assert sql("x + 1", outputs={"y": float}) == sql("x + 1")
    with pytest.raises(DefinitionError, match=r"declares \{y: int64\}.*give \{y: float64\}.*CAST"):
        sql("x + 1", outputs={"y": int})
    with pytest.raises(DefinitionError, match="its expressions give"):
        sql("x + 1", outputs={"y": float, "z": float})


REFUSED: Mapping[str, tuple[str, str]] = {
    "an aggregate": ("sum(x)", "an aggregate looks at many rows"),
    "a window": ("row_number() OVER ()", "other rows"),
    "the clock": ("now()", "depends on more than the row"),
    "chance": ("random()", "depends on more than the row"),
    "a subquery": ("(SELECT 1)", "subquery"),
    "two expressions": ("x) AS y, (k", "expected one expression"),
    "a filter": ("x) FROM inputs WHERE (true", "syntax error|not a query"),
    "a filter of a query": (
        "x) AS y FROM (SELECT * FROM inputs) WHERE k IN (SELECT (1)",
        "refused|not a query",
    ),
    "no column": ("z + 1", 'DuckDB refuses it.*"z" not found'),
    "wrong types": ("s + 1", "DuckDB refuses it|Could not convert"),
    "no SQL": ("x +", "syntax error"),
    "two statements": ("1; SELECT 2", "syntax error"),
    "a regular expression": (
        "regexp_matches(s, 'a')",
        r"regexp_matches\(\) is not computed.*NumPy",
    ),
    "a list": ("l[1]", "not computed in expressions"),
    "a text as a number": ("TRY_CAST(s AS DOUBLE)", "cast from VARCHAR to DOUBLE is not computed"),
    "integers of 128 bits": ("CAST(k AS HUGEINT) + k", "HUGEINT|decimal"),
    "a unit that is none": ("date_trunc('eon', t)", "eon"),
    "a unit that varies": ("date_trunc(s, t)", "one of the units"),
    "digits that vary": ("round(d, CAST(k AS INT))", "constant"),
    "a type of its own": ("{'a': x}", "not supported"),
    "an interval": ("INTERVAL 1 DAY", "not supported"),
    "a text that is no time": ("t > 'noon'", "noon"),
    "the number of a row": ("rowid", "rowid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_the_same_everywhere_is_refused(name: str) -> None:
    text, why = REFUSED[name]
    with pytest.raises(TransformError, match=why):
        sql(text)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({}, "expects outputs and their expressions"),
        ("x + 1", "expects outputs"),
        ({"y": ""}, "expected SQL for 'y'"),
        ({"y": 1}, "expected SQL for 'y'"),
    ],
)
def test_expressions_are_texts_by_name(texts: Any, why: str) -> None:
    with pytest.raises(TransformError, match=why):
        ns.expressions(texts)
    with pytest.raises(InvalidNameError):
        ns.expressions({"a b": "1"})


@pytest.mark.parametrize(
    ("dialect", "text", "wanted"),
    [
        ("postgres", "k / 2", 3),
        ("mysql", "k / 2", 3.5),
        ("spark", "nvl(x, 0)", 1.5),
        ("snowflake", "IFF(x > 1, 'a', 'b')", "a"),
        ("bigquery", "SAFE_DIVIDE(x, 0)", None),
    ],
)
def test_other_dialects_are_translated_once(dialect: str, text: str, wanted: Any) -> None:
    made = sql(text, dialect)
    (statement,) = made.function.statements  # type: ignore[union-attr]
    assert "inputs" in statement
    values = {"x": 1.5, "k": 7, "s": "a"}
    columns = {f.name: pa.array([values.get(f.name)], f.type) for f in Schema(FIELDS).arrow}
    assert call_function(made, columns, 1)["y"].to_pylist() == [wanted]


def test_what_cannot_be_translated_is_refused_and_shows_the_translation() -> None:
    with pytest.raises(TransformError, match=r"unknown SQL dialect 'sparc'.*spark"):
        ns.expressions({"y": "x"}, dialect="sparc")
    with pytest.raises(TransformError, match="cannot be translated from postgres"):
        sql("x +", "postgres")
    with pytest.raises(TransformError, match="is not computed") as caught:
        sql("s RLIKE 'a'", "spark")
    assert "translated from spark, it reads:\nSELECT" in caught.value.__notes__[0]


# ------------------------------------------------------------------- identity and registry


def functions() -> dict[str, ns.OnDemand]:
    return {
        "numpy": ns.OnDemand("o", doubled, request={"x": float}, outputs={"y": float}),
        "per row": ns.OnDemand("o", ns.per_row(of_row), request={"x": float}, outputs={"y": float}),
        "sql": sql("x * 2"),
        "other sql": sql("x * 3"),
        "postgres": sql("x * 2", "postgres"),
        "inputs": ns.OnDemand("o", ns.expressions({"y": "minutes * 2"}), inputs=[routes()]),
    }


def test_what_computes_differently_has_another_hash() -> None:
    hashes = [f.definition_hash for f in functions().values()]
    assert len(set(hashes)) == len(hashes)


def test_the_identity_of_numpy_functions_is_what_it_was() -> None:
    made = functions()["numpy"]
    assert set(made.identity()) == {"function", "digest", "inputs", "request", "outputs"}
    old = {
        "name": "o",
        "function": f"{__name__}:doubled",
        "digest": made.function.digest,  # type: ignore[union-attr]
        "inputs": [],
        "request": [["x", "float64"]],
        "outputs": [["y", "float64"]],
        "description": "",
        "owner": "",
        "tags": {},
    }
    assert made.to_dict() == old
    assert ns.OnDemand.from_dict(old, views={}) == made


@pytest.mark.parametrize("name", functions())
def test_functions_come_back_from_the_registry(name: str) -> None:
    made = functions()[name]
    back = Project.from_dict(orjson.loads(orjson.dumps(Project.of([made]).to_dict()))).on_demand[
        "o"
    ]
    assert back.to_dict() == made.to_dict()
    assert back.definition_hash == made.definition_hash
    assert type(back.function) is type(made.function)
    assert back.title == made.title
    assert (back.module is None) == ("sql" in name or name in ("postgres", "inputs"))


def test_a_translation_is_kept_and_not_made_again() -> None:
    data = sql("k / 2", "postgres").to_dict()
    data["statements"] = ["SELECT (k // 5) AS made FROM inputs"]
    back = ns.OnDemand.from_dict(data, views={})
    assert back.function.statements == ("SELECT (k // 5) AS made FROM inputs",)  # type: ignore[union-attr]


def test_what_another_engine_gave_its_meaning_is_loaded_and_not_run() -> None:
    data = sql("x * 2").to_dict() | {"engine": "duckdb-1"}
    back = ns.OnDemand.from_dict(data, views={})
    assert back.outputs == Schema({"y": float})
    columns = {field.name: pa.nulls(1, field.type) for field in Schema(FIELDS).arrow}
    with pytest.raises(TransformError, match="applied with duckdb-1 and duckdb-2 is installed"):
        call_function(back, columns, 1)


def test_expressions_have_no_function_to_call() -> None:
    with pytest.raises(TypeError, match="made of expressions"):
        _ = sql("x").call


def test_per_row_takes_a_function_at_the_top_of_a_module() -> None:
    assert isinstance(ns.per_row(of_row), PerRow)
    with pytest.raises(
        DefinitionError, match=r"ns.per_row: expected a function defined at the top"
    ):
        ns.per_row(lambda x: x)
    with pytest.raises(DefinitionError, match="outputs must not be empty"):
        ns.OnDemand("o", ns.per_row(of_row), request={"x": float})
