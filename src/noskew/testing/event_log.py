"""The tests every log passes, for our backends and for yours.

Derive a class, give it an empty log of three partitions and ways to remove its oldest messages
and to make it anew, and run it with pytest::

    class TestMyLog(EventLogTests):
        @pytest.fixture
        def log(self, tmp_path):
            with MyLog(tmp_path, partitions=3) as log:
                yield log

        def opener(self, log): return functools.partial(MyLog, log.path)
        def remove_before(self, log, partition, offset): ...
        def remake(self, log): ...
"""

from __future__ import annotations

import multiprocessing
import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from noskew.errors import InputError, OffsetLostError, StoreError
from noskew.stores.log.base import READ_BYTES, EventLog, LogReader, Messages

PARTITIONS = 3
#: How long a test waits for what must come.
_PATIENCE_S = 60.0
#: More than a log is likely to give out in one portion.
_MANY = 30_000
#: Where a length, a terminator or a text encoding goes wrong.
_ODD = [b"", b"\x00", b"a\x00b", b"\r\n", b"NSL1", b"\xff" * 7, "é".encode(), bytes(range(256))]


class Message(NamedTuple):
    """One message that was read."""

    offset: int
    append_time: int
    payload: bytes | None


class EventLogTests:
    """What :class:`noskew.stores.log.base.EventLog` promises, as tests."""

    #: A payload that does not fit into one portion of a read.
    huge_bytes = READ_BYTES + 1_000
    #: How often a writer is killed.
    kills = 4

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        """An open and empty log of three partitions; close it afterwards."""
        raise NotImplementedError("give the class a fixture named log")

    def opener(self, log: EventLog) -> Callable[[], EventLog]:
        """Opens ``log`` again; it is sent to other processes, so no closure."""
        raise NotImplementedError

    def remove_before(self, log: EventLog, partition: int, offset: int) -> None:
        """Remove the messages before ``offset``, or as many of them as the log can, and one."""
        raise NotImplementedError

    def remake(self, log: EventLog) -> EventLog:
        """Remove the log, which stays open, and open an empty one that was made in its place."""
        raise NotImplementedError

    # --- append and read

    @pytest.mark.parametrize("payload", _ODD)
    def test_a_message_comes_back_as_it_was(self, log: EventLog, payload: bytes) -> None:
        begin = log.bounds(0)[0]
        last = log.append(0, [payload])
        assert [(m.offset, m.payload) for m in read_all(log, 0)] == [(last, payload)]
        assert begin <= last < log.bounds(0)[1]

    def test_messages_come_in_the_order_of_their_append(self, log: EventLog) -> None:
        appends = [[b"a"], [b"b", b"", b"c"], _ODD, [b"d"] * 100]
        lasts = [log.append(0, payloads) for payloads in appends]
        found = read_all(log, 0)
        assert [m.payload for m in found] == [p for payloads in appends for p in payloads]
        assert_ascending([m.offset for m in found])
        ends = np.cumsum([len(payloads) for payloads in appends]) - 1
        assert [found[at].offset for at in ends] == lasts

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
        found = read_all(log, 0)
        assert [m.payload for m in found] == payloads
        assert_ascending([m.offset for m in found])

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
            held = wait_for_messages(reader, 10)
        log.append(0, [b"other" * 1_000] * 10)
        log.close()
        assert payloads_of(held) == [b"kept" * 1_000] * 10

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
            found = wait_for_messages(reader)
            thread.join()
        assert payloads_of(found) == [b"late"]
        assert found[0].partition == 2

    @pytest.mark.parametrize("timeout", [0.0, 0.02])
    def test_a_poll_in_vain_gives_an_empty_list(self, log: EventLog, timeout: float) -> None:
        log.append(0, [b"not read"])
        with log.reader({0: log.bounds(0)[1], 1: log.bounds(1)[0]}) as reader:
            assert reader.poll(timeout) == []
            assert reader.poll(timeout) == []
        with log.reader({}) as nothing:
            assert nothing.poll(timeout) == []

    # --- bounds and what lies outside

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
            found: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
            lost = 0
            while any(len(found[p]) < 20 for p in (0, 2)) or not lost:
                try:
                    polled = reader.poll(_PATIENCE_S)
                except OffsetLostError as error:
                    lost += 1
                    reader.assign(error.partition, error.begin)
                    continue
                for messages in polled:
                    found[messages.partition] += messages.payloads.to_pylist()
            assert found[0] == found[2] == [b"%d" % number * 100 for number in range(20)]
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

    # --- choosing partitions

    def test_partitions_are_independent(self, log: EventLog) -> None:
        expected: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
        with log.reader({p: log.bounds(p)[0] for p in range(PARTITIONS)}) as reader:
            for number in range(60):
                payload = b"%d" % number
                log.append(number % PARTITIONS, [payload])
                expected[number % PARTITIONS].append(payload)
            found: dict[int, list[bytes | None]] = {p: [] for p in range(PARTITIONS)}
            while sum(map(len, found.values())) < 60:
                polled = reader.poll(_PATIENCE_S)
                assert polled, "messages are missing"
                assert len({m.partition for m in polled}) == len(polled), "one item for each"
                for messages in polled:
                    found[messages.partition] += messages.payloads.to_pylist()
        assert found == expected

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

    # --- many at once

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
        context = multiprocessing.get_context("spawn")
        opener = self.opener(log)
        processes = [context.Process(target=append_elsewhere, args=(opener, w)) for w in (1, 2)]
        for process in processes:
            process.start()
        append_numbers(log, 0)
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
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
            found = [m.payload for m in read_all(log, 0)]
            mine = [p for p in found if p is not None and p.startswith(mark)]
            # Of the append under way when it was killed, the first messages may be there.
            assert sure <= len(mine) <= len(expected)
            assert mine == expected[: len(mine)]
            assert b"after %d" % writer in found[-1 - len(burst(writer, acknowledged)) :]

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
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe(duplex=False)
        opener = self.opener(log)
        processes = [context.Process(target=tell_identity, args=(opener, theirs)) for _ in "ab"]
        for process in processes:
            process.start()
        theirs.close()
        with mine:
            assert [mine.recv() for _ in processes] == [log.identity] * 2
        for process in processes:
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

    # --- against a list

    def test_it_behaves_as_a_list(self, log: EventLog) -> None:
        class Machine(_LogBesideLists):
            def __init__(self) -> None:
                super().__init__(log)

        run_state_machine_as_test(
            Machine, settings=settings(deadline=None, max_examples=20, stateful_step_count=25)
        )


class _LogBesideLists(RuleBasedStateMachine):
    """A log and two lists are told the same; they must never be told apart.

    Each run begins at the present ends, so that it needs no new log.
    """

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log
        self.model: list[list[tuple[int, bytes]]] = [[], []]
        self.places = [0, 0]
        self.paused: set[int] = set()
        self.reader = log.reader({p: log.bounds(p)[1] for p in (0, 1)})

    def teardown(self) -> None:
        self.reader.close()

    @rule(
        partition=st.integers(0, 1),
        payloads=st.lists(st.sampled_from(_ODD) | st.binary(max_size=300), min_size=1, max_size=9),
    )
    def append(self, partition: int, payloads: list[bytes]) -> None:
        last = self.log.append(partition, payloads)
        offsets = range(last + 1 - len(payloads), last + 1)
        self.model[partition] += zip(offsets, payloads, strict=True)

    @rule()
    def read(self) -> None:
        waiting = [p for p in (0, 1) if p not in self.paused]
        while any(self.places[p] < len(self.model[p]) for p in waiting):
            polled = self.reader.poll(_PATIENCE_S)
            assert polled, "messages are missing"
            for messages in polled:
                p, at = messages.partition, self.places[messages.partition]
                assert p not in self.paused
                expected = self.model[p][at : at + len(messages)]
                pairs = zip(messages.offsets, messages.payloads.to_pylist(), strict=True)
                assert list(pairs) == expected
                self.places[p] += len(messages)
        assert self.reader.poll(0.0) == []

    @rule(partition=st.integers(0, 1))
    def pause_or_resume(self, partition: int) -> None:
        if partition in self.paused:
            self.reader.resume(partition)
        else:
            self.reader.pause(partition)
        self.paused ^= {partition}

    @rule(partition=st.integers(0, 1), share=st.floats(0, 1))
    def go_elsewhere(self, partition: int, share: float) -> None:
        held = self.model[partition]
        at = int(share * len(held))
        offset = held[at][0] if at < len(held) else self.log.bounds(partition)[1]
        self.reader.assign(partition, offset)
        self.places[partition] = at
        self.paused.discard(partition)

    @invariant()
    def ends_after_the_last_message(self) -> None:
        for partition, held in enumerate(self.model):
            if held:
                assert self.log.bounds(partition)[1] == held[-1][0] + 1


def wait_for_messages(reader: LogReader, at_least: int = 1) -> list[Messages]:
    """Poll until so many messages came."""
    found: list[Messages] = []
    while sum(map(len, found)) < at_least:
        polled = reader.poll(_PATIENCE_S)
        assert polled, f"waited in vain for {at_least} messages, got {sum(map(len, found))}"
        found += [messages for messages in polled if len(messages)]
    return found


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
            polled = reader.poll(_PATIENCE_S)
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
            polled = reader.poll(_PATIENCE_S)
            assert polled, "it neither fails nor gives anything"
            assert payload not in payloads_of(polled)
    except StoreError:
        pass


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
        found = [m.payload for m in read_all(log, partition)]
        here = [w for w in writers if partition in (0, 1 + w % 2)]
        for writer in here:
            mine = [p for p in found if p is not None and p.startswith(b"%d/" % writer)]
            assert mine == [b"%d/%d" % (writer, number) for number in range(_NUMBERS)]
        assert len(found) == len(here) * _NUMBERS


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
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=append_until_killed, args=(opener, writer, theirs))
    process.start()
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


def _poll_old(reader: LogReader) -> None:
    """Poll until it raises; nothing of a log that took the place of this one may come."""
    while True:
        polled = reader.poll(_PATIENCE_S)
        assert polled, "it neither fails nor gives anything"
        assert b"new" not in payloads_of(polled)
