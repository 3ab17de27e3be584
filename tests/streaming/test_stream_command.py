"""noskew stream, as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import noskew as ns
from noskew.addresses import PREFIX_BYTES
from noskew.cli.render.entity_keys import key_text
from noskew.kernel.keys import encode_columns
from noskew.stores.online import open_store
from noskew.types import Schema
from tests import servers
from tests.servers import wait_until
from tests.streaming import commands, shop
from tests.streaming.commands import running, stream
from tests.streaming.test_streams import contents, expected

CODE = """
import noskew as ns
orders = ns.Source("orders", {"user": int, "at": "timestamp", "amount": float}, event_time="at",
                   stream=ns.LocalLog())
spent = ns.FeatureView("spent", entity=ns.Entity("user", {"user": int}), source=orders,
                       features=[ns.sum("amount")])
svc = ns.FeatureService("svc", [spent])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture
def redis() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


def filled(root: Path, *, online: str | None = None) -> Path:
    """A project with a hundred orders in its log."""
    commands.make(root, online=online, code=CODE)
    with ns.FeatureStore(root) as store:
        store.push("orders", shop.orders(100, 1).drop_columns(["id"]))
    return root


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What stderr says, without the frame of a panel and the breaks of lines."""
    return " ".join(done.stderr.replace("│", " ").split())


# ---------------------------------------------------------------- run


def test_once_brings_everything_online_and_says_what_it_did(project: Path) -> None:
    done = stream(project, "orders", "--once")
    assert done.stdout == ""
    assert "stream orders: 100 rows in" in done.stderr
    with ns.FeatureStore(project) as store:
        assert contents(store) == expected(store) != {}


def test_a_signal_stops_it_in_good_order(project: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(project, "orders") as process, ns.FeatureStore(project) as store:
            wait_until(
                lambda: process.poll() is None and contents(store) == expected(store),
                "the orders are online",
            )
            process.send_signal(number)
            _, summary = process.communicate(timeout=60)
            assert process.returncode == 0
            assert "stream orders: " in summary
            assert contents(store) == expected(store) != {}
            store.push("orders", shop.orders(50, 2).drop_columns(["id"]))


def test_an_unknown_source_is_named(project: Path) -> None:
    done = stream(project, "order", code=1)
    assert "orders" in done.stderr
    assert "noskew stream --help" in done.stderr


def test_run_is_meant_where_no_command_is_named(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    assert "stream orders" in stream(root, "--once", "orders").stderr
    assert "stream status" in stream(root, "status").stdout, "the command, of all sources"
    assert "stream status: 0 rows" in stream(root, "run", "status", "--once").stderr
    help_text = stream(root, "--help").stdout
    for name in ("run", "status", "verify", "rebuild", "quarantine", "replay"):
        assert f" {name} " in help_text


def test_without_words_it_says_what_there_is(project: Path) -> None:
    assert "quarantine" in stream(project, code=2).stdout


# ---------------------------------------------------------------- verify and rebuild


def damage(root: Path) -> int:
    """Change a row of the state behind the stream's back; the user whose row it is."""
    with ns.FeatureStore(root) as store:
        key, row = min(contents(store).items())
        space = store.streams._state(store.applied.project.source("orders")).space(b"x")
        wrong = row[:-1] + bytes([row[-1] ^ 1])
        space.commit(rows=[(key, wrong)], epoch=space.claim())
        return key[PREFIX_BYTES + 1]


def test_verify_finds_a_wrong_row_and_rebuild_makes_it_right(project: Path) -> None:
    stream(project, "orders", "--once")
    assert "Every row is as its log says." in stream(project, "verify", "orders").stdout
    user = damage(project)
    found = stream(project, "verify", "orders", "spent", code=1)
    assert "✗ not equal" in found.stdout
    assert f"spent: user={user}\n" in found.stdout
    assert "noskew stream rebuild orders" in told(found)
    refused = stream(project, "rebuild", "orders", code=1)
    assert "say --yes" in told(refused)
    stream(project, "verify", "orders", code=1)
    stream(project, "rebuild", "orders", "--yes")
    assert "✓ equal" in stream(project, "verify", "orders").stdout


def test_verify_repairs_what_the_online_store_lacks(
    tmp_path: Path, redis: servers.RedisServer
) -> None:
    root = filled(tmp_path, online=redis.url)
    stream(root, "orders", "--once")
    with ns.FeatureStore(root) as store:
        keys = sorted(contents(store))
        store.online.delete(keys[:2])
        assert contents(store).keys() == set(keys[2:])
    found = stream(root, "verify", "orders", code=1)
    assert "noskew stream verify orders --repair" in told(found)
    repaired = stream(root, "verify", "orders", "--repair", code=1)
    assert "verify once more" in told(repaired)
    stream(root, "verify", "orders")
    with open_store(redis.url) as online:
        assert None not in online.read(keys)


def test_verify_refuses_views_of_other_sources(tmp_path: Path) -> None:
    root = commands.make(tmp_path)
    assert "newest, spent" in told(stream(root, "verify", "orders", "seen", code=1))
    done = stream(root, "verify", "orders", code=1)
    assert "noskew stream orders" in told(done), "nothing was streamed yet"


KINDS = Schema({"i": int, "s": str, "y": bytes, "b": bool, "d": "date", "t": "timestamp"})


def test_keys_are_shown_as_their_parts() -> None:
    values = {
        "i": -129,
        "s": "é" * 100,
        "y": b"\xff",
        "b": True,
        "d": date(2026, 1, 31),
        "t": datetime(2026, 1, 31, tzinfo=UTC),
    }
    columns = [pa.array([v], KINDS[n].to_arrow()) for n, v in values.items()]
    (key,) = encode_columns(columns)[0].to_list()
    shown = key_text(key, KINDS)
    assert shown == (f"i=-129, s={'é' * 100}, y=ff, b=true, d=2026-01-31, t=2026-01-31T00:00:00Z")
    for other in (key[:-1], key + b"\x00", b"\xff\x7f" + bytes(32), b"", b"\x80"):
        assert key_text(other, KINDS) == other.hex()
    assert key_text(b"\x01\xff", Schema({"s": str})) == "01ff", "not UTF-8"
    assert key_text(b"\x00", Schema({"i": int})) == "00"


# ---------------------------------------------------------------- a second signal


def test_a_second_signal_ends_it_at_once(project: Path) -> None:
    """Where the end takes long, as it does while the offline store does not answer."""
    code = (
        "import signal, os, sys\n"
        "from noskew.streaming.archive.archiving import Archiving\n"
        "def waits(self):\n"
        "    os.write(1, b'archiving\\n')\n"
        "    signal.pause()\n"
        "    signal.pause()\n"
        "Archiving.catch_up = waits\n"
        f"sys.argv = ['noskew', '-C', {str(project)!r}, 'stream', 'orders']\n"
        "from noskew.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )
    with process, ns.FeatureStore(project) as store:
        wait_until(lambda: bool(contents(store)), "the orders are online")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "archiving\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "safe to run the same command again" in said
