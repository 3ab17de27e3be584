"""A reader chooses partitions, and places in them."""

from __future__ import annotations

import pytest

from noskew.errors import InputError
from noskew.stores.log.base import EventLog
from noskew.testing.event_log.reading import (
    PARTITIONS,
    PATIENCE_S,
    payloads_of,
    read_all,
    wait_for_messages,
)
from noskew.testing.event_log.suite import EventLogSuite


class PartitionTests(EventLogSuite):
    """Pause, resume, drop and assign."""

    def test_partitions_are_independent(self, log: EventLog) -> None:
        expected: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
        with log.reader({p: log.bounds(p)[0] for p in range(PARTITIONS)}) as reader:
            for number in range(60):
                payload = b"%d" % number
                log.append(number % PARTITIONS, [payload])
                expected[number % PARTITIONS].append(payload)
            payloads: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
            while sum(map(len, payloads.values())) < 60:
                polled = reader.poll(PATIENCE_S)
                assert polled, "messages are missing"
                assert len({m.partition for m in polled}) == len(polled), "one item for each"
                for messages in polled:
                    payloads[messages.partition] += messages.payloads.to_pylist()
        assert payloads == expected

    def test_a_paused_partition_keeps_its_place(self, log: EventLog) -> None:
        with log.reader({p: log.bounds(p)[0] for p in (0, 1)}) as reader:
            log.append(0, [b"0a"])
            assert payloads_of(wait_for_messages(reader)) == [b"0a"]
            reader.pause(0)
            reader.pause(0)
            log.append(0, [b"0b", b"0c"])
            log.append(1, [b"1a"])
            assert payloads_of(wait_for_messages(reader)) == [b"1a"]
            assert reader.poll(0.02) == []
            reader.resume(0)
            reader.resume(0)
            assert payloads_of(wait_for_messages(reader, 2)) == [b"0b", b"0c"]
            log.append(0, [b"0d"])
            assert payloads_of(wait_for_messages(reader)) == [b"0d"]

    def test_a_dropped_partition_is_not_read(self, log: EventLog) -> None:
        with log.reader({p: log.bounds(p)[0] for p in (0, 1)}) as reader:
            reader.drop(0)
            reader.drop(0)
            reader.drop(2)
            log.append(0, [b"0a", b"0b"])
            log.append(1, [b"1a"])
            assert payloads_of(wait_for_messages(reader)) == [b"1a"]
            assert reader.poll(0.02) == []
            for call in (reader.pause, reader.resume):
                with pytest.raises(InputError):
                    call(0)
            reader.assign(0, read_all(log, 0)[1].offset)
            assert payloads_of(wait_for_messages(reader)) == [b"0b"]

    def test_assign_goes_on_elsewhere(self, log: EventLog) -> None:
        log.append(0, [b"%d" % number for number in range(10)])
        whole = read_all(log, 0)
        with log.reader({0: whole[0].offset}) as reader:
            assert len(payloads_of(wait_for_messages(reader, 10))) == 10
            for at in (3, 9, 0, 5):
                reader.assign(0, whole[at].offset)
                assert payloads_of(wait_for_messages(reader, 10 - at)) == [
                    m.payload for m in whole[at:]
                ]
            reader.pause(0)
            reader.assign(0, whole[9].offset)
            assert payloads_of(wait_for_messages(reader)) == [b"9"], "it is not paused any more"
