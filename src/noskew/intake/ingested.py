"""What events of a batch source are known again by, in their offline table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.events import CURSOR, IDENTITY, INGEST, PART, RETRACTS
from noskew.kernel.row_hashes import IDENTITY_BYTES

#: Columns of every table of events; null in those that came by a stream. The cursor is null where
#: the source has none. Retracts is null in every event: a row that has it takes an event back.
FIELDS = (
    pa.field(IDENTITY, pa.binary(IDENTITY_BYTES)),
    pa.field(PART, pa.int64()),
    pa.field(INGEST, pa.int64()),
    pa.field(RETRACTS, pa.int64()),
    pa.field(CURSOR, pa.int64()),
)


@dataclass(frozen=True)
class IngestedRows:
    """Rows of a batch source.

    ``identities``: of each row, see :func:`noskew.kernel.row_hashes.row_identities`. ``part``: a
    number for the part of the source that they came in, and ``run`` for the run of ingest.
    ``cursors``: the value of the source's cursor in each, int64, if it has one.
    """

    identities: pa.FixedSizeBinaryArray
    part: int
    run: int
    cursors: pa.Array | None = None

    def beside(self, events: pa.Table, row: NDArray[np.int64]) -> pa.Table:
        """Events with the columns; ``row`` has the row that each event was made of."""
        part, run = (pa.array(np.full(len(events), n, np.int64)) for n in (self.part, self.run))
        none, at = pa.nulls(len(events), pa.int64()), pa.array(row)
        cursors = none if self.cursors is None else self.cursors.take(at)
        return _with(events, self.identities.take(at), part, run, none, cursors)


def beside_streamed(events: pa.Table) -> pa.Table:
    """Events that came by a stream, with the columns."""
    return _with(events, *(pa.nulls(len(events), field.type) for field in FIELDS))


def _with(events: pa.Table, *columns: pa.Array) -> pa.Table:
    for field, column in zip(FIELDS, columns, strict=True):
        events = events.append_column(field, column)
    return events
