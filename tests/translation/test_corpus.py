"""What a team writes gives the same bits in each framework, in any batching, or is refused."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import noskew as ns
from noskew.errors import TransformError
from tests.translation import corpus
from tests.translation.engines import bits, is_close, kind_of, run, select, sql_view, view_of
from tests.translation.rows import SOURCE, table

NAMES = list(corpus.SPARK_SQL)
SPARK_TEXT = "SELECT {} FROM events".format(
    ", ".join(f"{text} AS {name}" for name, (_, text) in corpus.SPARK_SQL.items())
)
VIEWS = {
    "spark sql": view_of(ns.sql(SPARK_TEXT, dialect="spark"), NAMES),
    "pyspark": view_of(ns.pyspark(corpus.pyspark_features), NAMES),
    "pandas": view_of(ns.pandas(corpus.pandas_features, schema=corpus.TYPES), NAMES),
    "polars": view_of(
        ns.polars(
            corpus.polars_features, schema={name: corpus.TYPES[name] for name in corpus.IN_POLARS}
        ),
        corpus.IN_POLARS,
    ),
}


def without_nan(rows: pa.Table) -> pa.Table:
    """The rows with null for NaN: in pandas both are a missing value."""
    for name, is_nan in (
        ("x", pc.is_nan(rows["x"])),
        ("t", pc.equal(pc.utf8_lower(rows["t"]), "nan")),
    ):
        cleaned = pc.if_else(is_nan, None, rows[name])
        rows = rows.set_column(rows.column_names.index(name), name, cleaned)
    return rows


ROWS = table()
ROWS_OF = {"pandas": without_nan(ROWS)}


@pytest.fixture(scope="module")
def spark_itself(spark: Any) -> pa.Table:
    spark.createDataFrame(ROWS).createOrReplaceTempView("events")
    return spark.sql(SPARK_TEXT).toArrow()


@pytest.fixture(scope="module")
def pyspark_itself(spark: Any) -> pa.Table:
    return corpus.pyspark_features(spark.createDataFrame(ROWS)).toArrow()


@pytest.fixture(scope="module")
def found() -> dict[str, pa.Table]:
    made = {name: run(view, ROWS_OF.get(name, ROWS)) for name, view in VIEWS.items()}
    made["spark sql without NaN"] = run(VIEWS["spark sql"], ROWS_OF["pandas"])
    return made


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(NAMES) >= 40
    assert len(NAMES) + len(corpus.REFUSED) + len(corpus.LAST_BITS) >= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_framework_gives_the_same_bits(name: str, found: dict[str, pa.Table]) -> None:
    expected = found["spark sql"][name]
    assert bits(found["pyspark"][name]) == bits(expected)
    assert bits(found["pandas"][name]) == bits(found["spark sql without NaN"][name])
    if name in corpus.IN_POLARS:
        assert bits(found["polars"][name]) == bits(expected)


@pytest.mark.parametrize("name", NAMES)
def test_spark_itself_gives_the_same_bits(
    name: str, found: dict[str, pa.Table], spark_itself: pa.Table, pyspark_itself: pa.Table
) -> None:
    for theirs in (spark_itself[name], pyspark_itself[name]):
        assert kind_of(theirs) == kind_of(found["spark sql"][name])
        assert bits(theirs) == bits(found["spark sql"][name])


def test_what_differs_in_the_last_bits_does_so_from_spark_alone(spark: Any) -> None:
    texts = list(corpus.LAST_BITS.values())
    view = sql_view(texts, "spark")
    spark.createDataFrame(ROWS).createOrReplaceTempView("events")
    whole, theirs = run(view, ROWS), spark.sql(select(texts)).toArrow()
    for name in whole.column_names:
        assert all(map(is_close, whole[name].to_pylist(), theirs[name].to_pylist()))
    singly = pa.concat_tables([run(view, ROWS.slice(at, 1)) for at in range(len(ROWS))])
    assert [bits(c) for c in singly.columns] == [bits(c) for c in whole.columns]


@pytest.mark.parametrize("framework", VIEWS)
def test_one_row_at_a_time_and_in_any_order_gives_the_same_bits(
    framework: str, found: dict[str, pa.Table]
) -> None:
    rows, view, chance = ROWS_OF.get(framework, ROWS), VIEWS[framework], random.Random(3)
    expected = found[framework]
    order = list(range(len(rows)))
    chance.shuffle(order)
    shuffled = run(view, rows.take(order))
    for name in view.features:
        assert bits(shuffled[name]) == bits(expected[name].take(order))
    some = order[:40]
    singly = pa.concat_tables([run(view, rows.slice(at, 1)) for at in some])
    for name in view.features:
        assert bits(singly[name]) == bits(expected[name].take(some))


@pytest.mark.parametrize("name", corpus.REFUSED)
def test_what_cannot_be_the_same_is_refused_with_its_reason(name: str) -> None:
    text, reason = corpus.REFUSED[name]
    with pytest.raises(TransformError, match=reason):
        sql_view([text], "spark", SOURCE)
