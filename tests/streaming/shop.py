"""A small project with one stream, for tests and for the processes that they kill."""

from __future__ import annotations

import faulthandler
import signal
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa

import noskew as ns
from noskew.clock import FixedClock

S = 1_000_000
NOW = 1_700_000_000 * S
USERS = 60
LEASE_S = 2.0


def views() -> list[ns.FeatureView]:
    orders = ns.Source(
        "orders",
        {"user": int, "at": "timestamp", "amount": float, "id": int},
        event_time="at",
        event_id="id",
        stream=ns.LocalLog(partitions=2, key="user"),
    )
    user = ns.Entity("user", {"user": int})
    return [
        ns.FeatureView(
            "spent",
            entity=user,
            source=orders,
            lateness="30s",
            features=[
                ns.count(window=["1min", "1h"]),
                ns.sum("amount", window="1h"),
                ns.mean("amount"),
                ns.last_value("amount", window="10min"),
            ],
        ),
        ns.FeatureView(
            "newest",
            entity=user,
            source=orders,
            lateness="30s",
            features=["amount"],
            max_age="1h",
            late="drop",
        ),
    ]


def service() -> ns.FeatureService:
    return ns.FeatureService("svc", views())


def store(root: Path, now: int = NOW) -> ns.FeatureStore:
    made = ns.FeatureStore(root, project="shop", clock=FixedClock(now))
    if not made.applied.project.views:
        made.apply([service()])
    return made


def orders(count: int, seed: int) -> pa.Table:
    """Orders of the last minutes in no order, some of them twice, some late, one without a key."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 4 * count, count)
    at = NOW - ids % 240 * S + random.integers(0, 2, count)
    users = pa.array(ids % USERS, mask=ids == 0)
    amount = np.round(random.normal(50, 20, count), 2)
    return pa.table(
        {
            "user": users,
            "at": pa.array(at).view(pa.timestamp("us", "UTC")),
            "amount": amount,
            "id": ids,
        }
    )


def stream(root: Path, ready: Path) -> None:
    """Stream what is in the log of the project in a directory."""
    with store(root) as opened:
        ready.touch()
        opened.stream("orders")


def work(root: Path, ready: Path, report: Path) -> None:
    """Work as one of several, until SIGTERM; tell at the end what was refused."""
    with store(root) as opened:
        _work(opened, ready, report)


def _work(store: ns.FeatureStore, ready: Path, report: Path) -> None:
    stop = Event()
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    project = store.applied.project
    source, views = project.source("orders"), project.views.values()
    with store.streams.assignment(source) as assignment:
        assignment.lease_s = LEASE_S
        with store.streams.processor(source, views, assignment=assignment) as processor:
            processor.run(stop, watcher=lambda positions: ready.write_text(str(len(positions))))
            report.write_text(str(processor.refused))
