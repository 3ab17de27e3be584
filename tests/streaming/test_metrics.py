"""What a process that streams says of itself, as Prometheus scrapes it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from prometheus_client.parser import text_string_to_metric_families

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import NoskewError, StoreError, StoreUnavailableError
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.status.metrics import MetricsServer, StreamMetrics
from noskew.streaming.workers.processor import PartitionPosition
from tests import servers
from tests.servers import wait_until
from tests.streaming import commands
from tests.streaming.commands import stream_json

S = 1_000_000
COUNTS = ("consumed", "folded", "late", "duplicate", "quarantined", "late_folded")
Samples = dict[tuple[str, str, str], float]


@pytest.fixture
def redis() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


def scraped(url: str) -> Samples:
    """The samples of a scrape, by name (without what all share), view and partition."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return parsed(answer.read().decode())


def parsed(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.pop("source") == "orders"
            name = sample.name.removeprefix("noskew_stream_")
            assert name != sample.name
            place = sample.labels.get("view", ""), sample.labels.get("partition", "")
            found[name, *place] = sample.value
    return found


def url_of(process: subprocess.Popen[str]) -> str:
    """Where a process says that its metrics are."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("metrics at http://127.0.0.1:"), line
    return line.split()[-1]


def test_a_process_that_streams_counts_every_row_once(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    commands.push(root, 400, 1)
    with commands.running(root, "orders", "--metrics-port", "0") as process:
        url = url_of(process)
        places = [(v, str(p)) for v in ("newest", "spent") for p in range(2)]

        def consumed(samples: Samples) -> float:
            return sum(samples.get(("consumed_total", *place), 0) for place in places)

        wait_until(lambda: consumed(scraped(url)) == 800, "the stream has caught up")
        commands.push(root, 500, 2)
        seen: list[Samples] = []
        while not seen or consumed(seen[-1]) < 1_800:
            assert process.poll() is None
            seen.append(scraped(url))
            for place in places:
                total = seen[-1]["consumed_total", *place]
                parts = ("folded_total", "late_total", "duplicate_total", "quarantined_total")
                assert total == sum(seen[-1][name, *place] for name in parts), place
        status = stream_json(root, "status", "orders")
        last = scraped(url)
        for view in status["sources"][0]["views"]:
            for part in view["partitions"]:
                place = view["view"], str(part["partition"])
                assert {n: last[f"{n}_total", *place] for n in COUNTS} == {
                    n: part["counts"][n] for n in COUNTS
                }
                assert last["lag_messages", *place] == 0
                assert last["next_offset", *place] == part["end"] == 2
                assert 0 <= last["freshness_seconds", *place] < 5
        assert last["duplicate_total", "spent", "0"] > 0
        assert last["late_folded_total", "spent", "0"] > 0
        assert last["late_total", "newest", "0"] > 0
        for name in ("waiting_rows", "published_again_total", "online_fault", "archive_fault"):
            assert last[name, "", ""] == 0
        assert {name for name, *_ in last} <= documented(), "every metric is documented"
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "stream orders: 900 rows" in told


def documented() -> set[str]:
    """The metrics that the documentation names."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "operations.md"
    words = page.read_text(encoding="utf-8").replace("{", "`").split("`")
    return {w.removeprefix("noskew_stream_") for w in words if w.startswith("noskew_stream_")}


def test_an_online_store_that_goes_and_comes_back_empty_shows(
    tmp_path: Path, redis: servers.RedisServer
) -> None:
    root = commands.make(tmp_path, online=redis.url)
    commands.push(root, 200, 1)
    with commands.running(root, "orders", "--metrics-port", "0") as process:
        url = url_of(process)

        def value(name: str) -> float:
            assert process.poll() is None
            return scraped(url).get((name, "", ""), -1)

        def folded() -> bool:
            found = scraped(url)
            return found.get(("consumed_total", "spent", "0"), 0) > 0

        wait_until(folded, "the first orders are folded")
        wait_until(lambda: value("waiting_rows") == 0, "they are published")
        redis.stop()
        with ns.FeatureStore(root) as store:  # pushing needs no online store
            store.push("orders", commands.orders(200, 2))
        wait_until(lambda: value("online_fault") == 1, "the fault shows")
        wait_until(lambda: value("waiting_rows") > 0, "rows wait")
        before = value("published_again_total")
        redis.start()
        wait_until(lambda: value("online_fault") == 0, "the fault is over")
        wait_until(lambda: value("published_again_total") > before, "what was lost is there again")
        wait_until(lambda: value("waiting_rows") == 0, "nothing waits")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "online store" in told
        assert "online store: works again" in told


def test_how_far_the_archive_is_shows_as_soon_as_it_is_looked_up() -> None:
    looked = Event()

    def archived() -> dict[tuple[str, int], int]:
        looked.set()
        return {("v", 0): 17, ("v", 1): 4}

    with StreamMetrics("orders", FixedClock(0), archived) as metrics:
        metrics([PartitionPosition(0, 20, 20, {"v": PartitionProgress(next_offset=20)}, 0)])
        wait_until(lambda: bool(metrics._offsets), "it was looked up")
        with MetricsServer(metrics, host="127.0.0.1", port=0) as server:
            found = scraped(server.url)
        assert found["archived_offset", "v", "0"] == 17
        assert ("archived_offset", "v", "1") not in found, "it is another process's partition"
    assert looked.is_set()


def test_an_archive_that_cannot_be_asked_delays_and_hides_nothing() -> None:
    asked = Event()

    def archived() -> dict[tuple[str, int], int]:
        asked.set()
        raise StoreUnavailableError("down")

    with (
        StreamMetrics("orders", FixedClock(0), archived) as metrics,
        MetricsServer(metrics, host="127.0.0.1", port=0) as server,
    ):
        assert asked.wait(60)
        fault: NoskewError = StoreError("no space")
        metrics(
            [
                PartitionPosition(
                    0, 20, 20, {"v": PartitionProgress(20, consumed=3, folded=3)}, 0, 0, None, fault
                )
            ]
        )
        found = scraped(server.url)
        assert found["archive_fault", "", ""] == 1
        assert found["consumed_total", "v", "0"] == 3
        assert ("archived_offset", "v", "0") not in found


def test_freshness_is_what_readers_have() -> None:
    clock = FixedClock(100 * S)
    with (
        StreamMetrics("orders", clock, dict) as metrics,
        MetricsServer(metrics, host="127.0.0.1", port=0) as server,
    ):

        def told(next_offset: int, known: int, waiting: int = 0) -> float | None:
            progress = PartitionProgress(next_offset=next_offset, known=known * S)
            metrics([PartitionPosition(0, next_offset, 9, {"v": progress}, waiting)])
            return scraped(server.url).get(("freshness_seconds", "v", "0"))

        assert told(5, 90, waiting=3) is None, "nothing of it is there"
        assert told(5, 90) == 10
        clock.advance("5s")
        assert told(7, 93, waiting=3) == 15, "what waits is not there"
        assert told(9, 94) == 0, "at the end it is as fresh as the last look at the log"
        clock.advance("5s")
        assert scraped(server.url)["freshness_seconds", "v", "0"] == 5, "a process that hangs"
        metrics([])
        assert ("freshness_seconds", "v", "0") not in scraped(server.url), "others have it now"


def test_a_port_that_is_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = commands.stream(root, "orders", "--once", "--metrics-port", port, code=1)
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "ConfigError" in refused.stderr


def test_without_the_library_the_extra_to_install_is_named(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        f"sys.argv = ['noskew', '-C', {str(root)!r}, 'stream', 'orders', '--once', *sys.argv[1:]]\n"
        "from noskew.cli import main; main()"
    )
    run = [sys.executable, "-c", code]
    environment = {**os.environ, "COLUMNS": "160"}
    plain = subprocess.run(run, capture_output=True, text=True, check=False, env=environment)
    assert plain.returncode == 0, plain.stderr
    asked = [*run, "--metrics-port", "0"]
    refused = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode == 1
    assert "pip install 'noskew[serve]'" in refused.stderr
