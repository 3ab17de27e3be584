"""Training sets on Spark are, bit for bit, those of one process."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import FixedClock, to_datetime
from noskew.config import Config, OfflineConfig
from noskew.errors import HindsightWarning, InputError, SchemaMismatchError
from noskew.kernel.bits import differences
from noskew.testing import strategies
from noskew.training.spark import history
from noskew.training.spark.training_set import SparkTrainingSet
from tests.spark import shop

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FEW = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, spark_session: SparkSession
) -> Iterator[ns.FeatureStore]:
    with shop.opened(tmp_path_factory.mktemp("shop")) as made:
        made.ingest("orders", shop.orders(1_500))
        made.ingest("orders", shop.orders(300, seed=3))
        yield made


def same(left: pa.Table, right: pa.Table) -> bool:
    return left.schema == right.schema and differences(left, right) == {}


def in_order(table: pa.Table) -> pa.Table:
    """The rows of an answer in the order of their labels; rows of one label are equal."""
    return table.take(pc.sort_indices(table.column("label")))


@FEW
@given(data=st.data())
def test_every_type_and_aggregate(spark_session: SparkSession, data: st.DataObject) -> None:
    view = data.draw(strategies.feature_views(max_features=30))
    facts = data.draw(strategies.facts(view, min_size=8))
    rows = data.draw(strategies.rows(view, facts, min_size=5, max_size=20))
    known_at = data.draw(strategies.known_ats(facts))
    moment = to_datetime(known_at) if isinstance(known_at, int) else known_at
    asked = strategies.rows_to_table(view, rows)
    asked = asked.append_column("row", pa.array(range(len(asked))))
    ahead = view.source.max_future
    kept = [f for f in facts if f.event_time <= f.known_time + ahead]
    config = Config(project="spark", offline=OfflineConfig(buckets=3))
    with (
        tempfile.TemporaryDirectory() as root,
        ns.FeatureStore(root, config=config, clock=FixedClock("2200-01-01T00:00:00Z")) as store,
    ):
        store.apply(ns.FeatureService("s", [view]), uncertified=True)
        store.ingest("events", strategies.facts_to_table(view, kept))
        expected = store.get_historical_features(asked, "s", known_at=moment).to_arrow()
        made = store.get_historical_features(asked, "s", known_at=moment, runner="spark")
        assert same(made.to_arrow(), expected)
        frame = spark_session.createDataFrame(asked)
        on_spark = store.get_historical_features(frame, "s", known_at=moment)
        assert differences(on_spark.to_arrow().sort_by("row"), expected) == {}


@pytest.mark.parametrize("known_at", [None, "2031-01-01T00:00:00Z"])
def test_rows_of_this_process(store: ns.FeatureStore, known_at: Any) -> None:
    """Two entities, a view without events, request fields; rows in their order."""
    rows = shop.asked(800)
    expected = store.get_historical_features(rows, "model", known_at=known_at)
    made = store.get_historical_features(rows, "model", known_at=known_at, runner="spark")
    assert same(made.to_arrow(), expected.to_arrow())
    assert (made.digest, made.spec) == (expected.digest, expected.spec)
    assert made.to_arrow()["never_count"].null_count == rows["user_id"].null_count


def test_a_frame_in_and_a_frame_out(store: ns.FeatureStore, spark_session: SparkSession) -> None:
    rows = shop.asked(800)
    expected = store.get_historical_features(rows, "model").to_arrow()
    frame = spark_session.createDataFrame(rows).repartition(3)
    made = store.get_historical_features(frame, "model")
    assert isinstance(made, SparkTrainingSet)
    assert repr(made) == "<SparkTrainingSet: 21 columns of model, on Spark>"
    out = made.to_spark()
    assert out.columns == expected.column_names
    assert out.schema["taste"].dataType.simpleString() == "array<float>"
    counted = out.groupBy().sum("count_1h").collect()[0][0]
    assert counted == pc.sum(expected["count_1h"]).as_py()
    assert same(in_order(made.to_arrow()), in_order(expected))
    assert len(made) == len(rows)
    assert repr(made) == f"<SparkTrainingSet: {len(rows)} rows × 21 columns of model>"


def test_columns_of_any_type_are_kept(store: ns.FeatureStore, spark_session: SparkSession) -> None:
    """Those of rows in memory as they are; those of a frame as Spark has them."""
    rows = shop.asked(20)
    odd = {
        "nanos": pa.array(range(len(rows)), pa.timestamp("ns", "Asia/Tokyo")),
        "coded": pa.array(["a", "b"] * 11 + ["c"]).dictionary_encode(),
        "Label": pa.array(range(len(rows)), pa.uint16()),
        "nested": pa.array([{"a": [1, None]}, None] * 11 + [None]),
    }
    for name, column in odd.items():
        rows = rows.append_column(name, column)
    made = store.get_historical_features(rows, "model", runner="spark").to_arrow()
    assert made.select(list(odd)).equals(rows.select(list(odd)))
    frame = spark_session.sql(
        "SELECT CAST(id AS int) AS label, id AS user_id, 's1' AS shop, 1.5D AS offer, "
        "timestamp_ntz'2020-09-13 20:00:00' AS event_timestamp, "
        "named_struct('a', array(id)) AS s, map('k', id) AS m, date'1999-01-01' AS d, "
        "timestamp'2020-01-01 00:00:00' AS zoned, 'x' AS Label2 FROM range(5)"
    )
    got = store.get_historical_features(frame, "model").to_spark()
    own = got.select(*frame.columns)
    assert own.schema == frame.schema
    assert sorted(own.collect()) == sorted(frame.collect())
    # Text of a zone of its own would shift these: 20:00 without a zone is 20:00 UTC.
    plain = pa.table(
        {
            "user_id": range(5),
            "shop": ["s1"] * 5,
            "offer": [1.5] * 5,
            "event_timestamp": ["2020-09-13T20:00:00Z"] * 5,
        }
    )
    expected = store.get_historical_features(plain, "model").to_arrow()
    tags = {r["user_id"]: r["tags"] for r in got.collect()}
    assert [tags[i] for i in range(5)] == expected["tags"].to_pylist()


def test_rows_come_in_pieces(store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket of many rows is asked about in several pieces."""
    monkeypatch.setattr(history, "_MOST_ROWS", 50)
    rows = shop.asked(700)
    expected = store.get_historical_features(rows, "model").to_arrow()
    assert same(store.get_historical_features(rows, "model", runner="spark").to_arrow(), expected)


def test_no_rows(store: ns.FeatureStore, spark_session: SparkSession) -> None:
    nothing = shop.asked(4).slice(0, 0)
    made = store.get_historical_features(nothing, "model", runner="spark").to_arrow()
    expected = store.get_historical_features(nothing, "model").to_arrow()
    assert same(made, expected)
    frame = spark_session.createDataFrame(shop.asked(4)).filter("label < 0")
    assert len(store.get_historical_features(frame, "model").to_arrow()) == 0


def test_rows_without_any_key(store: ns.FeatureStore) -> None:
    rows = shop.asked(10).set_column(1, "user_id", pa.nulls(13, pa.int64()))
    expected = store.get_historical_features(rows, "model").to_arrow()
    assert same(store.get_historical_features(rows, "model", runner="spark").to_arrow(), expected)


def test_a_service_whose_views_have_no_events(
    store: ns.FeatureStore, spark_session: SparkSession
) -> None:
    alone = ns.FeatureService("alone", [shop.NEVER])
    rows = shop.asked(10).select(["label", "user_id", "event_timestamp"])
    expected = store.get_historical_features(rows, alone).to_arrow()
    assert same(store.get_historical_features(rows, alone, runner="spark").to_arrow(), expected)
    frame = spark_session.createDataFrame(rows)
    made = store.get_historical_features(frame, alone).to_arrow()
    assert same(in_order(made), in_order(expected))


def test_what_is_asked_later_reads_the_snapshot_of_when_it_was_made(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    with shop.opened(tmp_path) as store:
        store.ingest("orders", shop.orders(200))
        rows = shop.asked(100)
        expected = store.get_historical_features(rows, "model").to_arrow()
        made = store.get_historical_features(spark_session.createDataFrame(rows), "model")
        store.ingest("orders", shop.orders(200, seed=5))
        first = {"user_id": range(45), "at": ["2020-09-01T00:00:00Z"] * 45, "n": range(45)}
        store.ingest("never", pa.table(first))  # which had no table
        assert differences(store.get_historical_features(rows, "model").to_arrow(), expected) != {}
        assert same(in_order(made.to_arrow()), in_order(expected))
        made.save("kept")
        assert same(store.rebuild_training_set("kept").to_arrow(), made.to_arrow())


# ---------------------------------------------------------------- what is refused


def test_faults_of_rows_are_told_as_in_one_process(
    store: ns.FeatureStore, spark_session: SparkSession
) -> None:
    rows = shop.asked(10)
    wrong: list[tuple[pa.Table, str]] = [
        (rows.drop_columns(["shop"]), "'shop' is not there"),
        (rows.drop_columns(["event_timestamp"]), "no column 'event_timestamp'"),
        (rows.append_column("ratio", rows["offer"]), "'ratio' has the name of a feature"),
        (rows.set_column(1, "user_id", rows["shop"]), "'user_id': expected int64"),
    ]
    for table, why in wrong:
        for given_rows in (table, spark_session.createDataFrame(table)):
            with pytest.raises(SchemaMismatchError, match=why):
                store.get_historical_features(given_rows, "model", runner="spark")


def test_a_fault_of_a_value_is_told_by_the_task(
    store: ns.FeatureStore, spark_session: SparkSession
) -> None:
    rows = shop.asked(10)
    times = pa.array([None, *rows["event_timestamp"].to_pylist()[1:]], shop.UTC)
    frame = spark_session.createDataFrame(rows.set_column(3, "event_timestamp", times))
    made = store.get_historical_features(frame, "model")
    with pytest.raises(SchemaMismatchError, match="1 rows have no 'event_timestamp'"):
        made.to_arrow()


def test_runners_are_chosen_by_name(store: ns.FeatureStore, spark_session: SparkSession) -> None:
    rows = shop.asked(10)
    with pytest.raises(InputError, match=r"no runner 'sparc'.*Did you mean 'spark'"):
        store.get_historical_features(rows, "model", runner="sparc")
    frame: DataFrame = spark_session.createDataFrame(rows)
    made = store.get_historical_features(frame, "model", runner="in_process")
    assert not isinstance(made, SparkTrainingSet)
    expected = store.get_historical_features(rows, "model").to_arrow()
    assert differences(made.to_arrow(), expected) == {}


def test_hindsight_is_warned_of(store: ns.FeatureStore, spark_session: SparkSession) -> None:
    rows = shop.asked(10)
    for given_rows in (rows, spark_session.createDataFrame(rows)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store.get_historical_features(given_rows, "model", known_at="row", runner="spark")
        assert [(w.category, w.filename) for w in caught] == [(HindsightWarning, __file__)]
        assert "nothing was known at 2020-09-13T" in str(caught[0].message)
