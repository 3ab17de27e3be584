"""Views of another entity than the partitions are by: a row for each, merged when read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.addresses import PART_BYTES, Tenant, is_entity_key
from noskew.clock import FixedClock
from noskew.config import Config, OnlineConfig
from noskew.errors import DefinitionError, InputError
from noskew.kernel.rows.codec import version_of
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.streaming.fold.event_pipeline import EventPipeline
from tests import servers
from tests.kafka_admin import Broker
from tests.servers import wait_until
from tests.streaming.running import Running
from tests.streaming.test_view_fold import Stream

S = 1_000_000
NOW = 1_700_000_000 * S
USERS, SHOPS, PARTITIONS = 40, 12, 3


def service(stream: ns.LocalLog | ns.Kafka, **options: object) -> ns.FeatureService:
    orders = ns.Source(
        "orders",
        {"user": int, "shop": str, "at": "timestamp", "amount": float, "id": int},
        event_time="at",
        stream=stream,
        **options,
    )
    user, shop = ns.Entity("user", {"user": int}), ns.Entity("shop", {"shop": str})
    return ns.FeatureService(
        "svc",
        [
            ns.FeatureView(
                "spent",
                entity=user,
                source=orders,
                features=[
                    ns.count(window="1h"),
                    ns.sum("amount"),
                ],
            ),
            ns.FeatureView(
                "sold",
                entity=shop,
                source=orders,
                lateness="20s",
                late="drop",
                features=[
                    ns.count(window=["1min", "1h"]),
                    ns.sum("amount", window="1h"),
                    ns.mean("amount"),
                    ns.max("amount", window="5min"),
                    ns.last_n("amount", 3),
                    ns.count_distinct("user"),
                    ns.quantile("amount", 0.9),
                    "amount",
                    "user",
                ],
            ),
        ],
        full_names=True,
    )


def orders(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    users = random.integers(0, USERS, count)
    shops = [None if s == SHOPS else f"shop {s}" for s in random.integers(0, SHOPS + 1, count)]
    # No two at the same time: which of those is the last is said by the partition alone.
    at = NOW - random.permutation(count) * (240 * S // count) - seed
    amount = np.round(random.normal(50, 20, count), 2)
    return pa.table(
        {
            "user": users,
            "shop": shops,
            "at": pa.array(at).view(pa.timestamp("us", "UTC")),
            "amount": amount,
            "id": random.integers(0, 1 << 40, count),
        }
    )


@pytest.fixture(params=["embedded", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ns.FeatureStore]:
    if request.param == "embedded":
        with opened(tmp_path, Config(project="p")) as made:
            yield made
        return
    with servers.redis_server() as server:
        config = Config(project="p", online=OnlineConfig(url=server.url))
        with opened(tmp_path, config) as made:
            yield made


@contextmanager
def opened(root: Path, config: Config) -> Iterator[ns.FeatureStore]:
    with ns.FeatureStore(root, config=config, clock=FixedClock(NOW)) as made:
        made.apply([service(ns.LocalLog(partitions=PARTITIONS, key="user"))])
        yield made


def streamed(store: ns.FeatureStore) -> tuple[ns.Source, list[ns.FeatureView]]:
    project = store.applied.project
    return project.source("orders"), list(project.views.values())


def rows_of(store: ns.FeatureStore, name: str) -> dict[bytes, bytes]:
    prefix = Tenant("p").rows(store.applied.project.view(name)).prefix
    return {key: row for key, row in store.online.scan(prefix) if is_entity_key(key)}


def asked(store: ns.FeatureStore) -> dict[str, list[object]]:
    """Every shop, and for each some user."""
    shops = [f"shop {s}" for s in range(SHOPS)] + ["none of them", None]
    return {"shop": shops, "user": [i % (USERS + 2) for i in range(len(shops))]}


def check_online_equals_historical(store: ns.FeatureStore) -> None:
    rows = asked(store)
    online = store.get_online_features("svc", rows).to_arrow()
    now = [store.clock.now()] * len(rows["shop"])
    table = pa.table({**rows, "event_timestamp": pa.array(now).view(pa.timestamp("us", "UTC"))})
    offline = store.get_historical_features(table, "svc").to_arrow()
    compared = 0
    for column in store.applied.project.service("svc").columns:
        ours, theirs = (t.column(column.name).combine_chunks() for t in (online, offline))
        assert ours.equals(theirs), (column.name, ours, theirs)
        compared += len(ours) - ours.null_count
    assert compared > 8 * SHOPS


def push(store: ns.FeatureStore, count: int, seed: int) -> None:
    store.push("orders", orders(count, seed))


def test_online_answers_equal_historical_ones_of_the_same_stream(store: ns.FeatureStore) -> None:
    for turn in range(4):
        push(store, 400, turn)
        store.stream("orders")
        store.clock.advance("20s")  # type: ignore[attr-defined]
        check_online_equals_historical(store)
    parts = {key[-PART_BYTES:] for key in rows_of(store, "sold")}
    assert parts == {bytes([0, n + 1]) for n in range(PARTITIONS)}
    assert len(rows_of(store, "sold")) == PARTITIONS * SHOPS, "each shop is in each partition"
    assert all(v.is_equal for v in store.streams.verify(*streamed(store)))


def test_every_partial_row_is_the_fold_of_its_partition(store: ns.FeatureStore) -> None:
    push(store, 500, 1)
    store.stream("orders")
    push(store, 300, 2)
    store.stream("orders")
    source, _ = streamed(store)
    view, log = store.applied.project.view("sold"), store.logs.of(source)
    expected: dict[bytes, bytes] = {}
    for number in range(PARTITIONS):
        alone = Stream(view)
        alone.fold = type(alone.fold)(view, store.tenant)
        alone.pipeline = EventPipeline([view], ArrowDecoder(source.schema, "orders"))
        with log.reader({number: 0}) as reader:
            for messages in reader.poll(0):
                alone.step(messages)
        expected |= alone.rows
    assert rows_of(store, "sold") == expected


def test_history_is_a_part_of_its_own(store: ns.FeatureStore) -> None:
    store.ingest("orders", ns.Frame(orders(300, 7)))
    store.clock.advance("1s")  # type: ignore[attr-defined]
    push(store, 300, 8)
    store.stream("orders")
    check_online_equals_historical(store)
    assert {key[-PART_BYTES:] for key in rows_of(store, "sold")} == {
        bytes([0, n]) for n in range(PARTITIONS + 1)
    }
    store.clock.advance("1s")  # type: ignore[attr-defined]
    push(store, 200, 9)
    store.stream("orders")
    check_online_equals_historical(store)


def test_rows_that_are_made_anew_are_the_same(store: ns.FeatureStore) -> None:
    store.ingest("orders", ns.Frame(orders(100, 3)))
    push(store, 500, 1)
    store.stream("orders")
    before = rows_of(store, "sold")
    store.streams.rebuild(*streamed(store))
    store.stream("orders")
    after = rows_of(store, "sold")
    assert {k: r[16:] for k, r in after.items()} == {k: r[16:] for k, r in before.items()}
    assert {version_of(r)[0] for r in after.values()} == {version_of(r)[0] for r in before.values()}
    push(store, 300, 2)
    store.stream("orders")
    check_online_equals_historical(store)
    assert all(v.is_equal for v in store.streams.verify(*streamed(store)))


def test_what_is_lost_online_is_found_and_repaired(tmp_path: Path) -> None:
    with servers.redis_server() as server:
        config = Config(project="p", online=OnlineConfig(url=server.url))
        with opened(tmp_path, config) as store:
            push(store, 500, 1)
            store.stream("orders")
            key = next(iter(rows_of(store, "sold")))
            store.online.delete([key])
            (found,) = (v for v in store.streams.verify(*streamed(store)) if v.view == "sold")
            assert (found.behind, found.different, found.missing) == (1, 0, 0)
            store.streams.verify(*streamed(store), repair=True)
            check_online_equals_historical(store)
            with server.client() as client:
                client.flushall()
            store.stream("orders")
            check_online_equals_historical(store)


def test_a_reader_hears_of_more_partitions(store: ns.FeatureStore) -> None:
    """A topic may be given more of them while a server runs."""
    push(store, 400, 1)
    source, views = streamed(store)
    with Running(store.streams.processor(source, views, partitions=[0])) as some:
        wait_until(lambda: not some.positions()[0].lag, "the first partition is folded")
        wait_until(lambda: bool(rows_of(store, "sold")), "and its rows are online")
        beats = [Tenant("p").rows(view).heartbeat for view in views]
        wait_until(lambda: None not in store.online.read(beats), "and readers are told so")
        reader = store.reader("svc")
        some_of_it = reader.get(asked(store)).to_dict()
    store.stream("orders")
    all_of_it = reader.get(asked(store)).to_dict()
    assert asyncio.run(reader.get_async(asked(store))).to_dict() == all_of_it
    assert all_of_it["sold__count_1h"] != some_of_it["sold__count_1h"]
    assert all_of_it == store.get_online_features("svc", asked(store)).to_dict()
    check_online_equals_historical(store)


class OneAfterTheOther:
    """The last partition first, and then the others, too."""

    def __init__(self) -> None:
        self.has_others = False

    def look(self) -> frozenset[int]:
        return frozenset(range(PARTITIONS) if self.has_others else [PARTITIONS - 1])

    def release(self, numbers: Sequence[int]) -> None: ...


def test_an_emptied_store_is_told_of_all_partitions_again(tmp_path: Path) -> None:
    with servers.redis_server() as server, server.client() as client:
        config = Config(project="p", online=OnlineConfig(url=server.url))
        with opened(tmp_path, config) as store:
            push(store, 400, 1)
            taken = OneAfterTheOther()
            with Running(store.streams.processor(*streamed(store), assignment=taken)) as some:
                wait_until(lambda: len(some.positions()) == 1, "it works on one")
                taken.has_others = True
                wait_until(
                    lambda: (
                        len(rows_of(store, "sold")) > 2 * SHOPS
                        and not any(p.lag or p.waiting for p in some.positions())
                    ),
                    "on all",
                )
                rows = len(rows_of(store, "sold"))
                client.flushall()
                wait_until(lambda: len(rows_of(store, "sold")) == rows, "they are there again")
                key = Tenant("p").rows(store.applied.project.view("sold")).parts
                wait_until(lambda: store.online.read([key]) != [None], "with their number")
                (row,) = store.online.read([key])
                assert row is not None
                assert version_of(row)[1] == PARTITIONS


def test_partial_rows_have_no_materialization(store: ns.FeatureStore) -> None:
    store.ingest("orders", ns.Frame(orders(100, 3)))
    with pytest.raises(InputError, match="a stream keeps sold online"):
        store.materialize(["sold"])


def test_ids_need_partitions_by_a_key(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
    one, many = broker.make(partitions=1), broker.make(partitions=PARTITIONS)
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([service(ns.Kafka(one), event_id="id")])
        store.stream("orders")
    with ns.FeatureStore(tmp_path / "other", project="p") as store:
        store.apply([service(ns.Kafka(many), event_id="id")])
        with pytest.raises(DefinitionError, match="in which of the 3 partitions"):
            store.stream("orders")


def test_another_key_makes_other_rows(tmp_path: Path) -> None:
    """Whole rows of before and partial ones of after, or the other way round, never mix."""
    for key in ("user", "shop", "user"):
        with ns.FeatureStore(tmp_path, project="p", clock=FixedClock(NOW)) as store:
            store.apply([service(ns.LocalLog(partitions=PARTITIONS, key=key))])
            assert store.applied.project.view("sold").has_partial_rows == (key == "user")
            store.clock.advance("1s")  # type: ignore[attr-defined]
            push(store, 300, 5)
            store.stream("orders")


def test_a_topic_without_a_key(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.make(partitions=PARTITIONS)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([service(ns.Kafka(topic))])
        log = store.logs.of(streamed(store)[0])
        now = store.clock.now()
        for n in range(300):
            at = datetime.fromtimestamp(now // S, UTC) - timedelta(milliseconds=100 * (300 - n))
            row = {
                "user": n % USERS,
                "shop": f"shop {n % SHOPS}",
                "amount": n / 8,
                "id": n,
                "at": at.isoformat(),
            }
            log.append(n % PARTITIONS, [json.dumps(row).encode()])
        store.stream("orders")
        online = store.get_online_features("svc", asked(store)).to_dict()
        assert online["sold__count_1h"][:SHOPS] == [25] * SHOPS
        check_online_equals_historical(store)
