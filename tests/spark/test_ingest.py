"""What Spark ingests is what one process ingests: the same facts, in the same order, once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.errors import ConflictError, InputError, SchemaMismatchError, TransformError
from noskew.intake.tables import table_name
from noskew.kernel.bits import differences
from noskew.kernel.events import INGEST, PART
from noskew.stores.offline.base import EVENT_TIME, KNOWN_TIME, SEQUENCE
from noskew.training.spark import ingest as module
from tests.spark import shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def facts(store: ns.FeatureStore, view: ns.FeatureView = shop.SPENT) -> pa.Table:
    """The facts in the order of their sequences."""
    names = [*store.offline.info(table_name(view)).spec.schema.names, EVENT_TIME, KNOWN_TIME]
    names.remove(INGEST)  # each run has a number of its own
    read = store.offline.read(table_name(view), [*names, SEQUENCE])
    return read.sort_by(SEQUENCE).drop_columns([SEQUENCE]).combine_chunks()


def total(reports: list[Any]) -> tuple[int, int, int, dict[str, int]]:
    refused: dict[str, int] = {}
    for report in reports:
        for why, count in report.refused.items():
            refused[why] = refused.get(why, 0) + count
    rows, parts, repeated = (
        sum(getattr(r, n) for r in reports) for n in ("rows", "parts", "repeated")
    )
    return rows, parts, repeated, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of one source; the ninth is a copy of the first, and so no part."""
    made = tmp_path / "orders"
    made.mkdir()
    for number in range(9):
        pq.write_table(shop.orders(60, seed=number % 8), made / f"{number}.parquet")
    return made


def test_files_are_ingested_as_in_one_process(
    tmp_path: Path, folder: Path, spark_session: SparkSession
) -> None:
    told: list[tuple[str, int]] = []
    data = ns.Parquet(str(folder))
    with shop.opened(tmp_path / "here") as here, shop.opened(tmp_path / "spark") as there:
        expected = here.ingest("orders", data)
        made = there.ingest(
            "orders", data, runner="spark", progress=lambda *done: told.append(done)
        )
        assert total(made) == total(expected)
        assert total(made)[1:3] == (2 * 8, 0)
        assert total(made)[3]["null key"] > 0
        assert sum(rows for _, rows in told) == 2 * 8 * 60
        for view in (shop.SPENT, shop.SHOPS):
            assert differences(facts(there, view), facts(here, view)) == {}
            files = [s.offline.info(table_name(view)).files for s in (here, there)]
            assert files[0] == files[1]
        rows = shop.asked(200)
        answers = [s.get_historical_features(rows, "model").to_arrow() for s in (here, there)]
        assert differences(*answers) == {}


def test_each_runner_knows_what_the_other_has_ingested(
    tmp_path: Path, folder: Path, spark_session: SparkSession
) -> None:
    with shop.opened(tmp_path / "shop") as store:
        store.ingest("orders", ns.Parquet(str(folder / "0.parquet")))
        before = len(facts(store))
        made = store.ingest("orders", ns.Parquet(str(folder)), runner="spark")
        assert total(made)[1:3] == (16, 2)
        assert total(store.ingest("orders", ns.Parquet(str(folder))))[1:3] == (16, 16)
        assert total(store.ingest("orders", ns.Parquet(str(folder)), runner="spark"))[2] == 16
        assert before < len(facts(store)) == sum(r.rows for r in made if r.view == "spent") + before


def test_files_that_others_overtook_are_written_again(
    tmp_path: Path, folder: Path, spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = module._Parts._written
    with shop.opened(tmp_path / "here") as here, shop.opened(tmp_path / "spark") as there:
        here.ingest("orders", shop.orders(50, seed=77))
        here.ingest("orders", ns.Parquet(str(folder)))

        def overtaken(work: Any, steps: Any, door: Any, number: int) -> Any:
            made = written(work, steps, door, number)
            if number == 0:
                monkeypatch.undo()  # the next table is left in peace
                there.ingest("orders", shop.orders(50, seed=77))
            return made

        monkeypatch.setattr(module._Parts, "_written", overtaken)
        there.ingest("orders", ns.Parquet(str(folder)), runner="spark")
        assert differences(facts(there), facts(here)) == {}


def test_a_frame_is_ingested_as_in_one_process(tmp_path: Path, spark_session: SparkSession) -> None:
    """In the order of its rows, however they are cut, and once whatever their order."""
    rows = shop.orders(500)
    frame = spark_session.createDataFrame(rows)
    told: list[tuple[str, int]] = []
    with shop.opened(tmp_path / "here") as here, shop.opened(tmp_path / "spark") as there:
        expected = here.ingest("orders", rows)
        made = there.ingest("orders", frame, progress=lambda *done: told.append(done))
        assert total(made) == total(expected)
        assert sum(rows for _, rows in told) == 2 * 500
        for view in (shop.SPENT, shop.SHOPS):
            made, expected = (facts(s, view).drop_columns([PART]) for s in (there, here))
            assert differences(made, expected) == {}  # but a part is known by another token
        assert there.offline.info(table_name(shop.SPENT)).files <= shop.BUCKETS
        mixed = frame.repartition(7).select(*reversed(frame.columns))
        assert total(there.ingest("orders", mixed))[:3] == (0, 2, 2)
        assert len(facts(there)) == len(facts(here))
        fewer = there.ingest("orders", frame.limit(499))
        assert total(fewer)[:3] == (0, 2, 0)
        assert sum(r.known for r in fewer) > 0


def test_a_frame_in_this_process_and_data_of_this_process_on_spark(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    """Data that only this process has is ingested here, under the token that it has here."""
    rows = shop.orders(100)
    with shop.opened(tmp_path) as store:
        store.ingest("orders", rows, runner="spark")
        before = facts(store)
        assert total(store.ingest("orders", rows))[2] == 2
        frame = spark_session.createDataFrame(rows)
        store.ingest("orders", frame, runner="in_process")
        assert len(facts(store)) == len(before)  # another token, and the same rows


def test_a_frame_that_changes_is_refused(tmp_path: Path, spark_session: SparkSession) -> None:
    frame = spark_session.createDataFrame(shop.orders(40))
    digests = module.FrameOfSource.digests

    def then_changed(*given: Any) -> Any:
        found = digests(*given)
        return [*found[:-1], found[-1] + found[0]]

    with shop.opened(tmp_path / "shop") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.FrameOfSource, "digests", then_changed)
        with pytest.raises(ConflictError, match="gave other rows when it was read again"):
            store.ingest("orders", frame)
        patch.undo()
        assert {store.offline.info(table).rows for table in store.offline.tables()} == {0}
        assert total(store.ingest("orders", frame))[:3] == (80, 2, 0)


def test_rows_that_are_gone_when_a_frame_is_read_again_are_missed(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    """A partition without rows has nobody to miss them."""
    frame = spark_session.createDataFrame(shop.orders(400))
    assert frame.rdd.getNumPartitions() > 1
    written = module._Frame._written

    def of_less(work: Any, *told: Any) -> Any:
        none = replace(work, rows=work.rows.filter("user_id > 1000"))
        return written(none, *told)

    with shop.opened(tmp_path / "shop") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Frame, "_written", of_less)
        with pytest.raises(ConflictError, match="gave other rows when it was read again"):
            store.ingest("orders", frame)


def test_a_frame_of_other_columns_is_refused(tmp_path: Path, spark_session: SparkSession) -> None:
    with shop.opened(tmp_path) as store:
        frame = spark_session.createDataFrame(shop.orders(5))
        with pytest.raises(SchemaMismatchError, match="'price' is not there"):
            store.ingest("orders", frame.drop("price"))
        with pytest.raises(InputError, match="which source"):
            store.ingest(None, frame)


FEATURES = """
import pyarrow as pa
import pyarrow.compute as pc
import noskew as ns

FACTOR = {factor}

def scaled(batch: pa.Table) -> pa.Table:
    if pc.any(pc.equal(batch["n"], 13)).as_py():
        raise ValueError("thirteen")
    return batch.set_column(2, "n", pc.multiply(batch["n"], FACTOR))

def doubled(inputs):
    return {{"twice": inputs["n"] * {factor}}}

columns = {{"k": int, "at": "timestamp", "n": int}}
source = ns.Source("numbers", columns, event_time="at", batch=ns.Csv("numbers.csv"))
view = ns.FeatureView("view", entity=ns.Entity("e", {{"k": int}}), source=source,
    transform=ns.arrow(scaled, schema=columns), features=["n"])
twice = ns.OnDemand("twice", doubled, inputs=[view["n"]], outputs={{"twice": float}})
service = ns.FeatureService("service", [view, twice])
"""


def test_functions_of_feature_files_run_in_tasks(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    """Also when a file is edited between two runs of one session, and when one of them fails."""
    (tmp_path / "features").mkdir()
    (tmp_path / "noskew.toml").write_text('project = "numbers"\n[offline]\nbuckets = 2\n')
    table = pa.table({"k": [1, 2, 3], "at": ["2020-01-01T00:00:00Z"] * 3, "n": [10, 20, 30]})
    pyarrow.csv.write_csv(table, tmp_path / "numbers.csv")
    rows = {"k": [3, 1], "event_timestamp": ["2020-01-02T00:00:00Z"] * 2}
    for factor in (3, 5):
        (tmp_path / "features" / "all.py").write_text(FEATURES.format(factor=factor))
        with ns.FeatureStore(tmp_path) as store:
            store.apply(uncertified=True)
            assert total(store.ingest(runner="spark"))[:3] == (3, 1, 0)
            made = store.get_historical_features(rows, "service", runner="spark").to_arrow()
            frame = spark_session.createDataFrame(pa.table(rows))
            on_spark = store.get_historical_features(frame, "service").to_arrow().sort_by("k")
        assert made["n"].to_pylist() == [30 * factor, 10 * factor]
        assert made["twice"].to_pylist() == [30 * factor**2, 10 * factor**2]
        assert on_spark["twice"].to_pylist() == [10 * factor**2, 30 * factor**2]
    bad = spark_session.createDataFrame(table.slice(0, 1)).selectExpr("k", "at", "13L AS n")
    with ns.FeatureStore(tmp_path) as store, pytest.raises(TransformError, match="thirteen"):
        store.ingest("numbers", bad)


def test_configuration_chooses_the_runner(tmp_path: Path, spark_session: SparkSession) -> None:
    (tmp_path / "noskew.toml").write_text(
        'project = "shop"\nrunner = "spark"\n[spark]\nmaster = "local[1]"\n[spark.conf]\n'
        'spark.executor.memory = "1g"\n"spark.a.b" = true\n'
    )
    with ns.FeatureStore(tmp_path) as store:
        assert store.config.spark.conf == {"spark.executor.memory": "1g", "spark.a.b": "true"}
        spark = store._runners.project(None)
        assert spark is not None
        assert spark.runner.session is spark_session
        assert store._runners.project("in_process") is None
    # A session that was there is left running.
    assert spark_session.range(3).count() == 3
    assert json.loads(spark.context([shop.MODEL])["config"])["runner"] == "spark"
