"""A PySpark function is the query that it describes, without Spark and without data."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.clock import to_datetime
from noskew.definitions.project import Project
from noskew.definitions.transforms import PySparkTransform
from noskew.errors import TransformError
from noskew.kernel.transforms.pipeline import Pipeline
from tests.definitions import pyspark_for_tests as functions

SCHEMA: dict[str, Any] = {"user_id": int, "at": "timestamp", "n": int, "x": float, "s": str}
SOURCE = ns.Source("events", SCHEMA, event_time="at")
USER = ns.Entity("user", {"user_id": int})


def view(function: Any, *features: str) -> ns.FeatureView:
    return ns.FeatureView(
        "view",
        entity=USER,
        source=SOURCE,
        features=features or ("user_id_",),
        transform=ns.pyspark(function),
    )


def test_a_function_runs_as_the_query_that_it_describes() -> None:
    made = view(functions.clean, "late", "kind", "hour", "up", "i", "half", "x")
    assert made.schema.texts() == {
        "late": "bool",
        "kind": "string",
        "hour": "int32",
        "up": "string",
        "i": "int32",
        "half": "float64",
        "x": "float64",
    }
    rows = {
        "user_id": [1, 2],
        "at": [to_datetime(0), to_datetime(7_200_000_000)],
        "n": [3, 4],
        "x": [16.0, 1.0],
        "s": ["a", "b"],
    }
    batch = pa.table(rows, schema=SOURCE.schema.arrow)
    (event,) = Pipeline(made)(batch, known_time=0, buckets=1).events.to_pylist()
    assert {n: event[n] for n in made.features} == {
        "late": True,
        "kind": "a",
        "hour": 0,
        "up": "A",
        "i": 3,
        "half": 1.5,
        "x": 16.0,
    }


def test_functions_of_sqlframe_are_those_of_pyspark() -> None:
    names = ("day", "two", "half_more", "floor", "tenths", "small")
    made = view(functions.through_sqlframe, *names)
    rows = {
        "user_id": [1, 2],
        "at": [to_datetime(0)] * 2,
        "n": [3, 2**15],
        "x": [2.25, -0.35],
        "s": ["2020-02-29", "2020-2-9"],
    }
    events = Pipeline(made)(pa.table(rows, schema=SOURCE.schema.arrow), known_time=0, buckets=1)
    assert events.events.select(names).to_pylist() == [
        {
            "day": date(2020, 2, 29),
            "two": "ab",
            "half_more": 4.5,
            "floor": 2,
            "tenths": 2.3,
            "small": 3,
        },
        {
            "day": None,
            "two": "ab",
            "half_more": 49152.0,
            "floor": -1,
            "tenths": -0.4,
            "small": -(2**15),
        },
    ]


def test_the_registry_keeps_the_query_and_needs_neither_the_function_nor_its_library() -> None:
    made = view(functions.clean, "late")
    again = Project.from_dict(Project.of(made).to_dict()).view("view")
    assert again.definition_hash == made.definition_hash
    assert isinstance(again.transform, PySparkTransform)
    assert again.transform.call is None
    assert again.transform.text == "tests.definitions.pyspark_for_tests:clean"
    assert isinstance(made.transform, PySparkTransform)
    assert again.transform.statement == made.transform.statement


def test_another_process_describes_the_same_query() -> None:
    made = view(functions.clean, "late")
    code = (
        "from tests.definitions import test_pyspark as t; "
        "print(t.view(t.functions.clean, 'late').definition_hash)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=root, check=True)
    assert done.stdout.decode().strip() == made.definition_hash
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (functions.counting, "it looks at data"),
        (functions.collecting, "it looks at data"),
        (functions.in_pandas, "it looks at data"),
        (functions.noisy, "another query each time"),
        (functions.chance, "depends on more than the row"),
        (functions.clock, "depends on more than the row"),
        (functions.ranked, "window function"),
        (functions.grouped, "GROUP BY looks at many rows"),
        (functions.joined, "join|tables"),
        (functions.exploded, "several rows of one"),
        (functions.distinct, "DISTINCT"),
        (functions.limited, "LIMIT"),
        (functions.with_udf, "udf"),
        (functions.no_frame, "expected a DataFrame, got int"),
        (functions.failing, "KeyError: 'no such thing'"),
    ],
)
def test_what_is_not_row_wise_is_refused(function: Any, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        view(function)


def test_somebody_elses_session_of_sqlframe_is_left_alone() -> None:
    from sqlframe.base.session import _BaseSession
    from sqlframe.duckdb import DuckDBSession

    before = _BaseSession._instance
    try:
        theirs = DuckDBSession()
        view(functions.clean, "late")
        assert DuckDBSession() is theirs
        assert theirs.sql("SELECT 1 AS one").collect()[0][0] == 1
    finally:
        _BaseSession._instance = before
