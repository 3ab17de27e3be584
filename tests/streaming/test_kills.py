"""Killed at each named step, a stream loses nothing and counts nothing twice."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import noskew as ns
from noskew.intake.tables import table_name
from noskew.streaming.quarantine.schema import quarantine_spec
from noskew.streaming.workers.bootstrap import Bootstrap
from noskew.testing import processes
from tests import chaos, servers
from tests.streaming import dying, naive, shop
from tests.streaming.test_streams import contents, expected, streamed

pytestmark = pytest.mark.chaos
#: Kills at each step; ``make chaos`` asks for more.
KILLS = int(os.environ.get("CHAOS_KILLS", "1"))


@pytest.fixture(scope="module")
def redis() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


@pytest.mark.parametrize("step", dying.EVERYWHERE)
def test_killed_where_rows_are_embedded(tmp_path: Path, step: str) -> None:
    _kill_and_compare(tmp_path, None, step)


@pytest.mark.parametrize("step", dying.REMOTE)
def test_killed_where_rows_are_published(
    tmp_path: Path, step: str, redis: servers.RedisServer
) -> None:
    with redis.client() as client:
        client.flushall()
    _kill_and_compare(tmp_path, redis.url, step)


@pytest.mark.parametrize("step", dying.LASTING)
def test_killed_where_rows_are_published_without_frontiers(
    tmp_path: Path, step: str, dynamodb_url: str
) -> None:
    _kill_and_compare(tmp_path, dynamodb_url, step)


def _kill_and_compare(root: Path, url: str | None, step: str) -> None:
    random_ = random.Random(step)
    kills = compared = 0
    if dying.STEPS[step][0] is Bootstrap:  # with something to start from
        with dying.open_shop(root, url) as store:
            store.push("orders", shop.orders(60, 99))
            store.stream("orders")
    for turn in range(KILLS):
        with dying.open_shop(root, url) as store:
            for part in range(3):
                store.push("orders", shop.orders(60, 10 * turn + part))
        # Early calls are the interesting ones, and every run comes to them.
        process = processes.start(dying.stream_and_die, root, url, step, random_.randint(1, 2))
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        kills += process.exitcode == -signal.SIGKILL
        with dying.open_shop(root, url) as store:
            store.stream("orders")
            wanted = values(expected(store))
            assert values(contents(store)) == wanted
            compared += len(wanted) + _check_archive(store) + naive.check_answers(store)
    chaos.note(f"kill -9 when {step}", faults=KILLS, traces=kills, compared=compared)
    assert kills, "the nemesis left no trace"


def values(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Rows without the generation, the first two bytes of their number."""
    return {key: row[:8] + b"\0\0" + row[10:] for key, row in rows.items()}


def _check_archive(store: ns.FeatureStore) -> int:
    """Each event once, from where it stands in the log; so too what is no event. How many."""
    source, views = streamed(store)
    with store.streams.processor(source, views) as processor:
        positions = processor.positions()
    compared = 0
    for view in views:
        progress = [p.progress[view.name] for p in positions]
        places = ["_origin", "_offset", "_place"]
        events = store.offline.read(table_name(view), places).to_pylist()
        quarantined = store.offline.read(quarantine_spec(view).name, places).to_pylist()
        for found, count in (
            (events, sum(m.folded for m in progress)),
            (quarantined, sum(m.quarantined for m in progress)),
        ):
            assert len({tuple(row.values()) for row in found}) == len(found) == count
            compared += count
    return compared
