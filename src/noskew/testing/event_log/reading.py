"""Reading a log to look at what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from noskew.errors import OffsetLostError, StoreError
from noskew.stores.log.base import EventLog, LogReader, Messages

PARTITIONS = 3
#: How long a test waits for what must come.
PATIENCE_S = 60.0
#: Where a length, a terminator or a text encoding goes wrong.
ODD = [b"", b"\x00", b"a\x00b", b"\r\n", b"NSL1", b"\xff" * 7, "é".encode(), bytes(range(256))]


class Message(NamedTuple):
    """One message that was read."""

    offset: int
    append_time: int
    payload: bytes | None


def wait_for_messages(reader: LogReader, at_least: int = 1) -> list[Messages]:
    """Poll until so many messages came."""
    batches: list[Messages] = []
    while sum(map(len, batches)) < at_least:
        polled = reader.poll(PATIENCE_S)
        assert polled, f"waited in vain for {at_least} messages, got {sum(map(len, batches))}"
        batches += [messages for messages in polled if len(messages)]
    return batches


def payloads_of(found: Sequence[Messages]) -> list[bytes | None]:
    """The payloads of what was polled, in its order."""
    return [payload for messages in found for payload in messages.payloads.to_pylist()]


def read_all(log: EventLog, partition: int, *, start: int | None = None) -> list[Message]:
    """The messages of a partition from ``start``, else from its beginning, to its present end."""
    begin, end = log.bounds(partition)
    place = begin if start is None else start
    found: list[Message] = []
    with log.reader({partition: place}) as reader:
        while place < end:
            polled = reader.poll(PATIENCE_S)
            assert polled, f"partition {partition} ends at {end}, and nothing came at {place}"
            for messages in polled:
                columns = messages.offsets.tolist(), messages.append_times.tolist()
                found += map(Message, *columns, messages.payloads.to_pylist())
                assert messages.next_offset > place, "a poll went on"
                place = messages.next_offset
    return found


def assert_ascending(offsets: Sequence[int]) -> None:
    """Each is greater than the one before."""
    assert all(np.diff(offsets) > 0)


def assert_lost(
    error: OffsetLostError, partition: int, offset: int, bounds: tuple[int, int]
) -> None:
    """The error says what was asked for and what is held."""
    assert (error.partition, error.offset) == (partition, offset)
    assert (error.begin, error.end) == bounds


def assert_fails_before(reader: LogReader, payload: bytes) -> None:
    """Polls end in a StoreError, and none gave the payload."""
    try:
        while True:
            polled = reader.poll(PATIENCE_S)
            assert polled, "it neither fails nor gives anything"
            assert payload not in payloads_of(polled)
    except StoreError:
        pass
