"""Work on a table that is killed on the way, to be run in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from types import FrameType
from typing import Any

from noskew.errors import NoteMismatchError
from noskew.stores.offline import IcebergStore
from noskew.stores.offline import append as append_module
from noskew.testing.offline_store import facts

TOKEN = "the-append"
NOTE = "the:log"
BATCHES = 6
ROWS = 100
#: Later than any commit.
FOREVER = 2**62


def batches() -> Any:
    """The same facts in every process."""
    for batch in range(BATCHES):
        numbers = range(batch * ROWS, (batch + 1) * ROWS)
        yield facts([(n * 7919 % 1_000, n, float(n)) for n in numbers])


#: What can be done; each twice has the same effect as once, but for the append of facts at a note,
#: which raises NoteMismatchError.
WORK: dict[str, Callable[[IcebergStore], object]] = {
    "append": lambda store: store.append("facts", batches(), token=TOKEN),
    "append at a note": lambda store: store.append(
        "facts", batches(), notes={NOTE: "600"}, expected={NOTE: None}
    ),
    "compact": lambda store: store.compact("facts"),
    "compact small files": lambda store: store.compact("facts", small=True),
    "expire": lambda store: store.expire("facts", before=FOREVER),
}


def work_and_die(home: str, work: str, kill_at: int, calls: Connection) -> None:
    """Do one thing, with a spool so small that it goes to disk.

    Counts the calls of Python and C functions that it makes, in all of its threads, and sends
    this process SIGKILL at the one numbered ``kill_at``. With 0 it is not killed, and the number
    of calls is sent to ``calls``.
    """
    append_module.MEMORY_BYTES = 8_192
    with open_store(home) as store:
        store.info("facts")
        with killed_at(kill_at) as made:
            WORK[work](store)
    calls.send(made[0])


def archive_and_die(home: str, end: int, kill_at: int, start: Barrier, lost: Connection) -> None:
    """Append the rows 0 to ``end``, one at a time, after the one that the note tells of.

    Others do the same. Sends how often somebody else was faster.
    """
    overtaken = 0
    with open_store(home) as store:
        store.info("facts")
        start.wait(60)
        with killed_at(kill_at):
            while True:
                note = (store.info("facts").notes or {}).get(NOTE)
                row = int(note or 0)
                if row == end:
                    break
                batch = facts([(row, row, float(row))])
                try:
                    store.append(
                        "facts", [batch], notes={NOTE: str(row + 1)}, expected={NOTE: note}
                    )
                except NoteMismatchError:
                    overtaken += 1
    lost.send(overtaken)


def open_store(home: str) -> IcebergStore:
    """The store that everybody works on."""
    return IcebergStore(f"sqlite:///{home}/catalog.db", home)


@contextmanager
def killed_at(number: int) -> Iterator[list[int]]:
    """Kill this process at its n-th call; give a list with the number of the last one."""
    numbers, last = count(1), [0]

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            last[0] = next(numbers)
            if last[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield last
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
