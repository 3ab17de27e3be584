"""What is appended comes back, at once and whole."""

from __future__ import annotations

import random
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pytest

from noskew.stores.log.base import EventLog
from noskew.testing.event_log.reading import (
    ODD,
    PARTITIONS,
    assert_ascending,
    payloads_of,
    read_all,
    wait_for_messages,
)
from noskew.testing.event_log.suite import EventLogSuite

#: More than a log is likely to give out in one portion.
_MANY = 30_000


class AppendTests(EventLogSuite):
    """Messages come back as they were, in their order."""

    # --- append and read

    @pytest.mark.parametrize("payload", ODD)
    def test_a_message_comes_back_as_it_was(self, log: EventLog, payload: bytes) -> None:
        begin = log.bounds(0)[0]
        last = log.append(0, [payload])
        assert [(m.offset, m.payload) for m in read_all(log, 0)] == [(last, payload)]
        assert begin <= last < log.bounds(0)[1]

    def test_messages_come_in_the_order_of_their_append(self, log: EventLog) -> None:
        appends = [[b"a"], [b"b", b"", b"c"], ODD, [b"d"] * 100]
        lasts = [log.append(0, payloads) for payloads in appends]
        messages = read_all(log, 0)
        assert [m.payload for m in messages] == [p for payloads in appends for p in payloads]
        assert_ascending([m.offset for m in messages])
        ends = np.cumsum([len(payloads) for payloads in appends]) - 1
        assert [messages[at].offset for at in ends] == lasts

    def test_what_is_read_has_the_declared_types(self, log: EventLog) -> None:
        log.append(1, [b"a", b"bc"])
        with log.reader({1: log.bounds(1)[0]}) as reader:
            found = wait_for_messages(reader, 2)
        for messages in found:
            assert messages.partition == 1
            assert messages.offsets.dtype == messages.append_times.dtype == np.dtype(np.int64)
            assert messages.payloads.type == pa.large_binary()
            columns = (messages.offsets, messages.append_times, messages.payloads)
            assert {len(column) for column in columns} == {len(messages)}
            assert messages.next_offset > messages.offsets[-1]
        assert payloads_of(found) == [b"a", b"bc"]

    def test_every_reader_sees_the_same_append_times(self, log: EventLog) -> None:
        for number in range(5):
            log.append(0, [b"%d" % number] * 3)
        first, second = read_all(log, 0), read_all(log, 0)
        assert first == second
        assert all(m.append_time > 0 for m in first)
        middle = first[7].offset
        assert read_all(log, 0, start=middle) == first[7:]

    def test_a_huge_payload(self, log: EventLog) -> None:
        payloads = [b"before", random.Random(1).randbytes(self.huge_bytes), b"after"]
        for payload in payloads:
            log.append(0, [payload])
        assert [m.payload for m in read_all(log, 0)] == payloads

    def test_many_messages(self, log: EventLog) -> None:
        payloads = [b"%d" % number * (number % 50) for number in range(_MANY)]
        at = 0
        for size in (1, 7, 1_000, 10_000, 3, _MANY):
            log.append(0, payloads[at : at + size])
            at = min(at + size, _MANY)
        messages = read_all(log, 0)
        assert [m.payload for m in messages] == payloads
        assert_ascending([m.offset for m in messages])

    def test_reading_begins_at_any_message(self, log: EventLog) -> None:
        for first in (0, 10, 20):
            log.append(0, [b"%d" % number for number in range(first, first + 10)])
        whole = read_all(log, 0)
        for at, message in enumerate(whole):
            assert read_all(log, 0, start=message.offset) == whole[at:]
        assert read_all(log, 0, start=log.bounds(0)[1]) == []

    def test_reading_goes_on_where_it_ended(self, log: EventLog) -> None:
        with log.reader({0: log.bounds(0)[0]}) as reader:
            for number in range(20):
                log.append(0, [b"%d" % number] * 2)
                assert payloads_of(wait_for_messages(reader, 2)) == [b"%d" % number] * 2

    def test_what_was_read_outlives_its_reader(self, log: EventLog) -> None:
        log.append(0, [b"kept" * 1_000] * 10)
        with log.reader({0: log.bounds(0)[0]}) as reader:
            messages = wait_for_messages(reader, 10)
        log.append(0, [b"other" * 1_000] * 10)
        log.close()
        assert payloads_of(messages) == [b"kept" * 1_000] * 10

    def test_arguments_are_left_alone(self, log: EventLog) -> None:
        payloads, offsets = [b"b", b"a"], {0: log.bounds(0)[0]}
        log.append(0, payloads)
        log.append(0, tuple(payloads))
        with log.reader(offsets) as reader:
            assert payloads_of(wait_for_messages(reader, 4)) == [b"b", b"a"] * 2
        assert payloads == [b"b", b"a"]
        assert offsets == {0: log.bounds(0)[0]}

    # --- waiting

    def test_a_poll_waits_for_the_first_message(self, log: EventLog) -> None:
        is_polling = Event()

        def append() -> None:
            is_polling.wait()
            log.append(2, [b"late"])

        with log.reader({p: log.bounds(p)[1] for p in range(PARTITIONS)}) as reader:
            assert reader.poll(0.0) == []
            thread = Thread(target=append)
            thread.start()
            is_polling.set()
            messages = wait_for_messages(reader)
            thread.join()
        assert payloads_of(messages) == [b"late"]
        assert messages[0].partition == 2

    @pytest.mark.parametrize("timeout", [0.0, 0.02])
    def test_a_poll_in_vain_gives_an_empty_list(self, log: EventLog, timeout: float) -> None:
        log.append(0, [b"not read"])
        with log.reader({0: log.bounds(0)[1], 1: log.bounds(1)[0]}) as reader:
            assert reader.poll(timeout) == []
            assert reader.poll(timeout) == []
        with log.reader({}) as nothing:
            assert nothing.poll(timeout) == []
