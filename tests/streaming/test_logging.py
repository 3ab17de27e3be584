"""What runs for long says in its log when it starts, stops and fails, and no secret."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from noskew.errors import NoskewError, StoreFullError, StoreUnavailableError
from noskew.streaming.fault_log import FaultLog
from tests.streaming import shop

FAILED = "the archive failed and is tried again"


def test_a_fault_is_logged_when_it_begins_changes_and_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log = FaultLog(logging.getLogger("noskew.streaming.test"), "the archive")
    down = StoreUnavailableError("redis://me:secret@host is down")
    tries: list[NoskewError | None] = [None, down, down, StoreFullError("full"), None, None]
    for fault in tries:
        log.note(fault)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("WARNING", f"{FAILED}: StoreUnavailableError: redis://***@host is down"),
        ("WARNING", f"{FAILED}: StoreFullError: full"),
        ("INFO", "the archive works again"),
    ]


def test_a_stream_says_when_it_starts_and_stops_and_nothing_of_each_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "noskew.streaming")
    with shop.store(tmp_path) as store:
        store.push("orders", shop.orders(50, 1))
        store.stream("orders")
        partitions = store.logs.of(store.applied.project.source("orders")).partitions
    messages = [r.message for r in caplog.records if r.name.startswith("noskew.streaming")]
    assert sum("taken over at message" in text for text in messages) == partitions
    assert {"stream orders: started", "stream orders: stopped"} <= {*messages}
    assert {"archive of orders: started", "archive of orders: stopped"} <= {*messages}
    assert len(messages) == partitions + 4
