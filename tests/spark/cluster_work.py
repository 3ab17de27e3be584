"""``python cluster_work.py MASTER REDIS``: everything that Spark does, on a cluster, once.

A process of its own, since a process has one connection to Spark. The directory it runs in is
the project's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

import noskew as ns
from noskew.clock import FixedClock
from noskew.config import Config, OfflineConfig, OnlineConfig, SparkConfig
from noskew.kernel.bits import differences
from tests.spark import shop
from tests.spark_cluster import JAVA

FEATURES = """
from tests.spark.shop import MODEL, OVER, SPENT, SHOPS, NEVER, USER, PAIR, ORDERS
import noskew as ns

def halved(inputs):
    return {"half": inputs["price_mean_1d"] / 2}

half = ns.OnDemand("half", halved, inputs=[SPENT["price_mean_1d"]], outputs={"half": float})
functions = ns.FeatureService("functions", [SPENT["price_mean_1d"], half])
"""


def main(master: str, redis: str) -> None:
    root = Path.cwd()
    (root / "features").mkdir()
    (root / "features" / "all.py").write_text(FEATURES)
    (root / "orders").mkdir()
    for number in range(6):
        pq.write_table(shop.orders(200, seed=number), root / "orders" / f"{number}.parquet")
    on = {
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": JAVA,
        "spark.driver.extraJavaOptions": JAVA,
        "spark.driver.host": "127.0.0.1",
    }
    settings = {
        "project": "shop",
        "offline": OfflineConfig(buckets=shop.BUCKETS),
        "spark": SparkConfig(master=master, conf=on),
    }
    clock = FixedClock("2030-01-01T00:00:00Z")
    here = ns.FeatureStore(root / "here", config=Config(**settings), clock=clock)
    online = OnlineConfig(url=redis)
    there = ns.FeatureStore(root, config=Config(**settings, online=online), clock=clock)
    with here, there:
        for store in (here, there):
            store.apply(there.load(), uncertified=True)
        files = ns.Parquet(str(root / "orders"))
        here.ingest("orders", files)
        there.ingest("orders", files, runner="spark")
        rows = shop.asked(500)
        expected = here.get_historical_features(rows, "model").to_arrow()
        made = there.get_historical_features(rows, "model", runner="spark").to_arrow()
        assert differences(made, expected) == {}, "a training set"

        spark = there._runners.spark()
        assert spark is not None
        session = spark.runner.session
        seen = session.range(0, 64, 1, 64).rdd.map(_executor).collect()
        assert len(set(seen)) == 2, "both workers work"

        more = shop.orders(300, seed=50)
        here.ingest("orders", more)
        there.ingest("orders", session.createDataFrame(more))
        answer = there.get_historical_features(session.createDataFrame(rows), "functions")
        # As on another machine, where there are no feature files.
        (root / "features").rename(root / "gone")
        found = answer.to_arrow()
        (root / "gone").rename(root / "features")
        found = found.take(pc.sort_indices(found["label"]))
        expected = here.get_historical_features(rows, "functions").to_arrow()
        expected = expected.take(pc.sort_indices(expected["label"]))
        assert differences(found, expected) == {}, "a frame, with functions of feature files"

        here.materialize()
        there.materialize(runner="spark")
        known = rows.filter(pc.is_valid(rows["user_id"])).select(["user_id", "shop", "offer"])
        keys = known.to_pydict()
        answers = [s.get_online_features("model", keys).to_arrow() for s in (here, there)]
        assert differences(*answers) == {}, "the online store"
    sys.stdout.write("all equal\n")


def _executor(_: object) -> str:
    """Each executor has a directory of its own."""
    return str(Path.cwd())


if __name__ == "__main__":
    main(*sys.argv[1:])
