"""Writers that append at the same time, or are killed; some in processes of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from multiprocessing.connection import Connection

from noskew.stores.log.base import EventLog
from noskew.testing import processes
from noskew.testing.event_log.reading import PARTITIONS, read_all

#: How many messages each of the concurrent writers appends.
_NUMBERS = 400


def append_numbers(log: EventLog, writer: int) -> None:
    """Append numbers in uneven portions, to partition 0 and to another."""
    order = random.Random(writer)
    at = 0
    while at < _NUMBERS:
        portion = range(at, min(at + order.randint(1, 12), _NUMBERS))
        payloads = [b"%d/%d" % (writer, number) for number in portion]
        log.append(0, payloads)
        log.append(1 + writer % 2, payloads)
        at = portion.stop


def append_elsewhere(opener: Callable[[], EventLog], writer: int) -> None:
    """:func:`append_numbers`, for a process of its own."""
    with opener() as log:
        append_numbers(log, writer)


def tell_identity(opener: Callable[[], EventLog], told: Connection) -> None:
    """Send the identity of a log, for a process of its own."""
    with opener() as log:
        told.send(log.identity)


def assert_all_there(log: EventLog, writers: Sequence[int]) -> None:
    """Each writer's numbers are there once and in order, and there is nothing else."""
    for partition in range(PARTITIONS):
        payloads = [m.payload for m in read_all(log, partition)]
        here = [w for w in writers if partition in (0, 1 + w % 2)]
        for writer in here:
            mine = [p for p in payloads if p is not None and p.startswith(b"%d/" % writer)]
            assert mine == [b"%d/%d" % (writer, number) for number in range(_NUMBERS)]
        assert len(payloads) == len(here) * _NUMBERS


def burst(writer: int, number: int) -> list[bytes]:
    """What a writer that is going to be killed appends in one call."""
    order = random.Random(writer * 1_000_003 + number)
    sizes = [order.choice((0, 10, 1_000, 60_000)) for _ in range(order.randint(1, 12))]
    return [b"%d/%d/%d/" % (writer, number, at) + bytes(size) for at, size in enumerate(sizes)]


def append_until_killed(opener: Callable[[], EventLog], writer: int, told: Connection) -> None:
    """Append burst after burst, and tell the number of each once it is acknowledged."""
    with opener() as log:
        for number in count():
            log.append(0, burst(writer, number))
            told.send(number)


def kill_a_writer(opener: Callable[[], EventLog], writer: int, after: int) -> int:
    """Kill a writer at once after so many appends; how many it had acknowledged."""
    mine, theirs = processes.clean_context().Pipe(duplex=False)
    process = processes.start(append_until_killed, opener, writer, theirs)
    theirs.close()
    with mine:
        numbers = [mine.recv() for _ in range(after)]
        process.kill()
        process.join()
        try:
            while True:
                numbers.append(mine.recv())
        except EOFError:
            pass  # a message cut short was no acknowledgement either
    assert numbers == list(range(len(numbers)))
    return len(numbers)
