from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from noskew.clock import FixedClock
from noskew.errors import (
    ConfigError,
    CorruptDataError,
    LimitError,
    OffsetLostError,
    StoreConfigError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.log.local import LocalLog
from noskew.stores.log.local import frames as frame_codec
from noskew.stores.log.local import partition as partition_module
from noskew.stores.log.local import segments as segment_files
from noskew.stores.log.local.head import Head
from noskew.testing.event_log import (
    PARTITIONS,
    EventLogTests,
    payloads_of,
    read_all,
    wait_for_messages,
)


@pytest.mark.conformance
class TestLocalLog(EventLogTests):
    """The smallest segments there can be, so that nearly every append begins another."""

    options: ClassVar[dict[str, int | bool]] = {"segment_bytes": 1_000}

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LocalLog]:
        with LocalLog(tmp_path / "log", partitions=PARTITIONS, **self.options) as log:
            yield log

    def opener(self, log):
        return functools.partial(LocalLog, log.path, **self.options)

    def remove_before(self, log, partition, offset):
        directory = log.path / str(partition)
        found = segment_files.bases(directory)
        begin = max(b for b in found if b <= offset)
        for base in found:
            if base < begin:
                segment_files.path_of(directory, base).unlink()

    def remake(self, log):
        shutil.rmtree(log.path)
        return LocalLog(log.path, partitions=PARTITIONS, **self.options)


class TestLocalLogNotDurable(TestLocalLog):
    options: ClassVar[dict[str, int | bool]] = {"segment_bytes": 1_500, "durable": False}


def segments(directory: Path) -> list[Path]:
    return [segment_files.path_of(directory / "0", b) for b in segment_files.bases(directory / "0")]


def payloads(log: LocalLog) -> list[bytes | None]:
    return [m.payload for m in read_all(log, 0)]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestKilledWriter:
    """What a writer may leave behind that was killed between any two steps."""

    @pytest.mark.parametrize("kept", [1, 4, 31, 32, 33, 40, -1])
    @pytest.mark.parametrize("is_open", [True, False])
    def test_a_torn_frame_is_cut_off(self, tmp_path, kept, is_open):
        log = LocalLog(tmp_path)
        log.append(0, [b"a"])
        frame = frame_codec.encode_frame(1, 5, [b"torn" * 10])
        with segments(tmp_path)[0].open("ab") as file:
            file.write(frame[:kept])
        if not is_open:
            log.close()
            log = LocalLog(tmp_path)
        assert payloads(log) == [b"a"]
        assert log.bounds(0) == (0, 1)
        assert log.append(0, [b"b", b"c"]) == 2
        assert payloads(log) == [b"a", b"b", b"c"]
        log.close()

    @pytest.mark.parametrize("durable", [True, False])
    def test_a_whole_frame_that_was_not_published_is_kept(self, tmp_path, durable):
        with LocalLog(tmp_path, durable=durable) as log:
            log.append(0, [b"a"])
            with segments(tmp_path)[0].open("ab") as file:
                file.write(frame_codec.encode_frame(1, 5, [b"x", b"y"]))
            assert payloads(log) == [b"a"]
            assert log.append(0, [b"b"]) == 3
            assert payloads(log) == [b"a", b"x", b"y", b"b"]

    def test_a_segment_that_was_begun_is_gone_on_with(self, tmp_path):
        with LocalLog(tmp_path) as log:
            log.append(0, [b"a"])
            segment_files.path_of(tmp_path / "0", 1).touch()
            assert payloads(log) == [b"a"]
            assert log.append(0, [b"b"]) == 1
            assert [p.stat().st_size > 0 for p in segments(tmp_path)] == [True, True]
            assert payloads(log) == [b"a", b"b"]

    def test_a_log_that_was_begun_is_gone_on_with(self, tmp_path):
        (tmp_path / "0").mkdir()
        (tmp_path / ".log.json.abc").write_bytes(b"{")
        with LocalLog(tmp_path, partitions=2) as log:
            assert log.append(1, [b"a"]) == 0

    def test_a_reader_waits_through_the_repair(self, tmp_path):
        with LocalLog(tmp_path) as log:
            log.append(0, [b"a"])
            with log.reader({0: 1}) as reader:
                with segments(tmp_path)[0].open("ab") as file:
                    file.write(frame_codec.encode_frame(1, 5, [bytes(1_000)])[:500])
                assert reader.poll(0) == []
                log.append(0, [b"b"])
                assert payloads_of(wait_for_messages(reader)) == [b"b"]


def read_on(log: LocalLog, place: int, end: int) -> tuple[list[bytes | None], bool]:
    """What is given out from a place on, and whether that went on to the end."""
    found: list[bytes | None] = []
    with log.reader({0: place}) as reader:
        try:
            while place + len(found) < end:
                found += payloads_of(reader.poll(0))
        except CorruptDataError:
            return found, False
    return found, True


class TestDamage:
    @pytest.fixture
    def directory(self, tmp_path):
        with LocalLog(tmp_path, segment_bytes=1_000) as log:
            for number in range(30):
                log.append(0, [b"%d" % number * 40] * 2)
        assert len(segments(tmp_path)) > 3
        return tmp_path

    @pytest.mark.parametrize("seed", range(40))
    def test_a_flipped_bit_gives_no_wrong_bytes(self, directory, seed):
        order = Random(seed)
        path = order.choice(segments(directory))
        content = bytearray(path.read_bytes())
        at = order.choice([order.randrange(len(content)), order.randrange(32)])
        content[at] ^= 1 << order.randrange(8)
        path.write_bytes(content)
        expected = [b"%d" % number * 40 for number in range(30) for _ in range(2)]
        with LocalLog(directory, segment_bytes=1_000) as log:
            for start in (0, 7, 31, 59):
                found, is_whole = read_on(log, start, 60)
                assert found == expected[start : start + len(found)]
                if start == 0:  # what stands before the damage is given out
                    before = int(path.stem)
                    assert before <= len(found)
                    assert not is_whole

    @pytest.mark.parametrize("is_open", [True, False])
    def test_an_append_destroys_nothing_after_the_damage(self, directory, is_open):
        log = LocalLog(directory, segment_bytes=1_000)
        if is_open:
            log.append(0, [b"x"])
        path = segments(directory)[-1]
        content = bytearray(path.read_bytes())
        content[40] ^= 1
        path.write_bytes(content)
        log.close()
        with LocalLog(directory) as again, pytest.raises(CorruptDataError, match="nothing was"):
            again.append(0, [b"y"])
        assert path.read_bytes() == content

    @pytest.mark.parametrize("last", [True, False])
    def test_a_segment_cut_between_frames_is_noticed(self, directory, last):
        path = segments(directory)[-1 if last else 1]
        view = memoryview(path.read_bytes())
        header = frame_codec.read_header(view)
        os.truncate(path, header.size)
        with LocalLog(directory) as log, pytest.raises(CorruptDataError):
            read_all(log, 0)
        if last:
            with LocalLog(directory) as log, pytest.raises(CorruptDataError):
                log.append(0, [b"a"])

    def test_a_missing_segment_is_noticed(self, directory):
        segments(directory)[2].unlink()
        with LocalLog(directory) as log, pytest.raises(CorruptDataError):
            read_all(log, 0)

    @pytest.mark.parametrize("content", [b"", b"x", bytes(4096), b"NSLHEAD1", b"x" * 4096])
    def test_a_damaged_head_is_refused(self, directory, content):
        (directory / "0" / "head").write_bytes(content)
        with pytest.raises(CorruptDataError, match="head"):
            LocalLog(directory)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b'{"format": 1}',
            b'{"format": 2, "partitions": 1}',
            b'{"format": 1, "partitions": 0}',
            b'{"format": 1, "partitions": 1000000}',
            b'{"format": 1, "partitions": 1, "identity": ""}',
            b'{"format": 1, "partitions": 1, "identity": "a b"}',
        ],
    )
    def test_damaged_settings_are_refused(self, directory, content):
        (directory / "log.json").write_bytes(content)
        with pytest.raises(CorruptDataError, match=r"log\.json"):
            LocalLog(directory)


class TestRemovedLog:
    def test_nothing_is_acknowledged_into_the_void(self, tmp_path):
        with LocalLog(tmp_path / "log") as log, log.reader({0: 0}) as reader:
            log.append(0, [b"a"])
            shutil.rmtree(log.path)
            with pytest.raises(StoreUnavailableError, match="removed"):
                log.append(0, [b"b"])
            with pytest.raises(StoreUnavailableError):
                log.bounds(0)
            with pytest.raises(StoreUnavailableError):
                wait_for_messages(reader)
            with LocalLog(log.path) as new:
                assert new.append(0, [b"new"]) == 0
            with pytest.raises(StoreUnavailableError, match="removed"):
                log.append(0, [b"b"])

    def test_a_waiting_reader_hears_of_it(self, tmp_path):
        with LocalLog(tmp_path / "log") as log, log.reader({0: 0}) as reader:
            shutil.rmtree(log.path)
            with pytest.raises(StoreUnavailableError, match="removed"):
                reader.poll(0.01)

    @pytest.mark.parametrize("is_replaced", [True, False])
    def test_a_log_that_was_moved_away_is_not_there(self, tmp_path, is_replaced):
        with LocalLog(tmp_path / "log", segment_bytes=100) as log, log.reader({0: 0}) as reader:
            log.append(0, [bytes(90)])
            (tmp_path / "log").rename(tmp_path / "moved")
            if is_replaced:
                with LocalLog(tmp_path / "log") as new:
                    new.append(0, [b"new"])
            with pytest.raises(StoreUnavailableError):
                log.append(0, [b"a"])
            with pytest.raises(StoreUnavailableError):
                log.bounds(0)
            with pytest.raises(StoreUnavailableError):
                reader.poll(0)
        with LocalLog(tmp_path / "moved") as moved:
            assert moved.identity == log.identity
            assert payloads(moved) == [bytes(90)]

    def test_one_that_is_replaced_while_it_is_opened_is_refused(self, tmp_path, monkeypatch):
        def replace(directory: Path) -> None:
            monkeypatch.undo()
            shutil.rmtree(directory.parent)
            LocalLog(directory.parent, partitions=2).close()
            create(directory)

        LocalLog(tmp_path / "log", partitions=2).close()
        create = Head.create
        monkeypatch.setattr(Head, "create", replace)
        with pytest.raises(StoreUnavailableError, match="replaced while it was opened"):
            LocalLog(tmp_path / "log")


class TestIdentity:
    """A log of before there were identities is given one, once."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        with LocalLog(tmp_path / "log", partitions=2) as log:
            log.append(0, [b"a"])
        (tmp_path / "log" / "log.json").write_bytes(b'{"format":1,"partitions":2}')
        return tmp_path / "log"

    def test_it_keeps_what_it_was_given(self, old):
        with LocalLog(old) as log:
            first = log.identity
        assert first
        with LocalLog(old, partitions=2) as log:
            assert log.identity == first
            assert payloads(log) == [b"a"]
        assert not list(old.rglob(".*"))

    @pytest.mark.parametrize("seed", range(5))
    def test_many_processes_at_once_give_it_the_same(self, old, seed):
        context = multiprocessing.get_context("fork")
        barrier, told = context.Barrier(4), context.SimpleQueue()
        processes = [
            context.Process(target=open_and_tell, args=(old, barrier, told)) for _ in range(4)
        ]
        for process in processes:
            process.start()
        identities = {told.get() for _ in processes}
        for process in processes:
            process.join()
        with LocalLog(old) as log:
            assert identities == {log.identity}

    def test_a_killed_giver_leaves_the_log_as_it_was(self, old, monkeypatch):
        def die(made: Path, path: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            LocalLog(old)
        monkeypatch.undo()
        with LocalLog(old) as log:
            assert log.identity
            assert payloads(log) == [b"a"]


def open_and_tell(path: Path, barrier: threading.Barrier, told: SimpleQueue[str]) -> None:
    barrier.wait()
    with LocalLog(path) as log:
        told.put(log.identity)


class TestRetention:
    def test_by_size(self, tmp_path):
        with LocalLog(tmp_path, segment_bytes=1_000, retain_bytes=3_000) as log:
            for number in range(100):
                log.append(0, [b"%03d" % number * 100])
            sizes = [p.stat().st_size for p in segments(tmp_path)]
            assert 1_000 < sum(sizes) <= 4_000
            begin, end = log.bounds(0)
            assert end == 100
            assert begin > 80
            assert payloads(log) == [b"%03d" % n * 100 for n in range(begin, 100)]

    def test_by_age(self, tmp_path):
        clock = FixedClock("2024-01-01T00:00:00Z")
        with LocalLog(tmp_path, segment_bytes=1_000, retain_micros=10_000_000, clock=clock) as log:
            for _ in range(50):
                log.append(0, [bytes(900)])
                clock.advance("1s")
            begin, end = log.bounds(0)
            assert end == 50
            kept = [m.append_time for m in read_all(log, 0)]
            assert kept == [
                FixedClock("2024-01-01T00:00:00Z").now() + n * 1_000_000 for n in range(begin, 50)
            ]
            # The one that was complete 10 s ago stays; the next roll removes it.
            assert 38 <= begin <= 40

    def test_without_it_nothing_is_removed(self, tmp_path):
        with LocalLog(tmp_path, segment_bytes=100) as log:
            for _ in range(50):
                log.append(0, [bytes(90)])
            assert log.bounds(0) == (0, 50)

    def test_a_reader_finishes_the_segment_that_it_has_open(self, tmp_path):
        with LocalLog(tmp_path, segment_bytes=1_000) as log:
            for number in range(9):
                log.append(0, [b"%d" % number * 300])
            with log.reader({0: 0}) as reader:
                first = payloads_of(reader.poll(0))
                assert first == [b"%d" % n * 300 for n in range(len(first))]
                assert 0 < len(first) < 9
                for path in segments(tmp_path)[:-1]:
                    path.unlink()
                with pytest.raises(OffsetLostError, match="removed") as caught:
                    reader.poll(0)
                assert caught.value.offset == len(first)
                assert caught.value.begin == log.bounds(0)[0]

    def test_readers_beside_it_never_skip(self, tmp_path):
        """Rolling, removing and reading at once: all is read, or said to be lost."""
        with LocalLog(tmp_path, segment_bytes=2_000, retain_bytes=5_000, durable=False) as log:
            done = threading.Event()
            failures: list[BaseException] = []
            lost: list[tuple[int, int, int]] = []

            def write() -> None:
                for number in range(3_000):
                    log.append(0, [b"%d" % number * 20])
                done.set()

            def read() -> None:
                try:
                    place = 0
                    reader = log.reader({0: 0})
                    while place < 3_000:
                        try:
                            for messages in reader.poll(0.001):
                                assert messages.offsets[0] == place
                                expected = range(place, place + len(messages))
                                got = messages.payloads.to_pylist()
                                assert got == [b"%d" % n * 20 for n in expected]
                                place = messages.next_offset
                        except OffsetLostError as error:
                            lost.append((place, error.offset, error.begin))
                            place = error.begin
                            try:
                                reader.assign(0, place)
                            except OffsetLostError as again:
                                place = again.begin
                    reader.close()
                except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails
                    failures.append(error)

            threads = [threading.Thread(target=read) for _ in range(2)]
            threads.append(threading.Thread(target=write))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            assert done.is_set()
            assert all(place == asked < begin for place, asked, begin in lost)

    def test_bounds_beside_another_process_that_removes(self, tmp_path):
        """They only grow, what they hold is there, and a reader that begins there misses none."""
        options = {"segment_bytes": 1_000, "retain_bytes": 3_000, "durable": False}
        context = multiprocessing.get_context("fork")
        with LocalLog(tmp_path, **options) as log:
            writer = context.Process(target=append_and_remove, args=(tmp_path, options))
            writer.start()
            last, found, lost = (0, 0), 0, []
            while last[1] < _REMOVED:
                begin, end = log.bounds(0)
                assert last[0] <= begin <= end
                assert end >= last[1]
                last = (begin, end)
                try:
                    with log.reader({0: begin}) as reader:
                        for messages in reader.poll(0):
                            assert messages.offsets[0] == begin
                            expected = [b"%d" % n * 20 for n in messages.offsets]
                            assert messages.payloads.to_pylist() == expected
                            found += 1
                except OffsetLostError as error:
                    lost.append((begin, error.begin))
            writer.join()
            assert writer.exitcode == 0
            assert all(asked < begin for asked, begin in lost)
            assert found > 0
            assert last[0] > _REMOVED - 200


#: How many messages a process appends that removes the first ones.
_REMOVED = 2_000


def append_and_remove(path: Path, options: dict[str, int | bool]) -> None:
    with LocalLog(path, **options) as log:
        for number in range(_REMOVED):
            log.append(0, [b"%d" % number * 20])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "noskew-test", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("segment_bytes", [20_000, 1 << 20])
def test_a_full_disk_loses_nothing(small_disk, segment_bytes):
    (small_disk / "ballast").write_bytes(bytes(200_000))
    with LocalLog(small_disk / "log", segment_bytes=segment_bytes) as log:
        written: list[bytes] = []

        def fill() -> None:
            for number in range(1_000):
                log.append(0, [b"%04d" % number * 1_000])
                written.append(b"%04d" % number * 1_000)

        for _ in range(2):
            with pytest.raises(StoreFullError, match="no space left"):
                fill()
            assert len(written) > 100
            assert payloads(log) == written
        with LocalLog(log.path) as other, pytest.raises(StoreFullError):
            other.append(0, [bytes(100_000)])
        (small_disk / "ballast").unlink()
        log.append(0, [b"again"])
        assert payloads(log) == [*written, b"again"]


def test_a_log_that_finds_no_space_to_begin_is_begun_later(small_disk):
    ballast = small_disk / "ballast"
    fill = ["dd", "if=/dev/zero", f"of={ballast}", "bs=4096"]
    assert subprocess.run(fill, capture_output=True, check=False).returncode != 0
    with pytest.raises(StoreFullError):
        LocalLog(small_disk / "log")
    ballast.unlink()
    with LocalLog(small_disk / "log", partitions=2) as log:
        assert log.append(1, [b"a"]) == 0


class TestNewBoot:
    """A crash of the machine, told from the kill of a process by the identity of the boot."""

    @pytest.fixture
    def reboot(self, monkeypatch):
        boots = iter(range(1_000))

        def reboot() -> None:
            name = f"boot {next(boots)}"
            monkeypatch.setattr(partition_module, "boot_id", lambda: name)

        reboot()
        return reboot

    def test_offsets_that_were_lost_are_not_used_again(self, tmp_path, reboot):
        with LocalLog(tmp_path, durable=False) as log:
            for number in range(10):
                log.append(0, [b"%d" % number])
        # The head was written back, and of the messages only some, with damage at the end.
        path = segments(tmp_path)[-1]
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 7 // 10] + bytes(50))
        reboot()
        with LocalLog(tmp_path, durable=False) as log:
            begin, end = log.bounds(0)
            assert begin == 0
            assert end > 1 << 32
            with log.reader({0: 0}) as reader, log.reader({0: 10}) as ahead:
                kept = payloads_of(wait_for_messages(reader, 6))
                assert kept == [b"%d" % n for n in range(len(kept))]
                assert log.append(0, [b"new"]) == end
                assert payloads_of(wait_for_messages(reader)) == [b"new"]
                assert payloads_of(wait_for_messages(ahead)) == [b"new"]
            assert payloads(log) == [*kept, b"new"]

    def test_readers_reach_the_end_without_a_message(self, tmp_path, reboot):
        with LocalLog(tmp_path, durable=False) as log:
            log.append(0, [b"a"])
        reboot()
        with LocalLog(tmp_path, durable=False) as log:
            end = log.bounds(0)[1]
            with log.reader({0: 1}) as reader:
                (nothing,) = reader.poll(0)
                assert len(nothing) == 0
                assert nothing.next_offset == end
                assert reader.poll(0) == []
            assert payloads(log) == [b"a"]

    def test_a_head_that_was_not_written_back(self, tmp_path, reboot):
        """Durable appends need no head: it may be as old as it was when the boot began."""
        with LocalLog(tmp_path) as log:
            log.append(0, [b"a"])
            head = (tmp_path / "0" / "head").read_bytes()
            log.append(0, [b"b"])
        (tmp_path / "0" / "head").write_bytes(head)
        reboot()
        with LocalLog(tmp_path) as log:
            assert log.bounds(0) == (0, 2)
            assert payloads(log) == [b"a", b"b"]
            assert log.append(0, [b"c"]) == 2

    def test_durable_offsets_go_on_without_a_jump(self, tmp_path, reboot):
        for number in range(3):
            with LocalLog(tmp_path) as log:
                assert log.append(0, [b"a"]) == number
            reboot()

    def test_it_is_the_last_boot_that_counts_and_not_the_next_opener(self, tmp_path, reboot):
        with LocalLog(tmp_path, durable=True) as log:
            log.append(0, [b"a"])
        with LocalLog(tmp_path, durable=False) as log:
            log.append(0, [b"b"])
        os.truncate(segments(tmp_path)[0], segments(tmp_path)[0].stat().st_size - 1)
        reboot()
        with LocalLog(tmp_path, durable=True) as log:
            assert log.append(0, [b"c"]) > 1 << 32
            assert payloads(log) == [b"a", b"c"]
        reboot()
        with LocalLog(tmp_path, durable=True) as log:
            end = log.bounds(0)[1]
            assert log.append(0, [b"d"]) == end < 1 << 33

    def test_a_lost_acknowledgement_of_a_durable_log_is_damage(self, tmp_path, reboot):
        with LocalLog(tmp_path) as log:
            log.append(0, [b"a"])
            log.append(0, [b"b"])
        os.truncate(segments(tmp_path)[0], segments(tmp_path)[0].stat().st_size - 1)
        reboot()
        with pytest.raises(CorruptDataError, match="messages 1 to 1"):
            LocalLog(tmp_path)

    def test_many_crashes(self, tmp_path, reboot):
        order = Random(5)
        given: dict[int, bytes] = {}
        for boot in range(12):
            with LocalLog(tmp_path, durable=False, segment_bytes=300) as log:
                for number in range(order.randint(0, 5)):
                    payload = b"%d/%d" % (boot, number) * 5
                    offset = log.append(0, [payload])
                    assert offset not in given
                    given[offset] = payload
                found = {m.offset: m.payload for m in read_all(log, 0)}
                assert found.items() <= given.items()
            last = segments(tmp_path)[-1]
            os.truncate(last, order.randint(0, last.stat().st_size))
            reboot()


class TestProcesses:
    @pytest.mark.parametrize("seed", range(3))
    def test_two_that_make_the_log_at_once(self, tmp_path, seed):
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(3)
        processes = [
            context.Process(target=make_and_append, args=(tmp_path / "log", barrier, n))
            for n in range(3)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [p.exitcode for p in processes] == [0, 0, 0]
        with LocalLog(tmp_path / "log") as log:
            assert log.partitions == 2
            assert sorted(payloads(log)) == [b"0", b"1", b"2"]
            assert log.bounds(0) == (0, 3)
        assert not list((tmp_path / "log").rglob(".*"))

    def test_a_forked_child_has_a_lock_of_its_own(self, tmp_path):
        with LocalLog(tmp_path, durable=False, segment_bytes=2_000) as log:
            log.append(0, [b"before"])
            context = multiprocessing.get_context("fork")
            children = [
                context.Process(target=append_many, args=(log, b"%d" % n)) for n in range(2)
            ]
            for child in children:
                child.start()
            append_many(log, b"parent")
            for child in children:
                child.join()
            assert [child.exitcode for child in children] == [0, 0]
            found = payloads(log)
            assert len(found) == 1 + 3 * 500
            for writer in (b"0", b"1", b"parent"):
                mine = [p for p in found if p.startswith(writer + b"/")]
                assert mine == [writer + b"/%d" % n for n in range(500)]

    def test_a_fork_while_a_thread_appends(self, tmp_path):
        with LocalLog(tmp_path, durable=False) as log:
            stop = threading.Event()

            def append() -> None:
                while not stop.is_set():
                    log.append(0, [b"thread"])

            thread = threading.Thread(target=append)
            thread.start()
            try:
                for _ in range(20):
                    child = os.fork()
                    if child == 0:
                        code = 1
                        try:
                            log.append(0, [b"child"])
                            code = 0
                        finally:
                            os._exit(code)
                    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            finally:
                stop.set()
                thread.join()
            assert payloads(log).count(b"child") == 20


def make_and_append(path: Path, barrier: threading.Barrier, number: int) -> None:
    barrier.wait()
    with LocalLog(path, partitions=2) as log:
        log.append(0, [b"%d" % number])


def append_many(log: LocalLog, writer: bytes) -> None:
    for number in range(500):
        log.append(0, [writer + b"/%d" % number])


class TestOpening:
    def test_another_number_of_partitions_is_refused(self, tmp_path):
        LocalLog(tmp_path, partitions=3).close()
        with pytest.raises(StoreConfigError, match="has 3 partitions, not 4"):
            LocalLog(tmp_path, partitions=4)
        with LocalLog(tmp_path) as log:
            assert log.partitions == 3

    @pytest.mark.parametrize(
        "options",
        [
            {"partitions": 0},
            {"partitions": 1_025},
            {"segment_bytes": 0},
            {"retain_bytes": 0},
            {"retain_micros": -1},
        ],
    )
    def test_options_outside_their_range_are_refused(self, tmp_path, options):
        with pytest.raises(ConfigError):
            LocalLog(tmp_path / "log", **options)
        assert not (tmp_path / "log").exists()

    def test_a_path_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(StoreUnavailableError, match="file"):
            LocalLog(tmp_path / "file")

    def test_files_are_closed(self, tmp_path):
        def use() -> None:
            with (
                LocalLog(tmp_path / "log", partitions=2, segment_bytes=100) as log,
                log.reader({0: log.bounds(0)[0], 1: 0}) as reader,
            ):
                for _ in range(5):
                    log.append(0, [bytes(100)])
                wait_for_messages(reader, 5)
                with pytest.raises(OffsetLostError):
                    reader.assign(0, -1)
                with pytest.raises(OffsetLostError):
                    log.reader({0: 0, 1: 99})
            (tmp_path / "log" / "1" / "head").write_bytes(b"")
            with pytest.raises(CorruptDataError):
                LocalLog(tmp_path / "log")
            shutil.rmtree(tmp_path / "log")

        use()
        before = open_files()
        use()
        assert open_files() == before

    def test_an_append_beyond_the_largest_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(frame_codec, "MAX_BODY_BYTES", 1_000)
        with LocalLog(tmp_path) as log:
            with pytest.raises(LimitError, match="split it"):
                log.append(0, [bytes(600)] * 2)
            assert log.append(0, [bytes(600)]) == 0

    def test_the_format_is_as_documented(self, tmp_path):
        """Read here by hand: a change would make every log unreadable."""
        with LocalLog(tmp_path, clock=FixedClock(1_234_567)) as log:
            log.append(0, [b"skipped"])
            log.append(0, [b"ab", b"", b"c"])
        content = segments(tmp_path)[0].read_bytes()
        frame = content[32 + 4 + 7 :]
        assert frame[:4] == b"NSL1"
        assert struct.unpack_from("<qqII", frame, 8) == (1, 1_234_567, 3, 15)
        assert struct.unpack_from("<3I", frame, 32) == (2, 0, 1)
        assert frame[44:] == b"abc"
