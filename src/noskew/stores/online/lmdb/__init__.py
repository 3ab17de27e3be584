"""Rows in the LMDB files of a directory: embedded, for any number of processes of a machine."""

from __future__ import annotations

from noskew.stores.online.lmdb.opening import open_address
from noskew.stores.online.lmdb.store import DEFAULT_MAP_SIZE, LmdbStore

__all__ = ["DEFAULT_MAP_SIZE", "LmdbStore", "open_address"]
