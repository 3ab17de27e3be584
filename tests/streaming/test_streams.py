"""From a push to a read: equal to batch, once in effect, over kills and takeovers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import (
    ConfigError,
    DefinitionError,
    FencedError,
    InputError,
    OffsetLostError,
    SchemaMismatchError,
)
from noskew.kernel.online_keys import is_entity_key
from noskew.streaming.quarantine import quarantined
from noskew.training.tables import table_name
from tests.streaming import shop
from tests.streaming.test_view_fold import Stream

BATCH = 500


def contents(store: ns.FeatureStore) -> dict[bytes, bytes]:
    """Every entity's row that is online."""
    return {key: row for key, row in store.online.scan() if is_entity_key(key)}


def streamed(store: ns.FeatureStore) -> tuple[ns.Source, list[ns.FeatureView], object]:
    project = store.applied.project
    return project.source("orders"), list(project.views.values()), store.online


def expected(store: ns.FeatureStore) -> dict[bytes, bytes]:
    """The rows as the log alone makes them, folded message by message in plain dictionaries."""
    from noskew.streaming.decode import ArrowDecoder

    source, views, _ = streamed(store)
    log = store.logs.of(source)
    rows: dict[bytes, bytes] = {}
    for view in views:
        for partition in range(log.partitions):
            stream = Stream(view)
            stream.fold = type(stream.fold)(view, "shop")
            stream.decode = ArrowDecoder(source.schema, "orders")  # type: ignore[assignment]
            with log.reader({partition: 0}) as reader:
                for messages in reader.poll(0):
                    stream.step(messages)
            assert not rows.keys() & stream.rows.keys(), "an entity is in one partition"
            rows |= stream.rows
    return rows


def test_online_answers_equal_historical_ones_of_the_same_stream(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(4):
            store.push("orders", shop.orders(BATCH, turn))
            store.stream("orders")
            store.clock.advance("20s")  # type: ignore[attr-defined]
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


def test_every_row_is_the_fold_of_its_log_and_every_event_is_archived_once(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(3):
            store.push("orders", shop.orders(BATCH, turn))
            store.stream("orders")
        assert contents(store) == expected(store)
        views = store.applied.project.views
        with store.streams.processor(*streamed(store)) as processor:
            progress = processor.progress()
        assert [p.lag for p in progress] == [0, 0]
        for name, view in views.items():
            marks = [p.marks[name] for p in progress]
            assert sum(m.consumed for m in marks) == 3 * BATCH
            for m in marks:
                assert m.consumed == m.folded + m.late + m.duplicate + m.quarantined
            assert sum(m.duplicate for m in marks) > 0
            assert sum(m.quarantined for m in marks) == sum(
                (shop.orders(BATCH, t).column("user").null_count) for t in range(3)
            )
            ids = store.offline.read(table_name(view), ["_event_id", "user"]).to_pylist()
            assert len(ids) == sum(m.folded for m in marks)
        store.stream("orders")
        assert contents(store) == expected(store), "with nothing new, nothing changes"


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_nothing_is_lost_and_nothing_counts_twice(
    tmp_path: Path, seed: int
) -> None:
    with shop.store(tmp_path) as store:
        for turn in range(30):
            store.push("orders", shop.orders(40, 100 * seed + turn))
    kills = 0
    for turn in range(4):
        ready = tmp_path / f"ready{turn}"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.streaming.shop", str(tmp_path), str(ready)]
        )
        while not ready.exists():
            assert process.poll() is None
        try:
            process.wait(0.02 * (seed + 1) * (turn + 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    assert kills, "the nemesis left no trace"
    with shop.store(tmp_path) as store:
        store.stream("orders")
        assert contents(store) == expected(store)
        view = store.applied.project.view("spent")
        found = store.offline.read(table_name(view), ["_event_id", "user"])
        unique = {(r["_event_id"], r["user"]) for r in found.to_pylist()}
        assert len(unique) == len(found)


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


def test_rows_that_were_committed_and_not_published_are_found_again(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        processor = store.streams.processor(*streamed(store))
        source, _, _ = streamed(store)
        with store.logs.of(source).reader({0: 0, 1: 0}) as reader:
            for messages in reader.poll(0):
                processor._partitions[messages.partition].step(messages)
        assert not contents(store), "killed here: committed, and nothing is online"
        store.stream("orders")
        assert contents(store) == expected(store)


def test_a_log_that_lost_messages_stops_the_stream_with_the_gap(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(BATCH, 1))
        store.stream("orders")
        end = store.logs.of(streamed(store)[0]).bounds(0)[1]
    shutil.rmtree(tmp_path / ".noskew" / "streams" / "log")
    with shop.store(tmp_path) as store, pytest.raises(OffsetLostError) as caught:
        store.stream("orders")
    assert (caught.value.offset, caught.value.end) == (end, 0)


def test_events_of_a_new_log_are_archived_beside_those_of_the_old_one(tmp_path: Path) -> None:
    """Offsets begin again; they must not be taken for those that were archived before."""
    rows = 0
    for seed in (1, 2):
        with shop.store(tmp_path) as store:
            store.push("orders", shop.orders(BATCH, seed))
            store.stream("orders")
            view = store.applied.project.view("spent")
            with store.streams.processor(*streamed(store)) as processor:
                rows += sum(p.marks["spent"].folded for p in processor.progress())
            assert store.offline.info(table_name(view)).rows == rows
        shutil.rmtree(tmp_path / ".noskew" / "streams")


def test_what_is_in_quarantine_can_be_asked_for(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        rows = shop.orders(3, 1).to_pylist()
        rows[1]["user"] = None
        store.push("orders", pa.Table.from_pylist(rows, schema=shop.orders(1, 1).schema))
        store.stream("orders")
        source, views, online = streamed(store)
        with store.streams.processor(source, views, online) as processor:
            found = [
                bad
                for partition in processor._partitions.values()
                for view in partition._views
                for bad in quarantined(partition._state, view.fold.prefix)
            ]
        assert [(q.reason, q.offset) for q in found] == [("null key", found[0].offset)] * 2


def test_late_rows_are_set_aside_where_the_view_says_so(tmp_path: Path) -> None:
    source = ns.Source("clicks", {"user": int, "at": "timestamp"}, event_time="at",
                       stream=ns.LocalLog())  # fmt: skip
    user = ns.Entity("user", {"user": int})
    views = [
        ns.FeatureView(name, entity=user, source=source, features=[ns.count()], late=name)
        for name in ("table", "drop", "fold")
    ]
    rows = {"user": [1, 2, 3], "at": [f"2023-11-14T22:13:{s}Z" for s in ("10", "05", "11")]}
    with ns.FeatureStore(tmp_path, project="p", clock=shop.FixedClock(shop.NOW)) as store:
        store.apply(views)
        store.push("clicks", rows)
        with store.streams.processor(source, views, store.online) as processor:
            store.logs.of(source)
            processor.run(Event(), until_caught_up=True)
            (partition,) = processor._partitions.values()
            found = {
                view.fold.view.name: list(quarantined(partition._state, view.fold.prefix))
                for view in partition._views
            }
    assert [len(found[name]) for name in ("table", "drop", "fold")] == [1, 0, 0]
    (late,) = found["table"]
    assert (late.reason, late.offset, late.place) == ("late", 0, 1)
    with pa.ipc.open_stream(late.payload) as reader:
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


def test_a_stream_needs_a_log_a_view_and_the_key_of_its_partitions(tmp_path: Path) -> None:
    batch = ns.Source("s", {"k": int, "at": "timestamp"}, event_time="at")
    log = ns.Source("t", {"k": int, "o": int, "at": "timestamp"}, event_time="at",
                    stream=ns.LocalLog(partitions=2, key="k"))  # fmt: skip
    k, o = ns.Entity("k", {"k": int}), ns.Entity("o", {"o": int})
    views = [
        ns.FeatureView("a", entity=k, source=batch, features=[ns.count(window="1h")]),
        ns.FeatureView("b", entity=o, source=log, features=[ns.count(window="1h")]),
    ]
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply(views)
        with pytest.raises(ConfigError, match="no stream"):
            store.stream("s")
        with pytest.raises(InputError, match="cannot be pushed to"):
            store.push("s", {"k": [1], "at": [None]})
        with pytest.raises(DefinitionError, match="'o' has the keys o, and the 2 partitions"):
            store.stream("t")
    with pytest.raises(DefinitionError, match="stream key"):
        ns.Source("t", {"k": int, "at": "timestamp"}, event_time="at", stream=ns.LocalLog(key="z"))
    with pytest.raises(DefinitionError, match=r"ns\.LocalLog"):
        ns.Source("t", {"k": int, "at": "timestamp"}, event_time="at", stream=ns.Parquet("x"))  # type: ignore[arg-type]
