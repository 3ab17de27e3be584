"""Rows in a dict of this process: for tests, notebooks and as the reference of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

from noskew.errors import ConfigError
from noskew.stores.closed import closed
from noskew.stores.online.address import StoreAddress
from noskew.stores.online.base import VERSION_BYTES, OnlineStore
from noskew.stores.online.limits import check_keys, check_rows, greatest_by_key


class MemoryStore(OnlineStore):
    """An online store that lives and dies with its object; nothing is shared or persisted."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] | None = {}
        # Only writers take it: one dict look-up is atomic, and the contract is per row.
        self._writing = Lock()

    @property
    def may_lose_writes(self) -> bool:
        return False

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        return list(map(self._open().get, keys))

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        check_rows(keys, rows)
        with self._writing:
            held = self._open()
            newer = {
                key: row
                for key, row in greatest_by_key(keys, rows).items()
                if (old := held.get(key)) is None or old[:VERSION_BYTES] < row[:VERSION_BYTES]
            }
            held.update(newer)
        return len(newer)

    def delete(self, keys: Sequence[bytes]) -> int:
        check_keys(keys)
        with self._writing:
            held = self._open()
            return sum(held.pop(key, None) is not None for key in keys)

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        with self._writing:
            items = list(self._open().items())
        return (item for item in items if item[0].startswith(prefix))

    def ping(self) -> None:
        self._open()

    def close(self) -> None:
        self._rows = None

    def _open(self) -> dict[bytes, bytes]:
        if self._rows is None:
            raise closed("the memory store")
        return self._rows


def open_address(address: StoreAddress) -> MemoryStore:
    """The store at ``memory://``: a new one each time."""
    if address.only().place:
        raise ConfigError("a memory store has no name: its address is 'memory://'")
    return MemoryStore()
