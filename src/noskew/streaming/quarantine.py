"""Quarantine: rows of a stream that were not taken in, kept with their origin.

Rows that could not be, and those that came late to a view that sets them aside (``late="table"``);
the reason of these is "late".
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa

from noskew.errors import CorruptDataError
from noskew.intake.messages import encode_arrow
from noskew.kernel.events import KNOWN_TIME, SEQUENCE
from noskew.kernel.keys import integers
from noskew.stores.state.lmdb import StateStore
from noskew.streaming import keys
from noskew.streaming.sorting_out import PLACE_BITS, Quarantined

LATE = "late"


def encode(row: Quarantined) -> bytes:
    """As the state keeps it."""
    return msgspec.msgpack.encode(row)


def late_rows(late: pa.Table, partition: int) -> list[Quarantined]:
    """Late events as the quarantine keeps them; the payload is the event as Arrow IPC."""
    sequence = integers(late.column(SEQUENCE).combine_chunks()).tolist()
    known = integers(late.column(KNOWN_TIME).combine_chunks()).tolist()
    return [
        Quarantined(
            partition, at >> PLACE_BITS, at & (1 << PLACE_BITS) - 1, known[row], LATE,
            encode_arrow(late.slice(row, 1)),
        )
        for row, at in enumerate(sequence)
    ]  # fmt: skip


def quarantined(state: StateStore, prefix: bytes) -> Iterator[Quarantined]:
    """What a view has in quarantine, in the order of the log.

    Raises CorruptDataError for an entry that cannot be read.
    """
    for _, data in state.scan(keys.quarantine_prefix(prefix)):
        try:
            yield msgspec.msgpack.decode(data, type=Quarantined)
        except msgspec.MsgspecError as error:
            raise CorruptDataError(f"an entry of the quarantine cannot be read: {error}") from error
