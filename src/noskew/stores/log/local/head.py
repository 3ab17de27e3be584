"""The head of a partition: a small mapped file that says how far readers may read."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from noskew.errors import CorruptDataError
from noskew.stores.log.local.files import create

_NAME = "head"
_MAGIC = b"NSLHEAD1"
_BYTES = 4096
_END, _BOOT, _UNSYNCED = 8, 16, 80
_BOOT_BYTES = 64


class Head:
    """The offset that comes next, shared by all processes; and the boot it was written in.

    The end is one aligned word of a mapped page: writers store it, holding the partition's
    lock, after the bytes before it; readers load it without a lock.
    """

    def __init__(self, directory: Path, *, writable: bool) -> None:
        self._path = path = directory / _NAME
        flags = os.O_RDWR if writable else os.O_RDONLY
        descriptor = os.open(path, flags)
        try:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._file = os.fstat(descriptor)
            size = self._file.st_size
            if size != _BYTES:
                raise CorruptDataError(
                    f"{path} has {size} bytes, not {_BYTES}; restore the log from a copy"
                )
            self._map = mmap.mmap(descriptor, _BYTES, access=access)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        # A numpy load of an aligned word is one instruction; struct would read byte by byte.
        self._words = np.frombuffer(self._map, np.int64)
        if self._map[: len(_MAGIC)] != _MAGIC or self.end < 0:
            self.close()
            raise CorruptDataError(f"{path} is not the head of a log; restore it from a copy")

    @staticmethod
    def create(directory: Path) -> None:
        """Make the file of an empty partition, durably, unless it is there."""
        create(directory / _NAME, _MAGIC.ljust(_BYTES, b"\0"))

    @property
    def end(self) -> int:
        """The offset after the last message that readers may see."""
        return int(self._words[_END // 8])

    @end.setter
    def end(self, offset: int) -> None:
        self._words[_END // 8] = offset

    @property
    def boot(self) -> bytes:
        """Which boot of the machine the log was last written in; empty: in none."""
        return self._map[_BOOT : _BOOT + _BOOT_BYTES].rstrip(b"\0")

    @boot.setter
    def boot(self, value: bytes) -> None:
        self._map[_BOOT : _BOOT + _BOOT_BYTES] = value[:_BOOT_BYTES].ljust(_BOOT_BYTES, b"\0")

    @property
    def unsynced(self) -> bool:
        """Whether somebody appended without a sync in that boot."""
        return bool(self._words[_UNSYNCED // 8])

    @unsynced.setter
    def unsynced(self, value: bool) -> None:
        self._words[_UNSYNCED // 8] = value

    @property
    def is_removed(self) -> bool:
        """Whether its path leads here no more: the log was deleted, moved away or replaced."""
        try:
            return not os.path.samestat(self._file, self._path.stat())
        except FileNotFoundError:
            return True

    def sync(self) -> None:
        """Return once the head survives a crash of the machine."""
        self._map.flush()

    def close(self) -> None:
        """Unmap the file; a second call does nothing."""
        if self._descriptor >= 0:
            del self._words
            self._map.close()
            os.close(self._descriptor)
            self._descriptor = -1
