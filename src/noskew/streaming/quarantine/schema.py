"""The offline table of rows that were quarantined, beside that of the events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from noskew.addresses import quarantine_table
from noskew.definitions.view import FeatureView
from noskew.kernel.events import EVENT_TIME, KNOWN_TIME, OFFSET, ORIGIN, PLACE
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.stores.offline.base import TableSpec
from noskew.streaming.fold.screening import Quarantined

_UTC = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    {
        ORIGIN: pa.string(),
        OFFSET: pa.int64(),
        PLACE: pa.int32(),
        "reason": pa.string(),
        "payload": pa.binary(),
    }
)


def quarantine_spec(view: FeatureView) -> TableSpec:
    """The quarantine table of the events of a view.

    Each has its origin, offset and place in the message, the reason, and the payload: the
    message as it is, or of one that holds several rows the row as Arrow IPC. Both times are the
    known time.
    """
    return TableSpec(quarantine_table(view.log_hash), _SCHEMA, (ORIGIN,), 1)


def quarantine_batch(rows: Sequence[Quarantined], origin: str) -> pa.RecordBatch:
    """Rows of one partition as the table of :func:`quarantine_spec` takes them."""
    known = pa.array([r.known_time for r in rows], pa.int64()).view(_UTC)
    return pa.RecordBatch.from_pydict(
        {
            ORIGIN: pa.array([origin] * len(rows), pa.string()),
            OFFSET: pa.array([r.offset for r in rows], pa.int64()),
            PLACE: pa.array([r.place for r in rows], pa.int32()),
            "reason": pa.array([r.reason for r in rows], pa.string()),
            "payload": pa.array([r.payload for r in rows], pa.binary()),
            EVENT_TIME: known,
            KNOWN_TIME: known,
            BUCKET: pa.array(np.zeros(len(rows), np.int32)),
        }
    )
