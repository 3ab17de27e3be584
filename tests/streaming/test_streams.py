"""From a push to a read: equal to batch, once in effect, over kills and takeovers."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.addresses import Folders, is_entity_key
from noskew.errors import (
    ConfigError,
    DefinitionError,
    FencedError,
    InputError,
    OffsetLostError,
    SchemaMismatchError,
)
from noskew.intake.tables import table_name
from noskew.kernel.rows.codec import OFFSET_BITS, version_of
from noskew.stores.log.local import LocalLog
from noskew.stores.online.lmdb import LmdbStore
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.quarantine.schema import quarantine_spec
from noskew.streaming.workers.bootstrap import Bootstrap
from noskew.testing import processes
from tests import chaos
from tests.servers import wait_until
from tests.streaming import naive, shop
from tests.streaming.test_view_fold import Stream

BATCH = 500


def contents(store: ns.FeatureStore) -> dict[bytes, bytes]:
    """Every entity's row that is online."""
    return {key: row for key, row in store.online.scan() if is_entity_key(key)}


def streamed(store: ns.FeatureStore) -> tuple[ns.Source, list[ns.FeatureView]]:
    project = store.applied.project
    return project.source("orders"), list(project.views.values())


def expected(store: ns.FeatureStore) -> dict[bytes, bytes]:
    """The rows as the log alone makes them, folded message by message in plain dictionaries."""
    source, views = streamed(store)
    log = store.logs.of(source)
    rows: dict[bytes, bytes] = {}
    for view in views:
        for partition in range(log.partitions):
            stream = Stream(view)
            stream.fold = type(stream.fold)(view, store.tenant)
            stream.pipeline = EventPipeline([view], ArrowDecoder(source.schema, "orders"))
            with log.reader({partition: 0}) as reader:
                for messages in reader.poll(0):
                    stream.step(messages)
            assert not rows.keys() & stream.rows.keys(), "an entity is in one partition"
            rows |= stream.rows
    return rows


def check_online_equals_historical(store: ns.FeatureStore) -> None:
    """Every feature of every user: equal bits now, from the rows and from the archive."""
    users = list(range(shop.USERS + 3))
    online = store.get_online_features("svc", {"user": users}).to_arrow()
    now = pa.array([store.clock.now()] * len(users)).view(pa.timestamp("us", "UTC"))
    table = pa.table({"user": users, "event_timestamp": now})
    offline = store.get_historical_features(table, "svc").to_arrow()
    compared = 0
    for name in store.applied.project.service("svc").columns:
        ours, theirs = online.column(name.name), offline.column(name.name)
        assert ours.combine_chunks().equals(theirs.combine_chunks()), name.name
        compared += len(ours) - ours.null_count
    assert compared > 4 * shop.USERS


def test_online_answers_equal_historical_ones_of_the_same_stream(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(4):
            store.push("orders", shop.orders(BATCH, turn))
            store.stream("orders")
            store.clock.advance("20s")  # type: ignore[attr-defined]
        check_online_equals_historical(store)


def test_every_row_is_the_fold_of_its_log_and_every_event_is_archived_once(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(3):
            store.push("orders", shop.orders(BATCH, turn))
            store.stream("orders")
        assert contents(store) == expected(store)
        views = store.applied.project.views
        with store.streams.processor(*streamed(store)) as processor:
            positions = processor.positions()
        assert [p.lag for p in positions] == [0, 0]
        for name, view in views.items():
            progress = [p.progress[name] for p in positions]
            assert sum(m.consumed for m in progress) == 3 * BATCH
            for m in progress:
                assert m.consumed == m.folded + m.late + m.duplicate + m.quarantined
            assert sum(m.duplicate for m in progress) > 0
            assert sum(m.quarantined for m in progress) == sum(
                (shop.orders(BATCH, t).column("user").null_count) for t in range(3)
            )
            ids = store.offline.read(table_name(view), ["_event_id", "user"]).to_pylist()
            assert len(ids) == sum(m.folded for m in progress)
        store.stream("orders")
        assert contents(store) == expected(store), "with nothing new, nothing changes"
        naive.check_answers(store)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(chaos.times(2, 10)))
def test_killed_again_and_again_nothing_is_lost_and_nothing_counts_twice(
    tmp_path: Path, seed: int
) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(30):
            store.push("orders", shop.orders(40, 100 * seed + turn))
    kills = 0
    for turn in range(4):
        ready = tmp_path / f"ready{turn}"
        process = processes.start(shop.stream, tmp_path, ready)
        while not ready.exists():
            assert process.is_alive()
        process.join(0.02 * (seed + 1) * (turn + 1))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills, "the nemesis left no trace"
    with shop.store(tmp_path) as store:
        store.stream("orders")
        assert contents(store) == expected(store)
        naive.check_answers(store)
        view = store.applied.project.view("spent")
        found = store.offline.read(table_name(view), ["_event_id", "user"])
        unique = {(r["_event_id"], r["user"]) for r in found.to_pylist()}
        assert len(unique) == len(found)
    chaos.note("kill -9 at random", faults=4, traces=kills, compared=len(found))


def test_a_worker_that_was_overtaken_changes_nothing(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        first = store.streams.processor(*streamed(store))
        store.stream("orders")  # claims the same partitions
        store.push("orders", shop.orders(BATCH, 2))
        before = contents(store)
        with pytest.raises(FencedError, match="another worker"):
            first.run(Event(), until_caught_up=True)
        assert contents(store) == before
        store.stream("orders")
        assert contents(store) == expected(store)


def test_a_stream_goes_on_with_the_rows_that_are_made_anew_meanwhile(tmp_path: Path) -> None:
    stop, told = Event(), []
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        source, views = streamed(store)
        running = Thread(
            target=store.streams.run,
            args=(source, views),
            kwargs={"stop": stop, "progress": told.append},
        )
        running.start()
        try:
            wait_until(lambda: bool(told) and not any(p.lag for p in told[-1]), "it caught up")
            store.streams.rebuild(source, views)
            store.push("orders", shop.orders(BATCH, 2))
            wanted = {key: row[16:] for key, row in expected(store).items()}
            wait_until(
                lambda: {key: row[16:] for key, row in contents(store).items()} == wanted,
                "the new rows go on",
            )
        finally:
            stop.set()
            running.join()
        assert {version_of(row)[1] >> OFFSET_BITS for row in contents(store).values()} == {1}
        assert all(v.is_equal for v in store.streams.verify(source, views))


def test_another_log_in_the_place_of_the_one_that_was_read_stops_the_stream(
    tmp_path: Path,
) -> None:
    """Offsets begin again, and longer or shorter they say nothing: the log's identity does."""
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        before = contents(store)
    shutil.rmtree(tmp_path / ".noskew" / "streams" / "log")
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(2 * BATCH, 2))
        with pytest.raises(OffsetLostError, match="rebuild orders"):
            store.stream("orders")
        assert contents(store) == before


def test_a_log_cut_before_it_was_read_stops_the_stream_with_the_gap(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        log = store.logs.of(streamed(store)[0])
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        end = log.bounds(0)[1]
        path = tmp_path / ".noskew" / "streams" / "log" / "orders"
        with LocalLog(path, segment_bytes=1, retain_bytes=1, clock=store.clock) as small:
            for _ in range(4):
                small.append(0, [b"?"])
        begin = log.bounds(0)[0]
        assert begin > end, "messages that nobody read were removed"
        with pytest.raises(OffsetLostError) as caught:
            store.stream("orders")
        found = caught.value
        assert (found.partition, found.offset, found.begin) == (0, end, begin)


def test_rebuilt_on_a_new_log_rows_stand_on_all_that_was_archived(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
    shutil.rmtree(tmp_path / ".noskew" / "streams" / "log")
    with shop.store(tmp_path) as store:
        store.clock.advance("1min")  # type: ignore[attr-defined]
        store.push("orders", shop.orders(BATCH, 2))
        store.streams.rebuild(*streamed(store))
        store.stream("orders")
        check_online_equals_historical(store)


def test_a_new_view_of_an_old_stream_starts_from_the_archive(tmp_path: Path) -> None:
    """Its rows are those that it would have had from the first message on, to the bit."""
    with shop.store(tmp_path) as store:
        for turn in range(3):
            store.push("orders", shop.orders(BATCH, turn))
        store.stream("orders")
        store.push("orders", shop.orders(BATCH, 7))
        old = store.applied.project.view("spent")
        new = ns.FeatureView(
            "since",
            entity=old.entity,
            source=old.source,
            lateness="30s",
            features=[ns.max("amount", window="1h"), ns.count()],
        )
        assert new.log_hash == old.log_hash, "it shares the archive"
        store.apply([shop.service(), new])
        source, views = streamed(store)
        with store.streams.processor(source, views) as processor:
            positions = processor.positions()
            assert all(0 < p.progress["since"].next_offset == p.end for p in positions)
        store.stream("orders")
        assert contents(store) == expected(store)
        store.push("orders", shop.orders(BATCH, 3))
        store.stream("orders")
        assert contents(store) == expected(store)


def test_a_machine_that_takes_over_goes_on_from_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own state is far behind; it need not read again what another machine has archived."""
    monkeypatch.setattr("noskew.streaming.workers.bootstrap._FAR", 2)
    with shop.store(tmp_path / "here") as store, LmdbStore(tmp_path / "online") as online:
        there = replace(store.streams, online=online, folders=Folders(tmp_path / "there"))
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        there.run(*streamed(store), stop=None)
        for turn in range(2, 6):
            store.push("orders", shop.orders(BATCH, turn))
        store.stream("orders")
        with there.processor(*streamed(store)) as processor:
            assert [p.lag for p in processor.positions()] == [0, 0], "nothing is left to read"
        assert {k: r for k, r in online.scan() if is_entity_key(k)} == contents(store)
        store.push("orders", shop.orders(BATCH, 6))
        there.run(*streamed(store), stop=None)
        assert {k: r for k, r in online.scan() if is_entity_key(k)} == expected(store)


@pytest.mark.parametrize("at", ["rows", "identities", "progress"])
def test_a_start_that_was_killed_half_way_begins_again(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        store.push("orders", shop.orders(BATCH, 2))
        wanted = expected(store)
        calls = {"rows": "_put_rows", "identities": "_put_partition", "progress": "_remove_older"}
        with monkeypatch.context() as patch:
            patch.setattr(Bootstrap, calls[at], _killed)
            with pytest.raises(KeyboardInterrupt):
                store.streams.rebuild(*streamed(store))
        assert set(contents(store)) <= set(wanted), "readers find rows meanwhile"
        store.stream("orders")
        made = {(key[:8], version_of(row)[1] >> 48) for key, row in contents(store).items()}
        assert sorted(number for _, number in made) == [0, 1], "the second view was not begun"
        check_online_equals_historical(store)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_verify_finds_every_row_that_is_not_as_its_log_says(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        store.push("orders", shop.orders(BATCH, 2))  # verified with rows that are behind the log
        found = store.streams.verify(*streamed(store))
        assert [(v.view, v.is_equal) for v in found] == [("newest", True), ("spent", True)]
        assert sum(v.rows for v in found) == len(contents(store))
        keys = sorted(contents(store))
        row = store.online.read(keys[:1])[0]
        assert row is not None
        space = store.streams._state(streamed(store)[0]).space(b"x")
        wrong = row[:-1] + bytes([row[-1] ^ 1])
        foreign = keys[0][:8] + b"nobody"
        space.commit(
            rows=[(keys[0], wrong), (foreign, row)], removed=keys[1:2], epoch=space.claim()
        )
        bad = [v for v in store.streams.verify(*streamed(store)) if not v.is_equal]
        assert sum(v.different for v in bad) == 1
        assert sum(v.missing for v in bad) == 1
        assert sum(v.foreign for v in bad) == 1
        store.streams.rebuild(*streamed(store))
        assert all(v.is_equal for v in store.streams.verify(*streamed(store)))


def test_what_is_in_quarantine_is_a_table(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        rows = shop.orders(3, 1).to_pylist()
        rows[1]["user"] = None
        store.push("orders", pa.Table.from_pylist(rows, schema=shop.orders(1, 1).schema))
        store.stream("orders")
        for view in store.applied.project.views.values():
            (found,) = quarantined(store, view)
            assert found["reason"] == "null key"
            with pa.ipc.open_stream(found["payload"]) as reader:
                assert reader.read_all().to_pylist()[0]["id"] == rows[1]["id"]


def quarantined(store: ns.FeatureStore, view: ns.FeatureView) -> list[dict[str, Any]]:
    columns = ["_origin", "_offset", "_place", "reason", "payload"]
    return store.offline.read(quarantine_spec(view).name, columns).to_pylist()


def test_late_rows_are_set_aside_where_the_view_says_so(tmp_path: Path) -> None:
    source = ns.Source(
        "clicks", {"user": int, "at": "timestamp"}, event_time="at", stream=ns.LocalLog()
    )
    user = ns.Entity("user", {"user": int})
    views = [
        ns.FeatureView(name, entity=user, source=source, features=[ns.count()], late=name)
        for name in ("table", "drop", "fold")
    ]
    rows = {"user": [1, 2, 3], "at": [f"2023-11-14T22:13:{s}Z" for s in ("10", "05", "11")]}
    with ns.FeatureStore(tmp_path, project="p", clock=shop.FixedClock(shop.NOW)) as store:
        store.apply(views)
        store.push("clicks", rows)
        store.stream("clicks")
        found = {view.name: quarantined(store, view) for view in views}
    assert [len(found[name]) for name in ("table", "drop", "fold")] == [1, 0, 0]
    (late,) = found["table"]
    assert (late["reason"], late["_offset"], late["_place"]) == ("late", 0, 1)
    with pa.ipc.open_stream(late["payload"]) as reader:
        assert reader.read_all().column("user").to_pylist() == [2]


def test_materialize_leaves_the_rows_of_a_stream_alone(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        before = contents(store)
        with pytest.raises(InputError, match="a stream keeps newest, spent online"):
            store.materialize()
        with pytest.raises(InputError, match="noskew stream"):
            store.materialize("spent", full=True)
        assert contents(store) == before


def test_bad_pushes_are_refused_and_append_nothing(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        with pytest.raises(SchemaMismatchError, match="amount"):
            store.push("orders", {"user": [1], "at": [None], "id": [1]})
        with pytest.raises(LookupError):
            store.push("order", shop.orders(1, 1))
        source = streamed(store)[0]
        assert [store.logs.of(source).bounds(p) for p in (0, 1)] == [(0, 0), (0, 0)]
        assert store.push("orders", shop.orders(0, 1)) == {}


def test_a_stream_needs_a_log_and_a_key_that_is_a_column(tmp_path: Path) -> None:
    batch = ns.Source("s", {"k": int, "at": "timestamp"}, event_time="at")
    k = ns.Entity("k", {"k": int})
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([ns.FeatureView("a", entity=k, source=batch, features=[ns.count(window="1h")])])
        with pytest.raises(ConfigError, match="no stream"):
            store.stream("s")
        with pytest.raises(InputError, match="cannot be pushed to"):
            store.push("s", {"k": [1], "at": [None]})
    with pytest.raises(DefinitionError, match="stream key"):
        ns.Source("t", {"k": int, "at": "timestamp"}, event_time="at", stream=ns.LocalLog(key="z"))
    with pytest.raises(DefinitionError, match=r"ns\.LocalLog"):
        ns.Source("t", {"k": int, "at": "timestamp"}, event_time="at", stream=ns.Parquet("x"))  # type: ignore[arg-type]
