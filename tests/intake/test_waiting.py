"""Waiting until events are readable: what counts as that, and what looking costs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import noskew as ns
from noskew.addresses import Folders, OnlineRows, Tenant
from noskew.errors import InputError, StoreUnavailableError
from noskew.intake import shared_poll
from noskew.intake.shared_poll import SharedPoll
from noskew.intake.waiting import online_views, wait_until_readable
from noskew.kernel.rows.codec import OFFSET_BITS
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.memory import MemoryStore
from noskew.wire.pushed import Pushed
from tests.streaming import shop

VIEWS = {"a": b"prefix a", "b": b"prefix b"}
NOW = 1_000


class WatchedStore(MemoryStore):
    """Remembers which keys each read asked for; fails as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[list[bytes]] = []
        self.is_down = False

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads.append(list(keys))
        if self.is_down:
            raise StoreUnavailableError("down")
        return super().read(keys)


def progress(
    store: OnlineStore,
    view: str,
    offset: int,
    *,
    partition: int = 0,
    known: int = NOW,
    generation: int = 0,
) -> None:
    row = heartbeat_row(known, (generation << OFFSET_BITS) | offset)
    store.write([OnlineRows(VIEWS[view]).progress(partition)], [row])


@pytest.mark.parametrize("generation", [0, 3])
def test_every_view_and_partition_must_be_past_the_offsets(generation: int):
    store, pushed = MemoryStore(), Pushed({0: 5, 2: 7}, NOW)

    def judged() -> tuple[bool | None, tuple[str, ...]]:
        made = wait_until_readable(store, VIEWS, pushed, 0.0)
        assert made.offsets == pushed.offsets
        return made.readable, made.behind

    assert judged() == (False, ("a", "b"))
    for view in VIEWS:
        progress(store, view, 5, generation=generation)
        progress(store, view, 6, partition=2, generation=generation)
        progress(store, view, 99, partition=1, generation=generation)
    assert judged() == (False, ("a", "b"))
    progress(store, "b", 7, partition=2, generation=generation, known=NOW + 1)
    assert judged() == (False, ("a",))
    progress(store, "a", 8, partition=2, generation=generation, known=NOW + 1)
    assert judged() == (True, ())


def test_progress_in_a_log_that_was_there_before_does_not_count(tmp_path: Path):
    with shop.store(tmp_path) as store:
        for _ in range(3):
            store.push("orders", shop.orders(50, 1))
        store.stream("orders")
        assert store.push("orders", shop.orders(0, 1), wait=0.0).readable
    shutil.rmtree(Folders(tmp_path).logs)
    with shop.store(tmp_path, shop.NOW + 1) as store:
        pushed = store.push("orders", shop.orders(50, 1), wait=0.05)
        assert (pushed, pushed.readable) == ({0: 1, 1: 1}, False)


def test_only_online_views_of_the_source_are_waited_for():
    source, other = (
        shop.views()[0].source,
        ns.Source("other", {"user": int, "at": "timestamp"}, event_time="at"),
    )
    user = ns.Entity("user", {"user": int})
    offline = ns.FeatureView("off", entity=user, source=source, features=["amount"], online=False)
    found = online_views(Tenant("shop"), source, [*shop.views(), offline])
    assert sorted(found) == ["newest", "spent"]
    assert len(set(found.values())) == 2
    for views in ([], [offline]):
        with pytest.raises(InputError, match="'orders', so nothing can be waited for"):
            online_views(Tenant("shop"), source, views)
    with pytest.raises(InputError):
        online_views(Tenant("shop"), other, shop.views())


def test_a_store_that_is_down_for_a_while_is_asked_again():
    store = WatchedStore()
    store.is_down = True
    told = wait_until_readable(store, VIEWS, Pushed({0: 1}, NOW), 0.02)
    assert (told.readable, told.behind) == (False, ("a", "b"))
    assert len(store.reads) > 1

    async def wait() -> Pushed:
        shared = SharedPoll(lambda: store)
        waiter = asyncio.create_task(shared.until_readable(VIEWS, Pushed({0: 1}, NOW), 20))
        seen = len(store.reads)
        while len(store.reads) < seen + 3:
            await asyncio.sleep(0)
        for view in VIEWS:
            progress(store, view, 1)
        store.is_down = False
        return await waiter

    assert asyncio.run(wait()).readable


def test_any_number_of_waiters_share_the_looks_and_each_goes_on_at_its_own_offset():
    store, count = WatchedStore(), 300

    async def wait() -> list[int]:
        shared, gone = SharedPoll(lambda: store), []

        async def one(offset: int) -> None:
            told = await shared.until_readable(VIEWS, Pushed({0: offset}, NOW), 20)
            assert told.readable
            gone.append(offset)

        waiters = [asyncio.create_task(one(n)) for n in range(1, count + 1)]
        progress(store, "b", count)
        for offset in (0, 100, 101, count):
            progress(store, "a", offset, known=NOW + offset)
            while len(gone) < offset:
                await asyncio.sleep(0)
            looks = len(store.reads)
            while len(store.reads) < looks + 2:
                await asyncio.sleep(0)
                if len(gone) == count:
                    break
            assert sorted(gone) == list(range(1, offset + 1))
        await asyncio.gather(*waiters)
        return gone

    assert len(asyncio.run(wait())) == count
    keys = [OnlineRows(VIEWS[v]).progress(0) for v in ("a", "b")]
    assert all(len(asked) == len(set(asked)) <= 2 for asked in store.reads)
    assert {key for asked in store.reads for key in asked} == set(keys)
    assert len(store.reads) < count


def test_one_that_waits_in_vain_costs_ever_fewer_looks_and_none_when_it_is_gone():
    store = WatchedStore()

    async def wait() -> None:
        told = await SharedPoll(lambda: store).until_readable(VIEWS, Pushed({0: 9}, NOW), 0.5)
        assert (told.readable, told.behind) == (False, ("a", "b"))
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    asyncio.run(wait())
    assert 2 < len(store.reads) < 40
    store.reads.clear()
    assert not wait_until_readable(store, VIEWS, Pushed({0: 9}, NOW), 0.5).readable
    assert 2 < len(store.reads) < 40


def test_one_that_comes_does_not_wait_for_the_pause_of_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared_poll, "LONGER", 1e9)
    monkeypatch.setattr(shared_poll, "LONGEST_PAUSE_S", 600.0)
    store = WatchedStore()

    async def wait() -> None:
        shared = SharedPoll(lambda: store)
        vain = asyncio.create_task(shared.until_readable({"b": VIEWS["b"]}, Pushed({0: 9}), 600))
        while len(store.reads) < 2:
            await asyncio.sleep(0)
        progress(store, "a", 1)
        told = await shared.until_readable({"a": VIEWS["a"]}, Pushed({0: 1}, NOW), 20)
        assert told.readable
        vain.cancel()

    asyncio.run(wait())


def test_waiting_ends_when_the_waiter_is_cancelled():
    store = WatchedStore()

    async def wait() -> None:
        shared = SharedPoll(lambda: store)
        waiter = asyncio.create_task(shared.until_readable(VIEWS, Pushed({0: 1}), 20))
        while not store.reads:
            await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        for view in VIEWS:
            progress(store, view, 1)
        assert (await shared.until_readable(VIEWS, Pushed({0: 1}, NOW), 20)).readable

    asyncio.run(wait())
