"""Publisher: takes changed rows to the online store, and knows which ones are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from noskew.errors import StoreFullError, StoreUnavailableError
from noskew.stores.online.base import OnlineStore

#: Rows given to the online store in one call.
_WRITE_ROWS = 10_000


@dataclass
class _Waiting:
    rows: dict[bytes, bytes] = field(default_factory=dict)
    version: bytes = b""


class Publisher:
    """Rows wait here, the newest of each key, until the online store has them.

    A store that is down or full stops nothing: rows gather (of each key only the newest), and
    :attr:`waiting` tells the processor when to pause.
    """

    def __init__(self, online: OnlineStore) -> None:
        self._online = online
        self._waiting: dict[bytes, _Waiting] = {}
        self._published: dict[bytes, bytes] = {}
        #: Why the last flush did not succeed.
        self.fault: Exception | None = None

    @property
    def waiting(self) -> int:
        """Rows that the online store does not have yet."""
        return sum(len(w.rows) for w in self._waiting.values())

    def add(
        self, prefix: bytes, keys: Sequence[bytes], rows: Sequence[bytes], version: bytes
    ) -> None:
        """Rows of a view to publish; all of its rows up to ``version`` were added then."""
        held = self._waiting.setdefault(prefix, _Waiting())
        held.rows |= zip(keys, rows, strict=True)
        held.version = version

    def published(self, prefix: bytes) -> bytes | None:
        """The version up to which the online store has the rows of a view; None: not known."""
        return self._published.get(prefix)

    def flush(self) -> bool:
        """Write what waits. False if the store could not take it; then try again later."""
        try:
            for prefix, held in list(self._waiting.items()):
                keys, rows = list(held.rows), list(held.rows.values())
                for at in range(0, len(keys), _WRITE_ROWS):
                    self._online.write(keys[at : at + _WRITE_ROWS], rows[at : at + _WRITE_ROWS])
                self._published[prefix] = held.version
                del self._waiting[prefix]
        except (StoreUnavailableError, StoreFullError) as error:
            self.fault = error
            return False
        self.fault = None
        return True
