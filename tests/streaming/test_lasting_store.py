"""Streams to a store that loses nothing: DynamoDB, without frontier keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import noskew as ns
from noskew.addresses import PREFIX_BYTES, OnlineRows, is_entity_key
from noskew.config import Config, OnlineConfig
from noskew.errors import StoreUnavailableError
from noskew.stores.online.dynamodb import DynamoDbStore
from tests import dynamodb_server as servers
from tests.servers import wait_until
from tests.streaming import naive, shop
from tests.streaming.running import Running
from tests.streaming.test_streams import contents, expected, streamed


@pytest.fixture
def faults(dynamodb_server: servers.DynamoDbServer) -> Iterator[servers.Faults]:
    with servers.faulty(dynamodb_server) as faults:
        yield faults


@pytest.fixture
def store(tmp_path: Path, dynamodb_url: str, faults: servers.Faults) -> Iterator[ns.FeatureStore]:
    """The shop, its rows in a table behind a server that may refuse requests."""
    table = dynamodb_url.partition("?")[0]
    url = f"{table}?region=eu-west-1&endpoint={faults.endpoint}"
    config = Config(project="shop", online=OnlineConfig(url=url))
    with ns.FeatureStore(tmp_path, config=config, clock=shop.FixedClock(shop.NOW)) as store:
        store.apply([shop.service()])
        yield store


def keys_of(store: ns.FeatureStore) -> set[bytes]:
    return {key for key, _ in store.online.scan()}


def test_what_is_published_is_the_fold(store: ns.FeatureStore) -> None:
    store.push("orders", shop.orders(300, 1))
    store.stream("orders")
    assert contents(store) == expected(store) != {}
    assert naive.check_answers(store) > 0
    store.push("orders", shop.orders(300, 2))
    store.stream("orders")
    assert contents(store) == expected(store)


def test_there_are_no_frontier_keys(store: ns.FeatureStore) -> None:
    store.push("orders", shop.orders(100, 1))
    store.stream("orders")
    keys = keys_of(store)
    prefixes = {key[:PREFIX_BYTES] for key in keys if is_entity_key(key)}
    turns = [(prefix, n, turn) for prefix in prefixes for n in range(8) for turn in (0, 1)]
    frontiers = {key for turn in turns for key in OnlineRows(*turn).frontier()}
    assert not keys & frontiers
    assert len([k for k in keys if not is_entity_key(k)]) < 50


def test_what_was_committed_and_never_published_is_at_the_next_start(
    store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.push("orders", shop.orders(100, 1))
    store.stream("orders")
    before = contents(store)
    store.push("orders", shop.orders(100, 2))
    with monkeypatch.context() as patched:

        def down(self: DynamoDbStore, keys: list[bytes], rows: list[bytes]) -> int:
            raise StoreUnavailableError("down")

        patched.setattr(DynamoDbStore, "write", down)
        processor = store.streams.processor(*streamed(store))
        with Running(processor) as running:
            wait_until(lambda: all(p.lag == 0 for p in running.positions()), "all is folded")
    assert contents(store) == before
    store.stream("orders")  # the log has nothing more for it
    assert contents(store) == expected(store) != before


def test_a_start_after_all_was_published_publishes_nothing(
    store: ns.FeatureStore, faults: servers.Faults
) -> None:
    store.push("orders", shop.orders(100, 1))
    store.stream("orders")
    with Running(store.streams.processor(*streamed(store))) as processor:
        wait_until(lambda: all(p.lag == 0 for p in processor.positions()), "it is caught up")
        wait_until(lambda: all(p.waiting == 0 for p in processor.positions()), "it is published")
        assert processor.published_again == 0


def test_a_table_that_was_emptied_is_filled_at_the_next_start(store: ns.FeatureStore) -> None:
    store.push("orders", shop.orders(100, 1))
    store.stream("orders")
    wanted = contents(store)
    store.online.delete(sorted(keys_of(store)))
    store.stream("orders")
    assert contents(store) == wanted == expected(store)


def test_a_throttled_table_gets_every_row(store: ns.FeatureStore, faults: servers.Faults) -> None:
    store.push("orders", shop.orders(200, 1))
    faults.share = 0.2
    store.stream("orders")
    faults.share = 0.0
    assert contents(store) == expected(store)
    assert faults.refused > 0


def test_rows_made_anew_replace_those_before(store: ns.FeatureStore) -> None:
    store.push("orders", shop.orders(100, 1))
    store.stream("orders")
    source, views = streamed(store)
    before = contents(store)
    store.streams.rebuild(source, views)
    store.stream("orders")
    generations = {row[8:10] for row in contents(store).values()}
    assert generations == {b"\0\1"}
    assert contents(store).keys() == before.keys()
