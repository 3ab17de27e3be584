"""What events of a batch source are known again by, in their offline table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.events import IDENTITY, PART
from noskew.kernel.row_hashes import IDENTITY_BYTES

#: Columns of every table of events; null in those that came by a stream.
FIELDS = (pa.field(IDENTITY, pa.binary(IDENTITY_BYTES)), pa.field(PART, pa.int64()))


@dataclass(frozen=True)
class IngestedRows:
    """Rows of a batch source.

    ``identities``: of each row, see :func:`noskew.kernel.row_hashes.row_identities`. ``part``: a
    number for the part of the source that they came in.
    """

    identities: pa.FixedSizeBinaryArray
    part: int

    def beside(self, events: pa.Table, row: NDArray[np.int64]) -> pa.Table:
        """Events with the columns; ``row`` has the row that each event was made of."""
        part = pa.array(np.full(len(events), self.part, np.int64))
        return _with(events, self.identities.take(pa.array(row)), part)


def beside_streamed(events: pa.Table) -> pa.Table:
    """Events that came by a stream, with the columns."""
    return _with(events, *(pa.nulls(len(events), field.type) for field in FIELDS))


def _with(events: pa.Table, identities: pa.Array, part: pa.Array) -> pa.Table:
    for field, column in zip(FIELDS, (identities, part), strict=True):
        events = events.append_column(field, column)
    return events
