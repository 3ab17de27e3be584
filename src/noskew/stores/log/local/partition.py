"""One partition of the local log: appends under a lock that spans processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from threading import Lock
from weakref import WeakSet

from noskew.clock import Clock
from noskew.errors import CorruptDataError, StoreError, StoreUnavailableError
from noskew.stores.boot import boot_id
from noskew.stores.log.local import segments
from noskew.stores.log.local.cursor import bounds
from noskew.stores.log.local.files import sync_directory, translate
from noskew.stores.log.local.frames import encode_frame
from noskew.stores.log.local.head import Head
from noskew.stores.log.local.segments import Place


class Partition:
    """The files of a partition, open for appending.

    Any number of processes and threads may append: the lock is a ``flock`` on a file of its
    own, which the kernel lets go of when a process is killed. Whoever holds it next finds out
    how far the frames are whole, cuts off what a killed writer left of the last one, and goes
    on from there.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        durable: bool,
        segment_bytes: int,
        retain_bytes: int | None,
        retain_micros: int | None,
    ) -> None:
        self._directory, self._clock, self._durable = directory, clock, durable
        self._segment_bytes = segment_bytes
        self._retain_bytes, self._retain_micros = retain_bytes, retain_micros
        Head.create(directory)
        self._mutex = Lock()
        self._segment, self._base = -1, -1
        self._place = Place(0, 0)
        self._head = Head(directory, writable=True)
        self._lock = -1
        try:
            self._lock = self._open_lock()
            if self._head.boot not in (b"", boot_id().encode()):
                with self._locked():
                    self._catch_up()  # before anybody reads up to an end that did not last
        except BaseException:
            self.close()
            raise
        _OPEN.add(self)

    def append(self, payloads: Sequence[bytes]) -> int:
        """See :meth:`noskew.stores.log.base.EventLog.append`."""
        with self._locked():
            self._catch_up()
            frame = encode_frame(self._place.end, self._clock.now(), payloads)
            if self._place.position and self._place.position + len(frame) > self._segment_bytes:
                self._roll()
            if not (self._durable or self._head.unsynced):
                self._head.unsynced = True
                self._head.sync()
            self._write(frame)
            self._place = Place(self._place.position + len(frame), self._place.end + len(payloads))
            self._head.end = self._place.end
            return self._place.end - 1

    def bounds(self) -> tuple[int, int]:
        """See :meth:`noskew.stores.log.base.EventLog.bounds`."""
        with self._translated(), self._mutex:
            self._refuse_closed()
            ends = bounds(self._directory, self._head)
            self._refuse_closed()  # another log's segments may stand there since
            return ends

    def check_present(self) -> None:
        """Raise StoreError if it is closed, or is not the one at its path any more."""
        with self._mutex:
            self._refuse_closed()

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        with self._mutex:
            self._close_segment()
            self._head.close()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def reopen_after_fork(self) -> None:
        """Give a forked child a lock of its own: the parent's counts as held by both."""
        self._mutex = Lock()  # another thread of the parent may have held it
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            with suppress(OSError):  # then it is as if closed
                self._lock = self._open_lock()

    def _open_lock(self) -> int:
        return os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)

    def _refuse_closed(self) -> None:
        if self._lock < 0:
            raise StoreError(f"the log {self._directory.parent} is closed; open it again")
        if self._head.is_removed:
            raise StoreUnavailableError(
                f"the log {self._directory.parent} was removed; open it again to start a new one"
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._translated(), self._mutex:
            self._refuse_closed()
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise translate(error, self._directory) from error

    def _write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        at = self._place.position
        try:
            while rest:
                done = os.pwrite(self._segment, rest, at)
                rest, at = rest[done:], at + done
            if self._durable:
                os.fdatasync(self._segment)
        except OSError:
            # After a sync that failed, the system may take the pages for written: a frame that
            # stayed there would be given out later, and not be on the disk.
            with suppress(OSError):
                os.ftruncate(self._segment, self._place.position)
            raise

    def _catch_up(self) -> None:
        """Learn what others appended since, and repair what a killed writer left."""
        boot = boot_id().encode()
        if self._segment >= 0 and self._head.boot == boot and self._is_current():
            return
        offsets = segments.bases(self._directory)
        if not offsets or offsets[-1] != self._base:
            self._open_segment(offsets[-1] if offsets else self._head.end)
        place = segments.scan_whole(self._segment, self._place)
        # Only a crash of the machine may take messages that readers saw, and only unsynced ones.
        lossy = self._head.unsynced and self._head.boot != boot
        if place.end < self._head.end and not lossy:
            raise self._damaged(place)
        if os.fstat(self._segment).st_size > place.position:
            os.ftruncate(self._segment, place.position)
        if self._durable or lossy:
            os.fdatasync(self._segment)
        self._place = place
        if lossy:
            self._open_segment(max(place.end, self._head.end) + segments.JUMP)
        if self._head.boot != boot:
            self._head.unsynced, self._head.boot = False, boot
        self._head.end = self._place.end
        self._head.sync()

    def _is_current(self) -> bool:
        return (
            self._head.end == self._place.end
            and os.fstat(self._segment).st_size == self._place.position
            # A segment that was closed by another writer has the size we know, too.
            and not segments.path_of(self._directory, self._place.end).exists()
        )

    def _damaged(self, place: Place) -> CorruptDataError:
        path = segments.path_of(self._directory, self._base)
        return CorruptDataError(
            f"{path} is damaged at byte {place.position}: messages {place.end} to "
            f"{self._head.end - 1} were appended and cannot be read; nothing was changed. "
            f"Restore the log from a copy, or start a new one"
        )

    def _roll(self) -> None:
        os.fsync(self._segment)
        self._open_segment(self._place.end)
        self._remove_old()

    def _open_segment(self, base: int) -> None:
        path = segments.path_of(self._directory, base)
        is_new = not path.exists()
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._close_segment()
        self._segment, self._base, self._place = opened, base, Place(0, base)
        if is_new:
            sync_directory(self._directory)

    def _close_segment(self) -> None:
        # In this order: a fork between the two must not leave the child a number of no file.
        segment, self._segment, self._base = self._segment, -1, -1
        if segment >= 0:
            os.close(segment)

    def _remove_old(self) -> None:
        """Remove the oldest segments above the declared size or age, never the last one."""
        if self._retain_bytes is None and self._retain_micros is None:
            return
        offsets = segments.bases(self._directory)
        paths = [segments.path_of(self._directory, b) for b in offsets]
        total = sum(p.stat().st_size for p in paths)
        now = self._clock.now()
        for path, following in pairwise(paths):
            # A segment was complete when the next one began.
            complete = segments.append_time_at(following)
            age = 0 if complete is None else now - complete
            too_old = self._retain_micros is not None and age > self._retain_micros
            too_large = self._retain_bytes is not None and total > self._retain_bytes
            if not (too_old or too_large):
                return
            total -= path.stat().st_size
            path.unlink()


_OPEN: WeakSet[Partition] = WeakSet()


def _after_fork() -> None:
    for partition in list(_OPEN):
        partition.reopen_after_fork()


os.register_at_fork(after_in_child=_after_fork)
