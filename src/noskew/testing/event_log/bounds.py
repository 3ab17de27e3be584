"""Offsets outside of a log, and messages that it does not hold any more."""

from __future__ import annotations

import pytest

from noskew.errors import InputError, OffsetLostError
from noskew.stores.log.base import EventLog
from noskew.testing.event_log.reading import (
    PARTITIONS,
    PATIENCE_S,
    assert_lost,
    payloads_of,
    read_all,
    wait_for_messages,
)
from noskew.testing.event_log.suite import EventLogSuite


class BoundsTests(EventLogSuite):
    """Nothing is skipped in silence."""

    def test_bounds(self, log: EventLog) -> None:
        assert log.partitions == PARTITIONS
        before = [log.bounds(p) for p in range(PARTITIONS)]
        assert all(begin == end for begin, end in before)
        last = log.append(1, [b"a", b"b"])
        begin, end = log.bounds(1)
        assert (begin, end) == (before[1][0], last + 1)
        assert [log.bounds(0), log.bounds(2)] == [before[0], before[2]]

    @pytest.mark.parametrize("beyond", [1, 1_000, 1 << 40])
    def test_an_offset_after_the_end_is_lost(self, log: EventLog, beyond: int) -> None:
        log.append(0, [b"a", b"b"])
        begin, end = log.bounds(0)
        with log.reader({0: end}) as reader:
            with pytest.raises(OffsetLostError) as caught:
                log.reader({1: log.bounds(1)[0], 0: end + beyond})
            assert_lost(caught.value, 0, end + beyond, (begin, end))
            with pytest.raises(OffsetLostError):
                reader.assign(0, end + beyond)
            log.append(0, [b"c"])
            assert payloads_of(wait_for_messages(reader)) == [b"c"], "it reads on as before"

    @pytest.mark.parametrize("offset", [-1, -2, -1_000, -1_001])
    def test_a_negative_offset_means_nothing_special(self, log: EventLog, offset: int) -> None:
        log.append(0, [b"a"])
        with pytest.raises(OffsetLostError) as caught:
            log.reader({0: offset})
        assert_lost(caught.value, 0, offset, log.bounds(0))

    def test_removed_messages_are_lost(self, log: EventLog) -> None:
        for number in range(20):
            log.append(0, [b"%d" % number * 100])
        whole = read_all(log, 0)
        self.remove_before(log, 0, whole[10].offset)
        begin, end = log.bounds(0)
        assert whole[0].offset < begin <= whole[10].offset
        assert end == whole[-1].offset + 1
        for lost in {whole[0].offset, begin - 1}:
            with pytest.raises(OffsetLostError, match="removed") as caught:
                log.reader({0: lost})
            assert_lost(caught.value, 0, lost, (begin, end))
        assert read_all(log, 0) == [m for m in whole if m.offset >= begin]

    def test_a_reader_never_skips_what_was_removed(self, log: EventLog) -> None:
        start = log.bounds(0)[0]
        with log.reader({0: start}) as reader:
            reader.pause(0)
            for number in range(20):
                log.append(0, [b"%d" % number * 100])
            whole = read_all(log, 0)
            self.remove_before(log, 0, whole[-1].offset)
            begin, end = log.bounds(0)
            reader.resume(0)
            with pytest.raises(OffsetLostError) as caught:
                wait_for_messages(reader)
            assert_lost(caught.value, 0, start, (begin, end))
            reader.assign(0, begin)
            expected = [m.payload for m in whole if m.offset >= begin]
            assert payloads_of(wait_for_messages(reader, len(expected))) == expected

    def test_a_lost_offset_costs_the_other_partitions_nothing(self, log: EventLog) -> None:
        with log.reader({p: log.bounds(p)[0] for p in range(PARTITIONS)}) as reader:
            reader.pause(1)
            for number in range(20):
                for partition in range(PARTITIONS):
                    log.append(partition, [b"%d" % number * 100])
            self.remove_before(log, 1, read_all(log, 1)[-1].offset)
            reader.resume(1)
            payloads: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
            lost = 0
            while any(len(payloads[p]) < 20 for p in (0, 2)) or not lost:
                try:
                    polled = reader.poll(PATIENCE_S)
                except OffsetLostError as error:
                    lost += 1
                    reader.assign(error.partition, error.begin)
                    continue
                for messages in polled:
                    payloads[messages.partition] += messages.payloads.to_pylist()
            assert payloads[0] == payloads[2] == [b"%d" % number * 100 for number in range(20)]
            assert lost == 1

    def test_an_error_that_is_not_answered_is_told_again(self, log: EventLog) -> None:
        with log.reader({0: log.bounds(0)[0]}) as reader:
            reader.pause(0)
            for number in range(20):
                log.append(0, [b"%d" % number * 100])
            self.remove_before(log, 0, read_all(log, 0)[-1].offset)
            reader.resume(0)
            for _ in range(3):
                with pytest.raises(OffsetLostError):
                    wait_for_messages(reader)
            reader.pause(0)
            assert reader.poll(0.0) == []
            reader.drop(0)
            assert reader.poll(0.0) == []

    @pytest.mark.parametrize("partition", [-1, PARTITIONS, PARTITIONS + 1_000])
    def test_a_partition_that_is_not_there(self, log: EventLog, partition: int) -> None:
        with pytest.raises(InputError, match=f"not {partition}"):
            log.append(partition, [b"a"])
        with pytest.raises(InputError, match=f"not {partition}"):
            log.bounds(partition)
        with pytest.raises(InputError, match=f"not {partition}"):
            log.reader({0: log.bounds(0)[0], partition: 0})

    def test_an_append_of_nothing_is_refused(self, log: EventLog) -> None:
        with pytest.raises(InputError):
            log.append(0, [])
        assert log.bounds(0)[0] == log.bounds(0)[1]
