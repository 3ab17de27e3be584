"""The events of a stream as their offline table takes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from noskew.kernel.events import OFFSET, ORIGIN, PLACE, SEQUENCE
from noskew.kernel.keys import buckets_of, encode_columns, integers
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.stores.offline.base import TableSpec
from noskew.streaming.fold.screening import PLACE_BITS


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
