"""Retractions in a table of events: rows that take back a fact which is in it (SPEC §5).

A retraction has the key and the event time of its fact, so that whoever reads the one reads the
other; its own known time; in ``_retracts`` the sequence of the fact; and the run of ingest that it
came by. All else of it is null.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from noskew.kernel.events import (
    CURSOR,
    EVENT_ID,
    EVENT_TIME,
    INGEST,
    KNOWN_TIME,
    RETRACTS,
    SEQUENCE,
)
from noskew.stores.offline.base import TableInfo

#: What tells facts apart, and retractions do not have.
_OF_FACTS = (SEQUENCE, EVENT_ID, CURSOR)
#: The note of a table that has retractions.
NOTE = "retracted"


def retraction_columns(info: TableInfo) -> list[str]:
    """What must be read beside other columns to see retractions; none if the table has none.

    Whoever asks when a fact was taken back reads the known time, too. Notes are those of the latest
    snapshot: an earlier one may have retractions.
    """
    if info.notes is not None and NOTE not in info.notes:
        return []
    if RETRACTS not in info.spec.schema.names:
        return []
    return [SEQUENCE, RETRACTS]


def retractions(facts: pa.Table, schema: pa.Schema, *, known_time: int, run: int) -> pa.Table:
    """The rows that take facts back, as their table has them.

    ``facts``: keys, event time, bucket and sequence of each. ``schema``: the table's, without its
    system columns. ``known_time``: when they are taken back, µs. ``run``: by which run of ingest.
    """
    columns = {name: facts.column(name) for name in facts.column_names if name not in _OF_FACTS}
    columns[RETRACTS] = facts.column(SEQUENCE)
    columns[INGEST] = pa.array(np.full(len(facts), run, np.int64))
    columns[KNOWN_TIME] = pa.array(np.full(len(facts), known_time)).cast(columns[EVENT_TIME].type)
    rest = {f.name: pa.nulls(len(facts), f.type) for f in schema if f.name not in columns}
    return pa.table(columns | rest)
