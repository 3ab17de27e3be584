"""Rows that Spark writes to the online store are, byte for byte, those of one process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import InputError
from noskew.kernel.bits import differences
from noskew.runners.spark.runner import SparkRunner
from tests.spark import shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def rows_of(store: ns.FeatureStore) -> dict[bytes, bytes]:
    return dict(store.online.scan())


def test_rows_are_those_of_one_process(tmp_path: Path, spark_session: SparkSession) -> None:
    """At first, after late and new facts, and in full; with as many rows told of each time."""
    told: list[tuple[str, int]] = []
    clock, twin = FixedClock("2030-01-01T00:00:00Z"), FixedClock("2030-01-01T00:00:00Z")
    with (
        shop.opened(tmp_path / "here", clock=clock) as here,
        shop.opened(tmp_path / "spark", clock=twin) as there,
    ):
        for number, full in enumerate([False, False, True]):
            for store in (here, there):
                store.ingest("orders", shop.orders(400, seed=number))
            told.clear()
            expected = here.materialize(full=full, progress=lambda *done: told.append(done))
            counted = sum(rows for _, rows in told)
            told.clear()
            made = there.materialize(
                full=full, runner="spark", progress=lambda *done: told.append(done)
            )
            assert sum(rows for _, rows in told) == counted
            assert made == expected
            assert rows_of(there) == rows_of(here)
            for each in (clock, twin):
                each.advance("1h")
        again = there.materialize(full=True, until=made[0].until, runner="spark")
        assert [done.changed for done in again] == [0, 0, 0]
        assert rows_of(there) == rows_of(here)
        asked = {"user_id": [1, 2, 99], "shop": ["s1", "s2", "s3"], "offer": [1.0, 2.0, 3.0]}
        here_now, there_now = (s.get_online_features("model", asked) for s in (here, there))
        assert differences(there_now.to_arrow(), here_now.to_arrow()) == {}


def test_to_redis(tmp_path: Path, spark_session: SparkSession, redis_url: str) -> None:
    with (
        shop.opened(tmp_path / "here") as here,
        shop.opened(tmp_path / "spark", online=redis_url) as there,
    ):
        for store in (here, there):
            store.ingest("orders", shop.orders(300))
        there.online.delete([key for key, _ in there.online.scan()])
        here.materialize()
        there.materialize(runner="spark")
        assert rows_of(there) == rows_of(here)


def test_files_of_this_machine_are_no_store_for_others(
    tmp_path: Path, spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkRunner, "is_local", False)
    with shop.opened(tmp_path) as store:
        store.ingest("orders", shop.orders(10))
        with pytest.raises(InputError, match="use Redis"):
            store.materialize(runner="spark")
