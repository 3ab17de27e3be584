"""A worker that kills itself, with -9, at a named step: what no handler and no flush survives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import noskew as ns
from noskew.clock import FixedClock
from noskew.config import Config, OnlineConfig
from noskew.registry.sql.registry import SqlRegistry
from noskew.stores.offline import append as appending
from noskew.stores.offline.iceberg import IcebergStore
from noskew.stores.online.dynamodb import DynamoDbStore
from noskew.stores.online.redis import RedisStore
from noskew.stores.state.lmdb import Space
from noskew.streaming.archive.archive import Archive
from noskew.streaming.publish.lasting import Lasting
from noskew.streaming.publish.publisher import Remote
from noskew.streaming.workers.bootstrap import Bootstrap
from tests.streaming import shop

#: Where a step is: whose function, its name, and whether before or after it.
EVERYWHERE: Mapping[str, tuple[Any, str, str]] = {
    "a state is about to be committed": (Space, "commit", "before"),
    "a state was committed": (Space, "commit", "after"),
    "rows of a start were put": (Bootstrap, "_put_rows", "after"),
    "a partition of a start was put": (Bootstrap, "_put_partition", "after"),
    "the assignment was swapped": (SqlRegistry, "swap_record", "after"),
    "events are about to be archived": (IcebergStore, "append", "before"),
    "files of an archive are written": (appending, "commit", "before"),
    "events were archived": (IcebergStore, "append", "after"),
    "what is no event was archived": (Archive, "_append_quarantined", "after"),
}
REMOTE: Mapping[str, tuple[Any, str, str]] = {
    "rows are about to be published": (RedisStore, "write", "before"),
    "rows were published": (RedisStore, "write", "after"),
    "the frontier is about to be told": (Remote, "_tell_frontier", "before"),
    "the frontier was told": (Remote, "_tell_frontier", "after"),
    "lost rows were found": (Remote, "_publish_again", "after"),
}
LASTING: Mapping[str, tuple[Any, str, str]] = {
    "rows are about to be put into a table": (DynamoDbStore, "write", "before"),
    "rows are about to be put one by one": (DynamoDbStore, "_change", "before"),
    "rows were put into a table": (DynamoDbStore, "write", "after"),
    "what waited of a view was put into a table": (Lasting, "_write", "after"),
}
STEPS = {**EVERYWHERE, **REMOTE, **LASTING}


def open_shop(root: Path, url: str | None) -> ns.FeatureStore:
    """The shop in a directory, its rows in the project's LMDB or at an address."""
    if url is None:
        return shop.store(root)
    config = Config(project="shop", online=OnlineConfig(url=url))
    made = ns.FeatureStore(root, config=config, clock=FixedClock(shop.NOW))
    if not made.applied.project.views:
        made.apply([shop.service()])
    return made


def die_at(step: str, call: int) -> None:
    """Let this process be killed at the ``call``-th time that it comes to a step."""
    owner, name, when = STEPS[step]
    real: Callable[..., Any] = getattr(owner, name)
    left = call

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if not left and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = real(*args, **options)
        if not left and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    setattr(owner, name, dying)


def stream_and_die(root: Path, url: str | None, step: str, call: int) -> None:
    """Stream what is in the log of a project, to a step and a call."""
    with open_shop(root, url) as store:
        die_at(step, call)
        if STEPS[step][0] is Bootstrap:
            project = store.applied.project
            store.streams.rebuild(project.source("orders"), project.views.values())
        store.stream("orders")
