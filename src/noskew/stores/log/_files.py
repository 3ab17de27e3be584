"""What the local log asks of the file system."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from noskew.errors import StoreError, StoreFullError, StoreUnavailableError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def create(path: Path, content: bytes) -> None:
    """Make a file, durably and as a whole, unless it is there. Of two at once, the first counts."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        Path(made).unlink()
    sync_directory(path.parent)
    sync_directory(path.parent.parent)


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
