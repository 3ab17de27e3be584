"""What the local log asks of the file system."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noskew.errors import StoreError, StoreFullError, StoreUnavailableError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def create(path: Path, content: bytes) -> None:
    """Make a file, durably and as a whole, unless it is there. Of two at once, the first counts."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = _written(path, content)
    try:
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()
    sync_directory(path.parent)
    sync_directory(path.parent.parent)


def replace(path: Path, content: bytes) -> None:
    """Give a file another content, durably and as a whole."""
    _written(path, content).replace(path)
    sync_directory(path.parent)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a lock on a directory: one holder at a time, of all processes."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _written(path: Path, content: bytes) -> Path:
    """A durable file beside ``path``, under another name."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
    except BaseException:
        made.unlink()
        raise
    return made


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def translate(error: OSError, where: Path) -> StoreError:
    """Our error for one of the file system."""
    if error.errno in _NO_SPACE:
        return StoreFullError(
            f"the log {where} has no space left ({error}); free space and repeat, nothing "
            f"appended before was lost"
        )
    return StoreUnavailableError(f"the log {where} cannot be used: {error}")
