"""The log of one process: what it keeps, what it drops, and that it disturbs nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.answer_log.log import ServedLog
from noskew.answer_log.sampling import Sample
from noskew.clock import FixedClock
from noskew.errors import SchemaMismatchError, StoreUnavailableError
from noskew.kernel.key_hashes import low_hashes
from noskew.kernel.keys import encode_key
from noskew.project_stores.factories import open_offline
from noskew.reading.reader import OnlineReader
from noskew.stores.offline.base import Commit, OfflineStore
from tests.audit.keeping import Counted, keeping, served_log
from tests.audit.test_materialized import SERVICE, SPENT, START, USERS, VIEW
from tests.servers import wait_until

#: A log that does not wait.
QUICK = {"every_s": 0.0, "tick_s": 0.02, "busy": 1.0}
PAIR = ns.Entity("pair", {"user": str, "n": int})
PAIRS = ns.FeatureView("pairs", entity=PAIR, source=SPENT, features=[ns.latest("amount", name="p")])
BOTH = ns.FeatureService("both", [VIEW["last"], PAIRS])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ns.FeatureStore]:
    with ns.FeatureStore(tmp_path, project="shop", clock=FixedClock(START)) as made:
        made.apply([SERVICE, BOTH])
        rows = {
            "user": USERS,
            "at": [START] * 5,
            "told": [START] * 5,
            "amount": [1.0] * 5,
            "n": range(5),
        }
        made.ingest("spent", pa.table(rows, SPENT.schema.arrow))
        made.materialize()
        yield made


def reader(store: ns.FeatureStore, service: ns.FeatureService = SERVICE) -> OnlineReader:
    return OnlineReader(service, store.online, store.clock, tenant=store.tenant)


def fill(log: ServedLog, store: ns.FeatureStore, requests: int) -> None:
    made = reader(store)
    kept = log.of(made.plan)
    for _ in range(requests):
        kept.add(made.get({"user": USERS}), perf_counter())


def test_what_waits_is_bounded_and_what_is_dropped_counted(store: ns.FeatureStore) -> None:
    counted = Counted()
    log = served_log(store, counted, most_bytes=100_000)
    fill(log, store, 100)
    log.start()
    log.close()
    assert counted.rows["sampled"] == 500
    assert counted.rows["dropped"] + counted.rows["logged"] == 500
    assert 50 <= counted.rows["logged"] < 100
    assert len(store.get_served("wallet")) == counted.rows["logged"]


class Flaky(OfflineStore):
    """A real store whose appends fail as long as ``errors`` has some."""

    def __init__(self, store: OfflineStore, errors: list[Exception], *, after: bool) -> None:
        self._store, self._errors, self._after = store, errors, after
        for name in (
            "create",
            "tables",
            "info",
            "compact",
            "expire",
            "close",
            "committed",
            "read",
            "files",
            "drop",
        ):
            setattr(self, name, getattr(store, name))

    def append(self, table: str, batches: Iterable[pa.RecordBatch], **options: Any) -> Commit:
        if self._after:
            made = self._store.append(table, batches, **options)
        if self._errors:
            raise self._errors.pop()
        return made if self._after else self._store.append(table, batches, **options)


Flaky.__abstractmethods__ = frozenset()  # the methods are those of the store within


@pytest.mark.parametrize("after", [False, True])
def test_an_offline_store_that_fails_delays_and_doubles_nothing(
    store: ns.FeatureStore, after: bool
) -> None:
    """``after``: the append was done, and nobody heard of it."""
    counted, errors = Counted(), [StoreUnavailableError("down") for _ in range(2)]
    offline = Flaky(
        open_offline(store.config.offline, store.root, store.tenant), errors, after=after
    )
    log = served_log(store, counted, open_offline=lambda: offline, **QUICK)
    log.start()
    fill(log, store, 3)
    wait_until(lambda: counted.rows["logged"] == 15, "everything is there")
    log.close()
    assert [str(error) for error in counted.errors] == ["down", "down"]
    assert counted.rows["dropped"] == counted.rows["failed"] == 0
    assert len(store.get_served("wallet")) == 15
    assert store.offline.info(log.of(reader(store).plan).table.name).rows == (45 if after else 15)


def test_a_store_that_does_not_open_is_tried_again(store: ns.FeatureStore) -> None:
    counted, tries = Counted(), [0]

    def open_it() -> OfflineStore:
        tries[0] += 1
        if tries[0] < 3:
            raise StoreUnavailableError("no catalog")
        return open_offline(store.config.offline, store.root, store.tenant)

    log = served_log(store, counted, open_offline=open_it, **QUICK)
    log.start()
    fill(log, store, 1)
    wait_until(lambda: counted.rows["logged"] == 5, "everything is there")
    log.close()
    assert len(counted.errors) == 2


def test_what_can_never_be_written_is_given_up(store: ns.FeatureStore) -> None:
    counted = Counted()
    errors: list[Exception] = [SchemaMismatchError("another table")]
    offline = Flaky(
        open_offline(store.config.offline, store.root, store.tenant), errors, after=False
    )
    log = served_log(store, counted, open_offline=lambda: offline)
    fill(log, store, 2)
    log.start()
    log.close()
    assert (counted.rows["failed"], counted.rows["logged"]) == (10, 0)


def test_what_cannot_be_written_at_the_end_is_counted(store: ns.FeatureStore) -> None:
    counted = Counted()
    errors: list[Exception] = [StoreUnavailableError("down")] * 9
    offline = Flaky(
        open_offline(store.config.offline, store.root, store.tenant), errors, after=False
    )
    log = served_log(store, counted, open_offline=lambda: offline)
    fill(log, store, 2)
    log.start()
    log.close()
    assert (counted.rows["failed"], counted.rows["logged"]) == (10, 0)


def test_an_answer_that_cannot_be_kept_takes_no_others_along(store: ns.FeatureStore) -> None:
    counted = Counted()
    log = served_log(store, counted)
    made = reader(store)
    kept = log.of(made.plan)
    for i in range(3):
        answer = made.get({"user": USERS})
        if i == 1:
            answer.answers["wallet"]._rows = [b"\0" * 40] * 5  # no row that anybody wrote
        kept.add(answer, perf_counter())
    log.start()
    log.close()
    assert (counted.rows["logged"], counted.rows["failed"]) == (10, 5)
    assert len(counted.errors) >= 1


def test_several_processes_append_at_once(store: ns.FeatureStore) -> None:
    logs = [served_log(store, Counted()) for _ in range(4)]
    for log in logs:
        fill(log, store, 5)
        log.start()
    threads = [Thread(target=log.close) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.get_served("wallet")) == 4 * 25


def test_definitions_do_not_share_a_table(store: ns.FeatureStore) -> None:
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
        store.apply([ns.FeatureService("wallet", [VIEW["last"]]), BOTH])
        store.materialize()
        serve("wallet", {"user": ["a", "b"]})
    assert store.get_served("wallet").to_arrow().column_names == ["user", "event_timestamp", "last"]
    assert len(store.get_served("wallet")) == 2
    report = store.audit_skew("wallet")
    assert report.services[0].rows == 3, "all definitions of it are audited"
    assert report.services[0].features["last"].equal == 3
    assert report.services[0].features["count_10min"].equal == 1


# ---------------------------------------------------------------- which rows


def test_the_same_entities_are_always_sampled(store: ns.FeatureStore) -> None:
    plan = reader(store).plan
    sample = Sample(plan, 0.05)
    users = [f"user {i}" for i in range(20_000)]
    keys = plan.store_keys({"user": users})
    at, hashes = sample.pick(keys, len(keys)) or ([], [])
    assert 800 < len(at) < 1_200
    assert list(hashes) == [crc32(encode_key([users[i]])) for i in at]
    one_by_one = [i for i, key in enumerate(keys) if sample.pick([key], 1)]
    assert one_by_one == list(at)
    few = [i for i in range(0, 20_000, 4) for _ in sample.pick(keys[i : i + 4], 4) or ()]
    assert {i // 4 * 4 for i in at} == set(few)
    with_null = [*keys[:50], None, *keys[50:]]
    found, _ = sample.pick(with_null, len(with_null)) or ([], [])
    assert list(found) == [i + (i >= 50) for i in at]


def test_numbers_that_follow_one_another_are_sampled_evenly() -> None:
    keys = [bytes(8) + encode_key([i]) for i in range(100_000)]
    at, _ = low_hashes(b"".join(keys), len(keys), lead=8, parts=1, limit=(1 << 32) // 100)
    parts, _ = np.histogram(at, 10, (0, 100_000))
    assert 900 < len(at) < 1_100
    assert (parts > 60).all()


def test_hashes_of_long_and_compound_keys() -> None:
    keys = [encode_key(["x" * n, n]) for n in (0, 1, 127, 128, 300, 470, 475, 480, 2_000)]
    joined = b"".join(b"prefix.." + key for key in keys)
    at, found = low_hashes(joined, len(keys), lead=8, parts=2, limit=1 << 32)
    assert (at, found) == (list(range(len(keys))), [crc32(key) for key in keys])


def test_rows_of_several_entities_are_sampled_by_all_of_them(store: ns.FeatureStore) -> None:
    plan = reader(store, BOTH).plan
    users, numbers = [f"u{i % 100}" for i in range(5_000)], [i // 100 for i in range(5_000)]
    keys = plan.store_keys({"user": users, "n": numbers})
    at, hashes = Sample(plan, 0.1).pick(keys, 5_000) or ([], [])
    assert 350 < len(at) < 650
    assert len(set(hashes)) == len(hashes)
    assert len({users[i] for i in at}) > 90
    assert Sample(plan, 0.1).pick(keys[:0], 0) is None
