"""An online store that loses what it acknowledged gets it again from the state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import noskew as ns
from noskew.config import Config, OnlineConfig
from noskew.stores.online.redis import RedisStore
from tests import chaos, servers
from tests.servers import wait_until
from tests.streaming import shop
from tests.streaming.running import Running
from tests.streaming.test_streams import contents, expected, streamed

pytestmark = pytest.mark.chaos


@pytest.fixture
def redis() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path, redis: servers.RedisServer) -> Iterator[ns.FeatureStore]:
    config = Config(project="shop", online=OnlineConfig(url=redis.url))
    with ns.FeatureStore(tmp_path, config=config, clock=shop.FixedClock(shop.NOW)) as made:
        made.apply([shop.service()])
        yield made


def running(store: ns.FeatureStore) -> Running:
    return Running(store.streams.processor(*streamed(store)))


def test_rows_come_back_after_flushall(store: ns.FeatureStore, redis: servers.RedisServer) -> None:
    store.push("orders", shop.orders(400, 1))
    wanted = expected(store)
    with running(store) as processor:
        wait_until(lambda: contents(store) == wanted, "everything is online")
        wait_until(lambda: all(p.waiting == 0 for p in processor.positions()), "it is confirmed")
        with redis.client() as client:
            client.flushall()
        wait_until(lambda: contents(store) == wanted, "everything is online again")
        assert processor.published_again >= len(wanted), "the nemesis left its trace"
    chaos.note("FLUSHALL", faults=1, traces=1, compared=len(wanted))


def test_a_store_that_is_down_delays_rows_and_loses_none(
    store: ns.FeatureStore, redis: servers.RedisServer
) -> None:
    store.push("orders", shop.orders(200, 1))
    with running(store) as processor:
        wait_until(lambda: contents(store) == expected(store), "everything is online")
        redis.stop()
        store.push("orders", shop.orders(200, 2))
        wait_until(lambda: processor.fault is not None, "the outage is noticed")
        wait_until(lambda: all(p.lag == 0 for p in processor.positions()), "folding goes on")
        redis.start()  # without what it held
        wait_until(lambda: _now(store) == expected(store), "everything is online")
        assert processor.published_again > 0
        chaos.note(
            "a Redis that is down, and comes back empty",
            faults=1,
            traces=1,
            compared=len(_now(store)),
        )


def _now(store: ns.FeatureStore) -> dict[bytes, bytes]:
    try:
        return contents(store)
    except ns.NoskewError:
        return {}


def test_the_generation_of_a_redis_changes_with_each_start(redis: servers.RedisServer) -> None:
    with RedisStore(redis.url) as opened:
        first = opened.generation()
        assert first == opened.generation() != b""
        redis.stop()
        redis.start()
        assert opened.generation() not in (first, b"")
