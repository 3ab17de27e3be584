"""An append that is killed on the way, to be run in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from itertools import count
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from noskew.stores.offline import IcebergStore
from noskew.stores.offline import append as append_module
from noskew.testing.offline_store import facts

TOKEN = "the-append"
BATCHES = 6
ROWS = 100


def batches() -> Any:
    """The same facts in every process."""
    for batch in range(BATCHES):
        numbers = range(batch * ROWS, (batch + 1) * ROWS)
        yield facts([(n * 7919 % 1_000, n, float(n)) for n in numbers])


def append_and_die(home: str, kill_at: int, calls: Connection) -> None:
    """Append once, with a spool so small that it goes to disk.

    Counts the calls of Python and C functions that the append makes, in all of its threads,
    and sends this process SIGKILL at the one numbered ``kill_at``. With 0 it is not killed, and
    the number of calls is sent to ``calls``.
    """
    append_module.MEMORY_BYTES = 8_192
    numbers = count(1)
    last = 0

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal last
        if event in ("call", "c_call"):
            last = next(numbers)
            if last == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with IcebergStore(f"sqlite:///{home}/catalog.db", home) as store:
        store.info("facts")
        threading.setprofile(watch)
        sys.setprofile(watch)
        store.append("facts", batches(), token=TOKEN)
        sys.setprofile(None)
    calls.send(last)
