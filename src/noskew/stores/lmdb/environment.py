"""One LMDB environment for each directory of a process, however many stores are open on it.

LMDB must not be opened twice in a process (its file locks belong to the process) and must not be
used after a fork, and its map is replaced when it grows. This module keeps those rules, so that
the store above only reads and writes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeAlias, TypeVar

import lmdb

from noskew.errors import (
    CorruptDataError,
    InputError,
    StoreConfigError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.closed import closed
from noskew.stores.lmdb.unsynced import UnsyncedMark

#: Slots of the table of readers: one for each process, and room for what was killed.
_MAX_READERS = 1_024
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CORRUPT = (
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)

#: Keys that start with this are no rows: what processors of streams keep beside them. No row of
#: a view does, but for a chance of 2⁻⁶⁴.
RESERVED = b"\0noskew\0"

Handle = lmdb.Environment
Transaction: TypeAlias = "lmdb.Transaction[bytes]"
_T = TypeVar("_T")


class Environment:
    """The open files of one directory, shared by the stores of this process.

    ``reading`` is held for the length of each read transaction and ``_writing`` for each write
    transaction. They cost 0.1 µs and lose no parallelism, as LMDB's look-ups hold the
    interpreter lock; with both held no transaction is active, so that the map may be replaced.
    They are always taken in the order ``_writing``, ``reading``.
    """

    def __init__(self, path: Path, map_size: int, readonly: bool) -> None:
        self.path = path
        self.readonly = readonly
        self.references = 0
        self.reading = Lock()
        self.handle: Handle | None = None
        self._writing = Lock()
        self._map_size = map_size
        self._mark = UnsyncedMark(path)
        self._closed = False
        self.opened()
        self._inode = self._data_inode()

    def opened(self) -> Handle:
        """The handle, opened again after a fork. Call with ``reading`` held."""
        if self._closed:
            raise closed(f"the LMDB store {self.path}")
        if self.handle is None:
            self.handle = _open(self.path, self._map_size, self.readonly, self._mark)
        return self.handle

    def read(self, action: Callable[[Transaction], _T]) -> _T:
        """Run ``action`` in a read transaction; again if another process grew the map."""
        while True:
            try:
                with self.reading, self.opened().begin() as transaction:
                    return action(transaction)
            except lmdb.MapResizedError:
                self._replace_map(0)
            except lmdb.ReadersFullError as error:
                self._free_reader_slots(error)
            except lmdb.Error as error:
                raise translate(error, self.path) from error

    def write(self, action: Callable[[Transaction], int]) -> int:
        """Run ``action`` in a write transaction, growing the map as needed.

        ``action`` returns how many rows it changed and may be run several times; only the last
        run is committed.
        """
        while True:
            try:
                try:
                    return self._write_once(action)
                except lmdb.MapFullError:
                    self._grow()
                except lmdb.MapResizedError:
                    self._replace_map(0)
            except (lmdb.Error, OSError) as error:
                raise translate(error, self.path) from error

    def sync(self) -> None:
        """Flush to the disk and clear the mark.

        1. Flush without a lock, which takes the time. 2. Keep every process from writing.
        3. Flush what they wrote meanwhile. 4. Clear the mark.
        """
        if self.readonly:
            return
        try:
            self._flush()  # 1
            with self._writing:
                with self.reading:
                    handle = self.opened()
                with handle.begin(write=True):  # 2
                    self._flush()  # 3
                    self._mark.clear()  # 4
        except (lmdb.Error, OSError) as error:
            raise translate(error, self.path) from error

    def ping(self) -> None:
        """Raise StoreUnavailableError if the files are gone or cannot be read."""
        if self._data_inode() != self._inode:
            raise StoreUnavailableError(
                f"the files of the LMDB store {self.path} were removed or replaced while it was "
                f"open; close it and open it again"
            )
        self.read(lambda transaction: transaction.stat())

    def is_current(self) -> bool:
        """Whether the directory still holds the files that are open here."""
        return self._data_inode() == self._inode

    def make_writable(self) -> None:
        """Open the files again for writing, when a reader of this process had them first."""
        with self._writing, self.reading:
            if self.readonly:
                if self.handle is not None:
                    self.handle.close()
                    self.handle = None
                # Only if this succeeds: a failure leaves a reader, which opens itself again.
                self.handle = _open(self.path, self._map_size, False, self._mark)
                self.readonly = False

    def close(self) -> None:
        """Sync what was written and close the files. The caller holds the last reference."""
        try:
            if not self._closed and self._mark.path.exists():
                self.sync()
        finally:
            with self._writing, self.reading:
                self._closed = True
                if self.handle is not None:
                    self.handle.close()
                    self.handle = None

    # A forked child must not touch what it inherits of LMDB: not the write lock, not even the
    # reader slot, which lies in memory shared with its parent. So a fork waits until no
    # transaction runs and closes the files; both processes open them again at their next call.

    def before_fork(self) -> None:
        self._writing.acquire()
        self.reading.acquire()
        if self.handle is not None:
            self.handle.close()
            self.handle = None

    def after_fork(self) -> None:
        self.reading.release()
        self._writing.release()

    def _write_once(self, action: Callable[[Transaction], int]) -> int:
        with self._writing:
            with self.reading:
                handle = self.opened()
            with handle.begin(write=True) as transaction:
                changed = action(transaction)
                if changed:
                    self._mark.set()
                return changed

    def _flush(self) -> None:
        # Through a descriptor of its own, which neither a fork nor a growing map takes away.
        descriptor = os.open(self.path / "data.mdb", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _grow(self) -> None:
        with self.reading:
            handle = self.opened()
            size = handle.info()["map_size"]
            # Slots of readers that were killed keep old pages from reuse: free them as well.
            handle.reader_check()
        self._replace_map(2 * size)

    def _replace_map(self, size: int) -> None:
        """Map ``size`` bytes, or with 0 what another process chose."""
        with self._writing, self.reading:
            handle = self.opened()
            # Another thread may have grown it meanwhile; never shrink it back.
            if size == 0 or size > handle.info()["map_size"]:
                handle.set_mapsize(size)
            self._map_size = handle.info()["map_size"]

    def _free_reader_slots(self, error: lmdb.Error) -> None:
        with self.reading:
            if self.opened().reader_check() == 0:
                raise translate(error, self.path) from error

    def _data_inode(self) -> int:
        try:
            return (self.path / "data.mdb").stat().st_ino
        except OSError:
            return 0


def acquire(path: str | os.PathLike[str], map_size: int, readonly: bool) -> Environment:
    """The environment of a directory, opened if this process has not done so yet."""
    where = Path(os.path.realpath(path))
    with _opening:
        for environment in _environments:
            # A directory that was removed and made again holds other files under the same path.
            if environment.path == where and environment.is_current():
                if not readonly:
                    environment.make_writable()
                break
        else:
            environment = Environment(where, map_size, readonly)
            _environments.append(environment)
        environment.references += 1
        return environment


def release(environment: Environment) -> None:
    """Give back what ``acquire`` returned; the last one closes the files."""
    with _opening:
        environment.references -= 1
        if environment.references == 0:
            _environments.remove(environment)
            environment.close()


def readonly_error(path: Path) -> StoreConfigError:
    """The error for a write through a store that was opened for reading."""
    return StoreConfigError(
        f"the LMDB store {path} was opened with readonly=True; open it without to write"
    )


def translate(error: Exception, path: Path) -> StoreError | InputError:
    """Our error for one of LMDB or of the file system."""
    code = getattr(error, "errno", None) or getattr(error, "code", 0)
    place = f"the LMDB store {path}"
    if isinstance(error, lmdb.BadValsizeError):
        return InputError(f"{place} refused a key: a key has 1 to 511 bytes ({error})")
    if isinstance(error, _CORRUPT):
        return CorruptDataError(
            f"{place} is not a readable LMDB file ({error}); it is damaged, cut short or "
            f"foreign: remove the directory and materialize again"
        )
    if code in _NO_SPACE or (code == errno.EIO and _is_full(path)):
        return StoreFullError(
            f"{place} has no space left ({error}); free space and repeat, nothing was lost"
        )
    if isinstance(error, lmdb.MemoryError) or code == errno.ENOMEM:
        return StoreFullError(
            f"{place} cannot map more memory ({error}); raise the limit of address space "
            f"(ulimit -v) and repeat, nothing was lost"
        )
    if code == errno.ENOENT:
        return StoreUnavailableError(
            f"{place} does not exist; materialize to it before it is read, or check the path"
        )
    return StoreUnavailableError(f"{place} cannot be used: {error}")


def _is_full(path: Path) -> bool:
    # LMDB reports a write that was cut short by a full disk as an input/output error.
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize < 1 << 20


def _open(path: Path, map_size: int, readonly: bool, mark: UnsyncedMark) -> Handle:
    try:
        if not readonly:
            path.mkdir(parents=True, exist_ok=True)
        if mark.is_stale():
            raise CorruptDataError(
                f"the LMDB store {path} had unsynced rows when the machine last stopped; if it "
                f"lost power or crashed, rows may be lost or damaged: remove the directory and "
                f"materialize again. After an orderly shutdown it is whole: remove {mark.path}"
            )
        handle = lmdb.open(
            str(path),
            map_size=map_size,
            readonly=readonly,
            create=not readonly,
            sync=False,
            max_readers=_MAX_READERS,
            max_spare_txns=1,
            # Reads are at random: reading ahead would push hot pages out of memory.
            readahead=False,
        )
    except (lmdb.Error, OSError) as error:
        raise translate(error, path) from error
    handle.reader_check()
    try:
        _check_whole(handle, path)
    except BaseException:
        handle.close()
        raise
    return handle


def _check_whole(handle: Handle, path: Path) -> None:
    """Refuse a file that was cut short: reading past its end would kill the process.

    A sound file may lack pages at its end that were allocated and never used, so one that looks
    short is walked, without LMDB, before it is refused.
    """
    size = (handle.info()["last_pgno"] + 1) * handle.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found >= size:
        return
    from lmdb.verify import verify

    problems = verify(str(path))  # type: ignore[no-untyped-call]
    if problems:
        raise CorruptDataError(
            f"the LMDB store {path} is cut short: {found} bytes of {size} ({problems[0]}); "
            f"copy it again, or remove the directory and materialize again"
        )


_opening = Lock()
_environments: list[Environment] = []


def _before_fork() -> None:
    _opening.acquire()
    for environment in _environments:
        environment.before_fork()


def _after_fork() -> None:
    for environment in _environments:
        environment.after_fork()
    _opening.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
