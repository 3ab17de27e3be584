"""The LMDB store at an address."""

from __future__ import annotations

from pathlib import Path

from noskew.errors import ConfigError
from noskew.stores.online.address import StoreAddress
from noskew.stores.online.lmdb.store import DEFAULT_MAP_SIZE, LmdbStore


def open_address(address: StoreAddress) -> LmdbStore:
    """The store at ``lmdb:///path/to/directory``; see :func:`noskew.stores.online.open_store`."""
    address.only("readonly", "map_size")
    path = address.place
    if not path:
        raise ConfigError("an LMDB address names a directory: 'lmdb:///path/to/directory'")
    readonly = address.flag("readonly", address.readonly)
    map_size = address.whole("map_size", DEFAULT_MAP_SIZE, "bytes")
    if address.readonly and "readonly" not in address.options and not _is_there(path):
        # Nothing was written yet: an empty store is there to be read until something is.
        LmdbStore(path, map_size=map_size).close()
    return LmdbStore(path, map_size=map_size, readonly=readonly)


def _is_there(path: str) -> bool:
    return (Path(path) / "data.mdb").exists()
