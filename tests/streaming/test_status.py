"""noskew stream status: how far the streams are, seen from anywhere, with parts out of reach."""

from __future__ import annotations

import io
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import noskew as ns
from noskew.cli.render.stream_counts import shown_number
from noskew.cli.render.stream_status import age_text, status_parts
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.status.stream_status import (
    Observer,
    PartitionStatus,
    SourceStatus,
    ViewStatus,
)
from noskew.streaming.workers.processor import PartitionPosition
from tests import servers
from tests.streaming import commands, shop
from tests.streaming.commands import stream, stream_json
from tests.streaming.test_streams import streamed

COUNTS = ("consumed", "folded", "late", "duplicate", "quarantined", "late_folded")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return commands.make(tmp_path)


@pytest.fixture
def redis() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


def progress_of(root: Path, source: str) -> list[PartitionPosition]:
    """How far the machine that has the state knows that it is."""
    with ns.FeatureStore(root) as store:
        project = store.applied.project
        with store.streams.processor(project.source(source), project.views.values()) as made:
            return made.positions()


def without_state(root: Path) -> None:
    """Leave of a machine only what others have as well, the log among it."""
    for own in ("state", "archive"):
        shutil.rmtree(root / ".noskew" / "streams" / own, ignore_errors=True)


def parts(status: Any, view: str) -> list[Any]:
    (found,) = [v for s in status["sources"] for v in s["views"] if v["view"] == view]
    return list(found["partitions"])


def test_it_says_what_the_marks_say_without_the_state(tmp_path: Path, redis_url: str) -> None:
    root = commands.make(tmp_path, online=redis_url)
    for seed in range(3):
        commands.push(root, 300, seed)
    commands.append(root, "orders", b"no rows")
    stream(root, "orders", "--once")
    wanted = {
        (p.partition, v): m for p in progress_of(root, "orders") for v, m in p.progress.items()
    }
    assert len(wanted) == 4
    without_state(root)
    status = stream_json(root, "status", "orders")
    assert [s["faults"] for s in status["sources"]] == [{}]
    for (partition, view), progress in wanted.items():
        found = parts(status, view)[partition]
        assert found["partition"] == partition
        assert {name: found["counts"][name] for name in COUNTS} == {
            name: getattr(progress, name) for name in COUNTS
        }
        assert found["counts"]["add_up"] is True
        end = 4 - partition
        assert (found["begin"], found["end"], found["next_offset"]) == (0, end, end)
        assert (found["lag"], found["archived"]) == (0, end)
        assert found["fresh_until"] >= progress.known
        assert 0 <= found["freshness_seconds"] < 300
    quarantined = {v["view"]: v["set_aside"] for v in status["sources"][0]["views"]}
    progress = {v: [m for (_, name), m in wanted.items() if name == v] for v in quarantined}
    assert quarantined == {v: sum(m.late + m.quarantined for m in progress[v]) for v in quarantined}
    assert quarantined["newest"] > quarantined["spent"] > 0


def test_people_see_every_partition_and_that_the_counts_add_up(project: Path) -> None:
    commands.push(project, 300, 1)
    before = stream(project, "status").stdout
    assert all(f"stream {name}" in before for name in ("orders", "clicks", "status"))
    assert "rows = folded" not in before, "nothing was read yet"
    stream(project, "orders", "--once")
    told = stream(project, "status", "orders").stdout
    assert "stream clicks" not in told
    assert "✓ rows = folded + late + twice + bad" in told
    lines = [line.split() for line in told.splitlines()]
    for view in ("newest", "spent"):
        first = next(i for i, words in enumerate(lines) if words and words[0] == view)
        assert lines[first][1:4] == ["0", "0–1", "0"]
        assert lines[first + 1][:3] == ["1", "0–1", "0"]
        both = [int(lines[first][7]), int(lines[first + 1][6])]
        assert sum(both) == 300
        assert lines[first + 2][0] == "all"
        assert "300" in lines[first + 2]
    assert "noskew stream quarantine orders" in told


def test_what_is_not_read_yet_is_the_lag_and_the_rows_grow_old(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        source, views = streamed(store)
        observer = Observer(
            store.tenant,
            store.clock,
            store.registry,
            store.logs,
            lambda: store.offline,
            lambda: store.online,
        )

        def look() -> list[PartitionStatus]:
            found = observer.look(source, views)
            assert found.at == store.clock.now()
            return [part for view in found.views for part in view.partitions]

        assert [(p.progress, p.lag, p.fresh_until) for p in look()] == [(None, 0, None)] * 4
        store.push("orders", shop.orders(100, 1))
        assert [(p.progress, p.lag) for p in look()] == [(None, 1)] * 4
        store.stream("orders")
        assert [(p.lag, p.fresh_until) for p in look()] == [(0, shop.NOW)] * 4
        store.clock.advance("7s")  # type: ignore[attr-defined]
        store.push("orders", shop.orders(100, 2))
        store.push("orders", shop.orders(100, 3))
        assert [(p.lag, p.fresh_until, p.archived) for p in look()] == [(2, shop.NOW, 1)] * 4


def test_a_view_that_is_not_online_is_as_far_as_its_archive(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        source, (first, _) = streamed(store)
        offline = ns.FeatureView(
            "offline",
            entity=first.entity,
            source=source,
            online=False,
            features=[ns.count()],
            lateness="9s",
            late="drop",
        )
        store.apply([shop.service(), offline])
        store.push("orders", shop.orders(200, 1))
        store.stream("orders")
        observer = Observer(
            store.tenant,
            store.clock,
            store.registry,
            store.logs,
            lambda: store.offline,
            lambda: store.online,
        )
        found = {v.name: v for v in observer.look(*streamed(store)).views}["offline"]
        assert not found.online
        progress = [p.progress for p in found.partitions if p.progress is not None]
        assert sum(m.consumed for m in progress) == 200
        assert sum(m.late for m in progress) > 0
        assert [p.fresh_until for p in found.partitions] == [None, None]


def test_a_store_that_is_down_is_told_and_the_rest_is_shown(
    tmp_path: Path, redis: servers.RedisServer
) -> None:
    root = commands.make(tmp_path, online=redis.url)
    commands.push(root, 100, 1)
    stream(root, "orders", "--once")
    redis.stop()
    status = stream_json(root, "status", "orders")
    (source,) = status["sources"]
    assert set(source["faults"]) == {"online store"}
    assert [(p["end"], p["archived"], p["counts"]) for p in parts(status, "spent")] == [
        (1, 1, None),
        (1, 1, None),
    ]
    assert "✗ online store" in stream(root, "status", "orders").stdout


def test_a_log_that_cannot_be_asked_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(100, 1))
        store.stream("orders")
        source, views = streamed(store)
        unreachable = replace(source, stream=ns.Kafka("orders", servers_env="NOT_SET_AT_ALL"))
        observer = Observer(
            store.tenant,
            store.clock,
            store.registry,
            ns_logs(store),
            lambda: store.offline,
            lambda: store.online,
        )
        found = observer.look(unreachable, views)
        assert set(found.faults) == {"log"}
        assert "NOT_SET_AT_ALL" in found.faults["log"]
        for view in found.views:
            assert [(p.end, p.lag, p.archived) for p in view.partitions] == [(None, None, 1)] * 2
            assert sum(p.progress.consumed for p in view.partitions if p.progress) == 100


def ns_logs(store: ns.FeatureStore) -> Any:
    """Logs of which none was opened yet."""
    return type(store.logs)(store.root / "other", store.clock)


def test_rows_of_a_log_that_was_made_anew_are_told(project: Path) -> None:
    commands.append(project, "clicks", b'{"user": 1, "at": "2024-01-01T00:00:00Z"}')
    stream(project, "clicks", "--once")
    shutil.rmtree(project / ".noskew" / "streams" / "log" / "clicks")
    (source,) = stream_json(project, "status", "clicks")["sources"]
    assert source["views"][0]["is_of_another_log"] is True
    told = stream(project, "status").stdout
    assert "run noskew stream rebuild clicks" in " ".join(told.split())
    stream(project, "rebuild", "clicks", "--yes")
    (source,) = stream_json(project, "status", "clicks")["sources"]
    assert source["views"][0]["is_of_another_log"] is False


def test_a_watch_looks_again_until_it_is_stopped(project: Path) -> None:
    with commands.running(project, "status", "orders", "--watch", "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert [p["end"] for p in parts(first, "spent")] == [0, 0]
        commands.push(project, 50, 1)
        while [p["end"] for p in parts(json.loads(process.stdout.readline()), "spent")] != [1, 1]:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_counts_that_do_not_add_up_are_shown_as_a_fault() -> None:
    progress = PartitionProgress(next_offset=5, consumed=5, folded=3, late=1)
    part = PartitionStatus(0, 0, 5, progress, None, 5)
    status = SourceStatus("s", 0, "log", [ViewStatus("v", True, [part])])
    console = Console(width=120, file=io.StringIO())
    for shown in status_parts(status, {}):
        console.print(shown)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "✗ v, partition 0" in told
    assert "✓" not in told


def test_a_source_without_a_stream_is_refused(project: Path) -> None:
    code = commands.CODE + "\nbatch = ns.Source('batch', {'at': 'timestamp'}, event_time='at')\n"
    (project / "features" / "shop.py").write_text(code)
    with ns.FeatureStore(project) as store:
        store.apply()
    assert "has no stream" in stream(project, "status", "batch", code=1).stderr
    assert "orders" in stream(project, "status", "order", code=1).stderr


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (-1, "0.0 s"),
        (340_000, "0.3 s"),
        (90_000_000, "90 s"),
        (7_199_000_000, "120 min"),
        (7_200_000_000, "2 h"),
        (3 * 86_400_000_000, "3 d"),
    ],
)
def test_ages_are_short(micros: int, text: str) -> None:
    assert age_text(micros) == text


def test_counts_are_exact_while_they_are_short() -> None:
    assert [shown_number(n) for n in (0, 9_999_999, 12_345_678, 12_345_678_901)] == [
        "0",
        "9,999,999",
        "12.3 M",
        "12.3 G",
    ]
