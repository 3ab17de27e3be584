"""Each function of PySpark is called as it is in Spark, and means what Spark computes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import TransformError
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.translation.spark.language import SparkLanguage
from tests.translation import pyspark_expressions as calls
from tests.translation import pyspark_refused as refused
from tests.translation.engines import bits, is_close, kind_of, run, view_of
from tests.translation.rows import SOURCE, table

CLOSE = {name for name, known in SparkLanguage.functions.items() if known.close}
STEPS = ["one_more", "b", "e", "f", "g", "h"]


@pytest.fixture(scope="module")
def theirs(spark: Any) -> pa.Table:
    return calls.every(spark.createDataFrame(table())).toArrow()


def test_each_call_means_what_spark_computes(theirs: pa.Table, spark: Any) -> None:
    names = theirs.column_names
    ours = run(view_of(ns.pyspark(calls.every), names), table())
    texts = [str(c) for c in calls.functions()] + [""] * len(names)
    wrong = []
    for at, name in enumerate(names):
        a, b = ours[name], theirs[name]
        if kind_of(a) != kind_of(b):
            wrong.append((at, texts[at], kind_of(a), kind_of(b)))
        elif any(f"{n}(" in texts[at].lower() for n in CLOSE):
            if not all(map(is_close, a.to_pylist(), b.to_pylist())):
                wrong.append((at, texts[at], "not close"))
        elif bits(a) != bits(b):
            pairs = zip(a.to_pylist(), b.to_pylist(), bits(a), bits(b), strict=True)
            wrong.append((at, texts[at], next((x, y) for x, y, p, q in pairs if p != q)))
    assert wrong == []


def test_steps_on_a_frame_are_those_of_spark(spark: Any) -> None:
    rows = table()
    theirs = calls.in_steps(spark.createDataFrame(rows)).toArrow()
    events = Pipeline(view_of(ns.pyspark(calls.in_steps), STEPS))(
        rows, known_time=2**61 // 10, buckets=1
    ).events
    assert events["user_id"].to_pylist() == theirs["user_id"].to_pylist()
    for name in STEPS:
        assert kind_of(events[name]) == kind_of(theirs[name])
        assert bits(events[name]) == bits(theirs[name])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (refused.filling, "fillna is refused; write F.coalesce"),
        (refused.filling_by_na, "fillna is refused; write F.coalesce"),
        (refused.dropping, "dropna is refused; write filter"),
        (refused.replacing, "replace is refused; write F.when"),
        (refused.local_time, "no time zone"),
        (refused.trimming, "write F.expr"),
        (refused.unheard_of, "soundex.*is refused"),
        (refused.writing, "looks at data"),
        (refused.named_badly, "missing a required argument|unexpected keyword"),
        (refused.dictionary, "no literal"),
    ],
)
def test_what_is_not_known_to_be_the_same_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(TransformError, match=f"(?i){reason}"):
        ns.FeatureView(
            "view",
            entity=ns.Entity("user", {"user_id": int}),
            source=SOURCE,
            features=["n"],
            transform=ns.pyspark(function),
        )
