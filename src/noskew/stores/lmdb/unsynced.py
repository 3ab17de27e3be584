"""A mark beside an LMDB file that says: written since the last sync, in this boot of the machine.

LMDB is run without a sync for each commit, because a commit would otherwise wait for the disk.
The kernel keeps the pages of a killed process, so nothing is lost or damaged by a kill. When the
machine itself stops, pages may reach the disk in any order, and LMDB has no checksums to notice.
The mark notices: a store that was last written in an earlier boot and never synced is refused.
"""

from __future__ import annotations

import os
from pathlib import Path

from noskew.stores.boot import boot_id

_NAME = "unsynced"


class UnsyncedMark:
    """The file ``unsynced`` in a store's directory; it holds the identity of a boot.

    ``set`` and ``clear`` are called inside a write transaction, whose lock spans processes.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / _NAME

    def set(self) -> None:
        """Make the mark durable, before the first commit after a sync."""
        if self.path.exists():
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(descriptor, boot_id().encode())
            os.fsync(descriptor)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self._sync_directory()

    def clear(self) -> None:
        """Remove the mark, after the file was synced."""
        self.path.unlink(missing_ok=True)
        self._sync_directory()

    def is_stale(self) -> bool:
        """Whether the last unsynced write was in an earlier boot of the machine."""
        try:
            written_in = self.path.read_text()
        except FileNotFoundError:
            return False
        # An empty mark was cut short before the first commit it announced.
        return written_in not in ("", boot_id())

    def _sync_directory(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
