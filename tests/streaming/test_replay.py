"""Quarantined rows: seen again, and given another chance once what was wrong is put right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.cli.render.payloads import payload_data, payload_text
from noskew.clock import FixedClock
from noskew.errors import ConflictError, InputError, StoreUnavailableError
from noskew.intake.messages import encode_arrow
from noskew.stores.log.base import EventLog
from noskew.streaming.quarantine.replay import LATE, OTHER_LOG, REPLAYED, Replay, ReplayPlan
from noskew.streaming.quarantine.selection import Bound, QuarantineSelection
from noskew.streaming.quarantine.table import (
    QuarantinedRow,
    QuarantineTable,
    RowOrigin,
    quarantine_tables,
)
from tests.kafka_admin import Broker
from tests.streaming import commands, shop
from tests.streaming.commands import stream, stream_json

S = 1_000_000
NOW = shop.NOW
EVERYTHING = QuarantineSelection()


def sources(log: Any, **options: Any) -> list[ns.FeatureView]:
    """Two views of one source; the second one cannot take an ``x`` of a thousand."""
    events = ns.Source(
        "events",
        {"user": int, "at": "timestamp", "x": float, "id": str},
        event_time="at",
        stream=log,
        **options,
    )
    user = ns.Entity("user", {"user": int})
    tiny = ns.sql('SELECT "user", "at", CAST(x AS TINYINT)::DOUBLE AS x FROM events')
    return [
        ns.FeatureView("every", entity=user, source=events, features=[ns.count(), ns.sum("x")]),
        ns.FeatureView(
            "strict", entity=user, source=events, transform=tiny, features=[ns.sum("x")]
        ),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ns.FeatureStore]:
    with ns.FeatureStore(tmp_path, project="p", clock=FixedClock(NOW)) as made:
        yield made


def event(user: int, x: float = 1.0, name: str = "a", at: int = NOW) -> bytes:
    text = {"user": user, "at": at, "x": x, "id": name}
    return json.dumps(text).encode()


def log_of(store: ns.FeatureStore) -> EventLog:
    return store.logs.of(store.applied.project.source("events"))


def replay_of(store: ns.FeatureStore) -> Replay:
    project = store.applied.project
    source = project.source("events")
    return Replay(source, project.views.values(), log_of(store), store.offline, store.clock)


def replay(
    store: ns.FeatureStore, selection: QuarantineSelection = EVERYTHING, **options: Any
) -> ReplayPlan:
    """Replay, then fold what was appended."""
    made = replay_of(store)
    plan = made.plan(selection, **options)
    assert made.run(plan) == len(plan.rows)
    store.stream("events")
    return plan


def counts(store: ns.FeatureStore, users: list[int]) -> dict[str, list[Any]]:
    project = store.applied.project
    service = ns.FeatureService("now", list(project.views.values()), full_names=True)
    return store.get_online_features(service, {"user": users}).to_dict()


# ---------------------------------------------------------------- as people do it


def test_messages_of_another_form_are_replayed_once_the_form_is_declared(tmp_path: Path) -> None:
    """The form of messages is no part of a definition: rows and tables stay."""
    declared = 'stream=ns.LocalLog(format="json")'
    assert declared in commands.CODE
    root = commands.make(tmp_path, code=commands.CODE.replace(declared, "stream=ns.LocalLog()"))
    good = [
        json.dumps({"user": n, "at": "2024-01-01T00:00:00Z", "page": "home"}).encode()
        for n in range(3)
    ]
    commands.append(root, "clicks", *good, b"\xff\xfe")
    stream(root, "clicks", "--once")
    told = stream(root, "quarantine", "clicks").stdout
    assert "4" in told
    assert "not an Arrow IPC stream" in told
    assert "page=home" in told
    assert "ff fe" in told
    found = stream_json(root, "quarantine", "clicks", "--limit", "3")
    assert [r["offset"] for r in found["rows"]] == [1, 2, 3], "the newest of them"
    assert found["rows"][0]["payload"] == {"user": 1, "at": "2024-01-01T00:00:00Z", "page": "home"}
    assert found["rows"][2]["payload"] == {"hex": "fffe"}
    assert sum(r["rows"] for r in found["reasons"]) == 4

    (root / "features" / "shop.py").write_text(commands.CODE)
    with ns.FeatureStore(root) as store:
        store.apply()
    refused = stream(root, "replay", "clicks", code=1)
    assert "say --yes" in " ".join(refused.stderr.replace("│", " ").split())
    dry = stream(root, "replay", "clicks", "--dry-run")
    assert "4" in dry.stdout
    assert "to append" in dry.stdout
    (status,) = stream_json(root, "status", "clicks")["sources"]
    assert status["views"][0]["partitions"][0]["end"] == 4, "nothing was appended"

    stream(root, "replay", "clicks", "--until", "2", "--yes")
    stream(root, "clicks", "--once")
    (status,) = stream_json(root, "status", "clicks")["sources"]
    (part,) = status["views"][0]["partitions"]
    assert (part["end"], part["counts"]["folded"], part["counts"]["quarantined"]) == (7, 3, 4)
    assert (status["views"][0]["set_aside"], status["views"][0]["replays"]) == (4, 3)
    with ns.FeatureStore(root) as store:
        service = ns.FeatureService("s", [store.applied.project.view("seen")])
        assert store.get_online_features(service, {"user": [2]}).to_dict()["page_last"] == ["home"]
    found = stream_json(root, "quarantine", "clicks")
    assert [r["replayed_at"] is not None for r in found["rows"]] == [True] * 3 + [False]

    stream(root, "replay", "clicks", "--yes")  # the one that is left
    repeated = stream(root, "replay", "clicks", "--yes", code=1)
    assert "4" in repeated.stdout
    assert "--again" in repeated.stdout
    stream(root, "replay", "clicks", "--since", "3", "--until", "3", "--again", "--yes")
    (status,) = stream_json(root, "status", "clicks")["sources"]
    assert status["views"][0]["partitions"][0]["end"] == 9
    assert status["views"][0]["replays"] == 5


def test_late_rows_are_refused_with_the_reason(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    commands.push(root, 300, 1)
    stream(root, "orders", "--once")
    refused = stream(root, "replay", "orders", "--yes", "--reason", "late", code=1)
    assert "would be late again" in refused.stdout
    assert [
        p["end"]
        for p in stream_json(root, "status", "orders")["sources"][0]["views"][0]["partitions"]
    ] == [1, 1]
    row = stream_json(root, "quarantine", "orders", "--view", "newest", "-n", "1")["rows"][0]
    assert row["reason"] == "late"
    assert set(row["payload"]) == {"user", "at", "amount", "id"}, "no columns of the system"


def test_wrong_words_are_refused_by_name(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    assert "newest, spent" in stream(root, "quarantine", "orders", "--view", "seen", code=1).stderr
    assert "is not a time" in stream(root, "replay", "orders", "--since", "dawn", code=1).stderr
    nothing = stream(root, "quarantine", "orders")
    assert nothing.stdout == ""
    assert "No row of orders is in quarantine." in nothing.stderr


# ---------------------------------------------------------------- what is replayed


def test_a_message_that_no_view_could_read_is_appended_once_and_recorded_for_all(
    store: ns.FeatureStore,
) -> None:
    store.apply(sources(ns.LocalLog(format="json")))
    log_of(store).append(0, [event(1), b"[]", event(2)])
    store.stream("events")
    plan = replay(store)
    assert [p.row.place[1:] for p in plan.rows] == [(1, 0)]
    assert log_of(store).bounds(0) == (0, 4)
    for quarantine in quarantine_tables(store.offline, store.applied.project.views.values()):
        rows, replays = quarantine.rows()
        assert [(r.place.offset, r.replayed_at) for r in rows] == [(1, NOW), (3, None)]
        assert replays == 1
    assert replay(store, until_offset(2)).left_out == {REPLAYED: 1}
    assert len(replay(store, until_offset(2), again=True).rows) == 1


def until_offset(offset: int) -> QuarantineSelection:
    return QuarantineSelection(until=Bound(offset, is_offset=True))


def test_one_row_of_a_message_of_many_is_replayed_alone(store: ns.FeatureStore) -> None:
    store.apply(sources(ns.LocalLog(), max_future="1s"))
    rows = {
        "user": [1, 2, 3],
        "at": pa.array([NOW, NOW + 60 * S, NOW]).view(UTC),
        "x": [1.0, 2.0, 3.0],
        "id": ["a", "b", "c"],
    }
    store.push("events", pa.table(rows))
    store.stream("events")
    assert counts(store, [1, 2, 3])["every__count"] == [1, 0, 1]
    store.clock.advance("2min")  # type: ignore[attr-defined]
    plan = replay(store)
    assert [p.row.place[1:] for p in plan.rows] == [(0, 1)]
    found = counts(store, [1, 2, 3])
    assert found["every__count"] == [1, 1, 1], "its time has come"
    assert found["strict__x_sum"] == [1.0, 2.0, 3.0]


UTC = pa.timestamp("us", "UTC")


@pytest.mark.parametrize("protected", [False, True])
def test_what_another_view_has_counted_comes_again_only_if_its_id_says_so(
    store: ns.FeatureStore, protected: bool
) -> None:
    options = {"event_id": "id", "event_id_horizon": "1h"} if protected else {}
    store.apply(sources(ns.LocalLog(format="json"), **options))
    log_of(store).append(0, [event(1, 1e3, "a"), event(1, 2.0, "b")])
    store.stream("events")
    assert counts(store, [1])["every__count"] == [2]
    plan = replay(store)
    why = "were taken in by every, where they would count twice"
    assert (len(plan.rows), plan.left_out) == ((1, {}) if protected else (0, {why: 1}))
    assert counts(store, [1])["every__count"] == [2]
    store.clock.advance("55min")  # type: ignore[attr-defined]
    assert replay(store, again=True).left_out.get(why, 0) == 1 + protected, "too near the horizon"
    assert counts(store, [1])["every__count"] == [2]


def test_a_view_that_is_behind_may_yet_count_the_row(store: ns.FeatureStore) -> None:
    every, strict = sources(ns.LocalLog(format="json"))
    store.apply([strict])
    log_of(store).append(0, [event(1, 1e3)])
    store.stream("events")
    store.apply([every, strict])
    assert list(replay_of(store).plan(EVERYTHING).left_out) == [
        "may be taken in by every, which is behind; try again in a minute"
    ]


def test_rows_of_an_earlier_log_go_only_where_they_must_belong(tmp_path: Path) -> None:
    for partitions in (1, 2):
        root = tmp_path / str(partitions)
        with ns.FeatureStore(root, project="p", clock=FixedClock(NOW)) as store:
            store.apply(sources(ns.LocalLog(format="json", partitions=partitions, key="user")))
            log_of(store).append(0, [b"[]"])
            store.stream("events")
        shutil.rmtree(root / ".noskew" / "streams" / "log")
        with ns.FeatureStore(root, project="p", clock=FixedClock(NOW)) as store:
            project = store.applied.project
            store.streams.rebuild(project.source("events"), project.views.values())
            store.stream("events")
            plan = replay(store)
            wanted = (1, {}) if partitions == 1 else (0, {OTHER_LOG: 1})
            assert (len(plan.rows), plan.left_out) == wanted
            assert log_of(store).bounds(0)[1] == 2 - partitions


def test_late_rows_are_left_out_and_what_is_bad_beside_them_is_not(store: ns.FeatureStore) -> None:
    every, strict = sources(ns.LocalLog(format="json"))
    store.apply(
        [
            ns.FeatureView(
                v.name,
                entity=v.entity,
                source=v.source,
                features=list(v.specs),
                transform=v.transform,
                late="table",
            )
            for v in (every, strict)
        ]
    )
    log_of(store).append(0, [event(1), event(1, at=NOW - S), event(2, 1e3, at=NOW - S), b"[]"])
    store.stream("events")
    plan = replay_of(store).plan(EVERYTHING)
    assert [p.row.place.offset for p in plan.rows] == [2, 3]
    assert plan.left_out == {LATE: 1}
    plan = replay_of(store).plan(EVERYTHING, view="every")
    assert [p.row.place.offset for p in plan.rows] == [3]
    assert plan.left_out == {LATE: 2}, "what is bad for strict is late for every"


# ---------------------------------------------------------------- when something goes wrong


@pytest.mark.parametrize("protected", [False, True])
def test_killed_before_it_is_recorded_a_replay_repeats_and_an_id_protects(
    store: ns.FeatureStore, protected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.apply(sources(ns.LocalLog(), max_future="1s", event_id="id" if protected else None))
    rows = {"user": [1], "at": pa.array([NOW + 60 * S]).view(UTC), "x": [1.0], "id": ["a"]}
    store.push("events", pa.table(rows))
    store.stream("events")
    store.clock.advance("2min")  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(QuarantineTable, "add_replays", _killed)
        made = replay_of(store)
        with pytest.raises(KeyboardInterrupt):
            made.run(made.plan(EVERYTHING))
    replay(store)
    assert log_of(store).bounds(0) == (0, 3), "it was appended twice"
    assert counts(store, [1])["every__count"] == [1 if protected else 2]


def _killed(*_: object, **__: object) -> int:
    raise KeyboardInterrupt


def test_of_a_replay_that_fails_what_was_appended_is_recorded(
    store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noskew.streaming.quarantine.replay._BYTES", 1)  # one message an append
    store.apply(sources(ns.LocalLog(format="json")))
    log = log_of(store)
    log.append(0, [b"[1]", b"[2]", b"[3]"])
    store.stream("events")
    made, append = replay_of(store), log.append

    def fails_on_the_second(partition: int, payloads: list[bytes]) -> int:
        if payloads == [b"[2]"]:
            raise StoreUnavailableError("gone")
        return append(partition, payloads)

    with monkeypatch.context() as patch:
        patch.setattr(log, "append", fails_on_the_second)
        told: list[int] = []
        with pytest.raises(StoreUnavailableError):
            made.run(made.plan(EVERYTHING), told.append)
    assert told == [1]
    plan = replay(store)
    assert [p.row.place.offset for p in plan.rows] == [1, 2]
    assert log.bounds(0) == (0, 6)


def test_of_two_replays_at_the_same_time_one_is_told(store: ns.FeatureStore) -> None:
    store.apply(sources(ns.LocalLog(format="json")))
    log_of(store).append(0, [b"[]"])
    store.stream("events")
    one, other = replay_of(store), replay_of(store)
    plans = one.plan(EVERYTHING), other.plan(EVERYTHING)
    assert one.run(plans[0]) == 1
    with pytest.raises(ConflictError, match="may have been there, too"):
        other.run(plans[1])


def test_portions_keep_the_order_of_the_log(
    store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noskew.streaming.quarantine.replay._ROWS", 3)
    store.apply(sources(ns.LocalLog(format="json", partitions=2, key="user")))
    log = log_of(store)
    for turn in range(5):
        log.append(turn % 2, [f"[{turn}, {i}]".encode() for i in range(2)])
        store.clock.advance("1s")  # type: ignore[attr-defined]
    store.stream("events")
    assert len(replay(store).rows) == 10
    for partition in range(2):
        with log.reader({partition: 0}) as reader:
            texts = [t for m in reader.poll(1) for t in m.payloads.to_pylist()]
        assert texts[: len(texts) // 2] == texts[len(texts) // 2 :]


def test_a_topic_gets_its_messages_again_in_their_partition(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", str(broker.config["bootstrap.servers"]))
    topic = broker.make(partitions=2)
    clock = FixedClock("2100-01-01T00:00:00Z")  # the broker says when
    with ns.FeatureStore(tmp_path, project="p", clock=clock) as store:
        store.apply(sources(ns.Kafka(topic, "arrow", key="user")))
        log_of(store).append(1, [event(1), b"[]"])
        store.stream("events")
        store.apply(sources(ns.Kafka(topic, key="user")))  # JSON, and else the same
        assert len(replay(store).rows) == 2
        assert [log_of(store).bounds(p)[1] for p in (0, 1)] == [0, 4]
        assert counts(store, [1])["every__count"] == [1]


# ---------------------------------------------------------------- small parts


def test_a_selection_takes_reasons_offsets_and_times_with_both_ends() -> None:
    row = QuarantinedRow(RowOrigin("log:3", 17, 0), "Null key", 1_000)
    assert (row.place.log, row.place.partition) == ("log", 3)
    assert row in EVERYTHING
    assert row in QuarantineSelection("null KEY", Bound.of("17"), Bound(1_000, is_offset=False))
    assert row not in QuarantineSelection("keys")
    for since in (Bound(18, is_offset=True), Bound(1_001, is_offset=False)):
        assert row not in QuarantineSelection(since=since)
        assert row in QuarantineSelection(until=since)
    assert Bound.of("1970-01-01T00:00:01Z") == Bound(S, is_offset=False)
    with pytest.raises(InputError):
        Bound.of("-1")


def test_payloads_are_shown_as_what_they_are() -> None:
    table = pa.table({"a": [1, None], "t": pa.array([0, 0]).view(UTC), "_sequence": [1, 2]})
    assert payload_text(encode_arrow(table.slice(0, 1)), 80) == "a=1 t=1970-01-01T00:00:00Z"
    assert payload_text(encode_arrow(table), 80).startswith("a=1 t=1970-01-01T00:00:00Z, a=null")
    assert payload_text(b'{"a": {"b": [1, "x"]}, "c": "d"}', 80) == 'a={"b":[1,"x"]} c=d'
    assert payload_text(b"[1]", 80) == "1"
    assert payload_text(b"line\nline", 80) == "line\\nline"
    assert payload_text(b"\xff" * 100, 200).endswith("ff … 100 bytes")
    assert payload_text(b"x" * 100, 10) == "xxxxxxxxx…"
    assert payload_data(b"") == ""
    assert payload_data(b"\xff") == {"hex": "ff"}
