"""LocalLog: a durable log in a directory, for one machine and nothing to install."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

from noskew.clock import Clock, SystemClock
from noskew.errors import (
    ConfigError,
    InputError,
    StoreError,
    StoreUnavailableError,
)
from noskew.stores.log.base import READ_BYTES, EventLog, LogReader, Messages
from noskew.stores.log.local.cursor import Cursor
from noskew.stores.log.local.files import translate
from noskew.stores.log.local.partition import Partition
from noskew.stores.log.local.settings import MOST_PARTITIONS, read, settled

#: Segments are closed at this size; whole segments are what retention removes.
SEGMENT_BYTES = 64 << 20
#: How long a waiting reader sleeps between two looks at the end of its partitions.
_LOOK_EVERY = 0.001
#: A waiting reader hears of the end of its log after so many seconds.
_CHECK_EVERY_S = 1.0


class LocalLog(EventLog):
    """A log of segment files, for any number of processes of one machine.

    Parameters
    ----------
    path
        Its directory, made when absent.
    partitions
        How many to make; an existing log keeps its own (None: one, or those that exist).
    durable
        True: an append returns, and readers see it, once it survives a crash of the machine
        (one sync of the disk for each append). False: it survives the end of the process, by
        kill -9 too; a crash of the machine may lose the last seconds, and the offsets lost
        are not used again.
    retain_bytes, retain_micros
        The oldest segments of a partition are removed when it grows beyond so many bytes, or
        when they were complete so long ago (µs, by ``clock``). It is looked at when a segment
        is full. None: nothing is removed.
    clock
        Gives the append times.

    Notes
    -----
    A local log is no place for a network file system: it relies on ``flock`` and on mapped
    files that processes share.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        partitions: int | None = None,
        durable: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
        retain_bytes: int | None = None,
        retain_micros: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self._refuse(partitions, segment_bytes, retain_bytes, retain_micros)
        self._is_closed = False
        self._open: list[Partition] = []
        try:
            self._settings = settled(self.path, partitions)
            for number in range(self._settings.partitions):
                self._open.append(
                    Partition(
                        self.path / str(number),
                        clock or SystemClock(),
                        durable=durable,
                        segment_bytes=segment_bytes,
                        retain_bytes=retain_bytes,
                        retain_micros=retain_micros,
                    )
                )
            if read(self.path) != self._settings:
                raise StoreUnavailableError(
                    f"the log {self.path} was replaced while it was opened; open it again"
                )
        except OSError as error:
            self.close()
            raise translate(error, self.path) from error
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> str:
        return self._settings.identity

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        if not payloads:
            raise InputError("an append needs at least one message")
        return self._open[self._checked(partition)].append(payloads)

    def bounds(self, partition: int) -> tuple[int, int]:
        return self._open[self._checked(partition)].bounds()

    def reader(self, offsets: Mapping[int, int]) -> LocalReader:
        if self._is_closed:
            raise StoreError(f"the log {self.path} is closed; open it again")
        made = LocalReader(self)
        try:
            for partition, offset in offsets.items():
                made.assign(partition, offset)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        self._is_closed = True
        for partition in self._open:
            partition.close()

    def _refuse(self, partitions: int | None, *sizes: int | None) -> None:
        if partitions is not None and not 1 <= partitions <= MOST_PARTITIONS:
            raise ConfigError(
                f"the log {self.path}: partitions must be 1 to {MOST_PARTITIONS}, got {partitions}"
            )
        if any(size is not None and size < 1 for size in sizes):
            raise ConfigError(
                f"the log {self.path}: segment_bytes, retain_bytes and retain_micros must be "
                f"positive, got {sizes}"
            )

    def _checked(self, partition: int) -> int:
        count = self._settings.partitions
        if not 0 <= partition < count:
            raise InputError(
                f"the log {self.path} has partitions 0 to {count - 1}, not {partition}"
            )
        return partition


class LocalReader(LogReader):
    """Reads a :class:`LocalLog`."""

    def __init__(self, log: LocalLog) -> None:
        self._log = log
        self._cursors: dict[int, Cursor] = {}
        self._failed: dict[int, StoreError | OSError] = {}
        self._never = Event()
        self._is_closed = False

    def poll(self, timeout: float) -> list[Messages]:
        self._refuse_closed()
        now = monotonic()
        until, check_at = now + timeout, now + _CHECK_EVERY_S
        with self._translated():
            while True:
                found = self._look()
                if found:
                    return found
                now = monotonic()
                if now >= min(until, check_at):
                    for cursor in self._cursors.values():
                        cursor.check_present()
                    check_at = now + _CHECK_EVERY_S
                if now >= until:
                    return []
                # Nothing tells of the end of a mapped file: look again after a short sleep.
                self._never.wait(min(until - now, _LOOK_EVERY))

    def assign(self, partition: int, offset: int) -> None:
        self._refuse_closed()
        self._log._checked(partition)
        with self._translated():
            cursor = Cursor(self._log.path / str(partition), partition, offset)
            try:
                self._log._open[partition].check_present()  # else it is another log's
            except BaseException:
                cursor.close()
                raise
        self.drop(partition)
        self._cursors[partition] = cursor

    def drop(self, partition: int) -> None:
        cursor = self._cursors.pop(partition, None)
        self._failed.pop(partition, None)
        if cursor is not None:
            cursor.close()

    def pause(self, partition: int) -> None:
        self._read(partition).paused = True

    def resume(self, partition: int) -> None:
        self._read(partition).paused = False

    def close(self) -> None:
        self._is_closed = True
        for partition in list(self._cursors):
            self.drop(partition)

    def _look(self) -> list[Messages]:
        """What is there now, of every partition that is not paused."""
        for partition in list(self._failed):
            if not self._cursors[partition].paused:
                raise self._failed.pop(partition)
        found: list[Messages] = []
        for partition, cursor in self._cursors.items():
            if cursor.paused:
                continue
            try:
                messages = cursor.read(READ_BYTES)
            except (StoreError, OSError) as error:
                if not found:
                    raise
                self._failed[partition] = error  # what the others gave is not thrown away
            else:
                found += [] if messages is None else [messages]
        return found

    def _read(self, partition: int) -> Cursor:
        cursor = self._cursors.get(partition)
        if cursor is None:
            raise InputError(
                f"partition {partition} is not read; those that are: {sorted(self._cursors)}"
            )
        return cursor

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"this reader of the log {self._log.path} is closed")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise translate(error, self._log.path) from error
