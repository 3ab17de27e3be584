"""Publisher: takes changed rows to the online store, and notices when the store lost them."""

from __future__ import annotations

from collections.abc import Sequence

from noskew.kernel.online_keys import frontier_keys, heartbeat_row
from noskew.kernel.rows import version_of
from noskew.stores.online.base import OnlineStore

#: Rows given to the online store in one call.
_WRITE_ROWS = 10_000
#: The version of a store that holds nothing.
NOTHING = b""


class Publisher:
    """The rows of one view and partition on their way to the online store.

    Rows wait here, the newest of each key, until the store has them: one that is down or full
    stops nothing.

    A store may lose what it acknowledged: a Redis whose primary fails over to a replica that is
    behind, or one that is emptied. So *frontier* keys, enough of them that every shard has some,
    are written after the rows, with the version up to which rows were published. A shard that
    lost rows lost its frontier keys, too, as it loses the last writes first; :meth:`held` reads
    them and so tells from where rows must be published again.
    """

    def __init__(self, online: OnlineStore, prefix: bytes, partition: int) -> None:
        self._online = online
        self._frontier = frontier_keys(prefix, partition)
        self._rows: dict[bytes, bytes] = {}
        self._version = NOTHING
        #: Up to where every shard was told that rows were published.
        self.confirmed = NOTHING

    @property
    def waiting(self) -> int:
        """Rows that the online store does not have yet."""
        return len(self._rows)

    def add(self, keys: Sequence[bytes], rows: Sequence[bytes], version: bytes) -> None:
        """Rows to publish; with them, all rows up to ``version`` were added."""
        self._rows |= zip(keys, rows, strict=True)
        self._version = version

    def write(self) -> None:
        """Publish what waits. When it raises, everything waits on, and some may be written."""
        if not self._rows:
            return
        keys, rows = list(self._rows), list(self._rows.values())
        for at in range(0, len(keys), _WRITE_ROWS):
            self._online.write(keys[at : at + _WRITE_ROWS], rows[at : at + _WRITE_ROWS])
        self._rows.clear()

    def confirm(self) -> None:
        """Tell every shard that all rows up to the present version were published."""
        if self._rows or self._version == self.confirmed:
            return
        row = heartbeat_row(*version_of(self._version))
        self._online.write(self._frontier, [row] * len(self._frontier))
        self.confirmed = self._version

    def held(self) -> bytes:
        """The version up to which every shard holds what was published."""
        found = self._online.read(self._frontier)
        return min(NOTHING if row is None else row[:16] for row in found)
