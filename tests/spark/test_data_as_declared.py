"""Tasks of Spark read a source's data as one process does: folders, names and units."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.config import Config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = 86_400
COLUMNS = {"uid": int, "at": "timestamp[s]", "price": float, "channel": str, "country": str}
FEATURES = ["price", "channel", "country", "count_2d"]
USER = ns.Entity("user", {"uid": int})
SALES = ns.Source("sales", COLUMNS, event_time="at", columns={"uid": "Customer ID", "price": "a.b"})
VIEW = ns.FeatureView(
    "spent",
    entity=USER,
    source=SALES,
    features=["price", "channel", "country", ns.count(window="2d")],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An older file without a column, and two of the same bytes in two folders."""
    root = tmp_path / "sales"
    for country in ("DE", "FR", "__HIVE_DEFAULT_PARTITION__"):
        (root / f"country={country}").mkdir(parents=True)
    old = pa.table({"Customer ID": pa.array([1, 2], pa.int16()), "at": [DAY, DAY], "a.b": [1, 2]})
    new = pa.table(
        {
            "Customer ID": [1.0, 3.0],
            "at": [2.0 * DAY, 2.0 * DAY],
            "a.b": [0.5, None],
            "channel": ["web", None],
            "uid": ["not", "this"],
        }
    )
    pq.write_table(old, root / "country=__HIVE_DEFAULT_PARTITION__" / "0.parquet")
    for country in ("DE", "FR"):
        pq.write_table(new, root / f"country={country}" / "1.parquet")
    return root


def answers(store: ns.FeatureStore) -> list[dict[str, Any]]:
    at = pa.array([3 * DAY] * 3, pa.timestamp("s", "UTC"))
    asked = pa.table({"uid": [1, 2, 3], "event_timestamp": at})
    return store.get_historical_features(asked, "model", runner="in_process").to_arrow().to_pylist()


def opened(root: Path) -> ns.FeatureStore:
    clock = FixedClock(10 * DAY * 1_000_000)
    store = ns.FeatureStore(root, config=Config(project="p"), clock=clock)
    store.apply([ns.FeatureService("model", [VIEW])], uncertified=True)
    return store


def test_a_folder(tmp_path: Path, folder: Path, spark_session: SparkSession) -> None:
    with opened(tmp_path / "here") as here, opened(tmp_path / "there") as there:
        made = [
            s.ingest("sales", ns.Parquet(str(folder)), runner=r)
            for s, r in ((here, "in_process"), (there, "spark"))
        ]
        assert [[r.rows for r in reports] for reports in made] == [[6], [6]]
        found = answers(there)
        assert found == answers(here)
        assert [row["count_2d"] for row in found] == [2, 0, 2]
        assert [row["country"] for row in found] == ["FR", None, "FR"]
        assert [r.rows for r in there.ingest("sales", ns.Parquet(str(folder)))] == [0]


def test_a_frame(tmp_path: Path, spark_session: SparkSession) -> None:
    rows = pa.table(
        {
            "Customer ID": [1, 2],
            "uid": ["not", "this"],
            "a.b": [0.5, None],
            "at": [DAY, 2 * DAY],
            "channel": ["web", None],
            "country": ["DE", None],
        }
    )
    with opened(tmp_path / "here") as here, opened(tmp_path / "there") as there:
        here.ingest("sales", rows)
        there.ingest("sales", spark_session.createDataFrame(rows))
        assert answers(there) == answers(here)
        assert answers(there)[0]["price"] == 0.5
