"""Opening and closing a log, and which log it is."""

from __future__ import annotations

import re

import pytest

from noskew.errors import StoreError
from noskew.stores.log.base import EventLog, LogReader
from noskew.testing import processes
from noskew.testing.event_log.reading import (
    PARTITIONS,
    PATIENCE_S,
    assert_fails_before,
    payloads_of,
    read_all,
)
from noskew.testing.event_log.suite import EventLogSuite
from noskew.testing.event_log.writers import tell_identity


class LifetimeTests(EventLogSuite):
    """A log outlives its objects, and is not taken for another."""

    # --- opening and closing

    def test_messages_outlive_the_log_object(self, log: EventLog) -> None:
        log.append(0, [b"a", b"b"])
        before = read_all(log, 0)
        opener = self.opener(log)
        log.close()
        with opener() as again:
            assert read_all(again, 0) == before
            assert again.partitions == PARTITIONS
            last = again.append(0, [b"c"])
            assert last > before[-1].offset
            assert [m.payload for m in read_all(again, 0)] == [b"a", b"b", b"c"]

    def test_a_closed_log_refuses_everything(self, log: EventLog) -> None:
        log.append(0, [b"a"])
        log.close()
        log.close()
        with pytest.raises(StoreError):
            log.append(0, [b"b"])
        with pytest.raises(StoreError):
            log.bounds(0)
        with pytest.raises(StoreError):
            log.reader({0: 0})

    def test_a_closed_reader_refuses_to_poll(self, log: EventLog) -> None:
        log.append(0, [b"a"])
        reader = log.reader({0: log.bounds(0)[0]})
        reader.close()
        reader.close()
        with pytest.raises(StoreError):
            reader.poll(0.0)
        with pytest.raises(StoreError):
            reader.assign(0, log.bounds(0)[0])
        assert len(read_all(log, 0)) == 1, "the log is still open"

    # --- which log it is

    def test_an_identity_lasts(self, log: EventLog) -> None:
        first = log.identity
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", first)
        opener = self.opener(log)
        log.append(0, [b"a"])
        with opener() as other:
            assert other.identity == log.identity == first
        log.close()
        with opener() as again:
            assert again.identity == first

    def test_processes_agree_on_the_identity(self, log: EventLog) -> None:
        mine, theirs = processes.clean_context().Pipe(duplex=False)
        opener = self.opener(log)
        started = [processes.start(tell_identity, opener, theirs) for _ in "ab"]
        theirs.close()
        with mine:
            assert [mine.recv() for _ in started] == [log.identity] * 2
        for process in started:
            process.join()

    def test_a_log_that_was_made_anew_has_another_identity(self, log: EventLog) -> None:
        first = log.identity
        with self.remake(log) as new, self.opener(log)() as again:
            assert new.identity == again.identity != first

    @pytest.mark.parametrize("start", [0, 1, 3])
    def test_a_log_that_was_made_anew_is_not_taken_for_the_old_one(
        self, log: EventLog, start: int
    ) -> None:
        begin = log.append(0, [b"old"] * 3) - 2
        with log.reader({0: begin + start}) as reader, self.remake(log) as new:
            new.append(0, [b"new"] * 10)
            for _ in range(2):
                with pytest.raises(StoreError):
                    _poll_old(reader)
            with pytest.raises(StoreError):
                log.bounds(0)
            with pytest.raises(StoreError):
                log.reader({0: new.bounds(0)[0]})
            assert [m.payload for m in read_all(new, 0)] == [b"new"] * 10

    def test_a_waiting_reader_does_not_go_on_in_a_log_that_was_made_anew(
        self, log: EventLog
    ) -> None:
        with log.reader({1: log.bounds(1)[0]}) as reader:
            assert reader.poll(0.02) == []
            with self.remake(log) as new:
                new.append(1, [b"new"] * 10)
                assert_fails_before(reader, b"new")


def _poll_old(reader: LogReader) -> None:
    """Poll until it raises; nothing of a log that took the place of this one may come."""
    while True:
        polled = reader.poll(PATIENCE_S)
        assert polled, "it neither fails nor gives anything"
        assert b"new" not in payloads_of(polled)
