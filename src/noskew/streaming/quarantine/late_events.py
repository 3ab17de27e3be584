"""Quarantine: rows of a stream that were not taken in, kept with their origin.

Rows that could not be, and those that came late to a view that keeps them there (``late="table"``);
the reason of these is "late".
"""

from __future__ import annotations

import pyarrow as pa

from noskew.intake.messages import encode_arrow
from noskew.kernel.events import KNOWN_TIME, SEQUENCE
from noskew.kernel.keys import integers
from noskew.kernel.log_facts import offset_in_log, place_in_log
from noskew.streaming.fold.screening import Quarantined

LATE = "late"


def late_rows(late: pa.Table, partition: int) -> list[Quarantined]:
    """Late events as the quarantine keeps them; the payload is the event as Arrow IPC."""
    sequence = integers(late.column(SEQUENCE).combine_chunks())
    offset, place = offset_in_log(sequence).tolist(), place_in_log(sequence).tolist()
    known = integers(late.column(KNOWN_TIME).combine_chunks()).tolist()
    return [
        Quarantined(
            partition,
            offset[row],
            place[row],
            known[row],
            LATE,
            encode_arrow(late.slice(row, 1)),
        )
        for row in range(len(late))
    ]
