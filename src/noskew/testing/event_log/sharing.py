"""Threads and processes that use one log at the same time."""

from __future__ import annotations

import random
from threading import Thread

from noskew.stores.log.base import EventLog
from noskew.testing import processes
from noskew.testing.event_log.reading import PARTITIONS, read_all
from noskew.testing.event_log.suite import EventLogSuite
from noskew.testing.event_log.writers import (
    append_elsewhere,
    append_numbers,
    assert_all_there,
    burst,
    kill_a_writer,
)


class SharingTests(EventLogSuite):
    """Nothing is lost, and each writer keeps its order."""

    def test_threads_lose_nothing_and_keep_their_order(self, log: EventLog) -> None:
        failures: list[BaseException] = []

        def append(writer: int) -> None:
            try:
                append_numbers(log, writer)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must fail
                failures.append(error)

        threads = [Thread(target=append, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert_all_there(log, range(4))

    def test_threads_may_ask_at_once(self, log: EventLog) -> None:
        expected = [log.append(p, [b"a"] * (p + 1)) + 1 for p in range(PARTITIONS)]
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                for number in range(50):
                    assert log.bounds(number % PARTITIONS)[1] == expected[number % PARTITIONS]
                    assert log.partitions == PARTITIONS
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must fail
                failures.append(error)

        threads = [Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_processes_lose_nothing_and_keep_their_order(self, log: EventLog) -> None:
        opener = self.opener(log)
        started = [processes.start(append_elsewhere, opener, writer) for writer in (1, 2)]
        append_numbers(log, 0)
        for process in started:
            process.join()
        assert [process.exitcode for process in started] == [0, 0]
        assert_all_there(log, range(3))

    def test_a_second_opening_sees_appends_at_once(self, log: EventLog) -> None:
        with self.opener(log)() as other:
            log.append(0, [b"a"])
            assert [m.payload for m in read_all(other, 0)] == [b"a"]
            other.append(0, [b"b"])
            assert [m.payload for m in read_all(log, 0)] == [b"a", b"b"]
            assert other.bounds(0) == log.bounds(0)
        log.append(0, [b"c"])
        assert [m.payload for m in read_all(log, 0)] == [b"a", b"b", b"c"]

    def test_a_killed_writer_leaves_what_it_acknowledged(self, log: EventLog) -> None:
        order = random.Random(self.kills)
        opener = self.opener(log)
        for writer in range(self.kills):
            acknowledged = kill_a_writer(opener, writer, order.randint(1, 40))
            expected = [p for number in range(acknowledged + 1) for p in burst(writer, number)]
            sure = len(expected) - len(burst(writer, acknowledged))
            mark = b"%d/" % writer
            log.append(0, [b"after %d" % writer])
            payloads = [m.payload for m in read_all(log, 0)]
            mine = [p for p in payloads if p is not None and p.startswith(mark)]
            # Of the append under way when it was killed, the first messages may be there.
            assert sure <= len(mine) <= len(expected)
            assert mine == expected[: len(mine)]
            assert b"after %d" % writer in payloads[-1 - len(burst(writer, acknowledged)) :]
