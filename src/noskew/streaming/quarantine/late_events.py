"""Quarantine: rows of a stream that were not taken in, kept with their origin.

Rows that could not be, and those that came late to a view that sets them aside (``late="table"``);
the reason of these is "late".
"""

from __future__ import annotations

import pyarrow as pa

from noskew.intake.messages import encode_arrow
from noskew.kernel.events import KNOWN_TIME, SEQUENCE
from noskew.kernel.keys import integers
from noskew.streaming.fold.screening import PLACE_BITS, Quarantined

LATE = "late"


def late_rows(late: pa.Table, partition: int) -> list[Quarantined]:
    """Late events as the quarantine keeps them; the payload is the event as Arrow IPC."""
    sequence = integers(late.column(SEQUENCE).combine_chunks()).tolist()
    known = integers(late.column(KNOWN_TIME).combine_chunks()).tolist()
    return [
        Quarantined(
            partition,
            at >> PLACE_BITS,
            at & (1 << PLACE_BITS) - 1,
            known[row],
            LATE,
            encode_arrow(late.slice(row, 1)),
        )
        for row, at in enumerate(sequence)
    ]
