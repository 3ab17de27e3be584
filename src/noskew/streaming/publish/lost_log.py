"""Rows of a log that is gone: later than those that are made anew, though nothing stands for them.

Versions are by known time first. Events that were folded and never archived are lost with their
log; the rows that they made would keep those of the archive, and of the next log, out of the
online store. An online store that is the state has no such rows: there the new ones are put in
their place whatever their version is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from noskew.addresses import has_generation
from noskew.kernel.rows.codec import OFFSET_BITS, VERSION_BYTES
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore

#: Rows that are looked at in one call.
_BATCH = 10_000


def first_number(generation: StreamGeneration) -> bytes:
    """The least number of a row of the log of a generation, as rows hold it behind their time."""
    return (generation.log_since << OFFSET_BITS).to_bytes(8, "big")


def is_of_lost_log(row: bytes, generation: StreamGeneration) -> bool:
    """Whether a row was folded from a log before that of the generation."""
    return row[8:VERSION_BYTES] < first_number(generation)


def replace_online(online: OnlineStore, state: StateStore, keys: Sequence[bytes]) -> int:
    """Put the rows of the state in the place of those of the online store; how many.

    Deleted first, for the store keeps a row of the same version, or of a later one. Read from the
    state after that: it may have gone on meanwhile, and is ahead of the store.
    """
    online.delete(keys)
    rows = zip(keys, state.rows(keys), strict=True)
    newest = {key: row for key, row in rows if row is not None}
    return online.write(list(newest), list(newest.values()))


def replace_lost(
    online: OnlineStore, state: StateStore, prefix: bytes, generation: StreamGeneration
) -> None:
    """Put the rows of the state in the place of a view's rows that are of a log before.

    Frontiers and the progress of partitions are among them.
    """
    lost = (
        key
        for key, row in online.scan(prefix)
        if has_generation(key) and is_of_lost_log(row, generation)
    )
    while keys := list(islice(lost, _BATCH)):
        replace_online(online, state, keys)
