"""Quarantine: rows of a stream that could not be taken in, kept with their origin."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from noskew.errors import CorruptDataError
from noskew.stores.state.lmdb import StateStore
from noskew.streaming import keys
from noskew.streaming.sorting_out import Quarantined


def encode(row: Quarantined) -> bytes:
    """As the state keeps it."""
    return msgspec.msgpack.encode(row)


def quarantined(state: StateStore, prefix: bytes) -> Iterator[Quarantined]:
    """What a view has in quarantine, in the order of the log.

    Raises CorruptDataError for an entry that cannot be read.
    """
    for _, data in state.scan(keys.quarantine_prefix(prefix)):
        try:
            yield msgspec.msgpack.decode(data, type=Quarantined)
        except msgspec.MsgspecError as error:
            raise CorruptDataError(f"an entry of the quarantine cannot be read: {error}") from error
