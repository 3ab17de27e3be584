"""The offline tables of a stream: its events, and the rows that are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.kernel.events import EVENT_TIME, KNOWN_TIME, OFFSET, ORIGIN, PLACE, SEQUENCE
from noskew.kernel.keys import buckets_of, encode_columns, integers
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.stores.offline.base import TableSpec
from noskew.streaming.fold.screening import PLACE_BITS, Quarantined

_UTC = pa.timestamp("us", "UTC")
_ASIDE = pa.schema(
    {
        ORIGIN: pa.string(),
        OFFSET: pa.int64(),
        PLACE: pa.int32(),
        "reason": pa.string(),
        "payload": pa.binary(),
    }
)


def aside_spec(view: FeatureView) -> TableSpec:
    """The table of rows that were quarantined or set aside for being late.

    Each has its origin, offset and place in the message, the reason, and the payload: the
    message as it is, or of one that holds several rows the row as Arrow IPC. Both times are the
    known time.
    """
    return TableSpec(f"aside_{view.log_hash[:24]}", _ASIDE, (ORIGIN,), 1)


def origin_of(log: str, partition: int | str) -> str:
    """How a partition of the log of an identity is called in tables, and in their notes."""
    return f"{log}:{partition}"


def event_batches(events: pa.Table, origin: str, spec: TableSpec) -> Iterator[pa.RecordBatch]:
    """Accepted events of one partition as the table of events takes them."""
    columns = [events.column(k).combine_chunks() for k in spec.keys]
    bucket = buckets_of(encode_columns(columns)[0], spec.buckets)
    sequence = integers(events.column(SEQUENCE).combine_chunks())
    made = events.set_column(events.column_names.index(BUCKET), BUCKET, pa.array(bucket))
    made = made.drop_columns([SEQUENCE])
    made = made.append_column(ORIGIN, pa.array([origin] * len(events), pa.string()))
    made = made.append_column(OFFSET, pa.array(sequence >> PLACE_BITS))
    place = (sequence & (1 << PLACE_BITS) - 1).astype(np.int32)
    yield from made.append_column(PLACE, pa.array(place)).to_batches()


def aside_batch(rows: Sequence[Quarantined], origin: str) -> pa.RecordBatch:
    """Rows of one partition as the table of :func:`aside_spec` takes them."""
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
