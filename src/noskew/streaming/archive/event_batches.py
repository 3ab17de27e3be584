"""The events of a stream as their offline table takes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from noskew.intake.ingested import beside_streamed
from noskew.kernel.events import OFFSET, ORIGIN, PLACE, SEQUENCE
from noskew.kernel.keys import buckets_of, encode_columns, integers
from noskew.kernel.log_facts import offset_in_log, place_in_log
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.stores.offline.base import TableSpec


def event_batches(events: pa.Table, origin: str, spec: TableSpec) -> Iterator[pa.RecordBatch]:
    """Accepted events of one partition as the table of events takes them."""
    columns = [events.column(k).combine_chunks() for k in spec.keys]
    bucket = buckets_of(encode_columns(columns)[0], spec.buckets)
    sequence = integers(events.column(SEQUENCE).combine_chunks())
    rows = events.set_column(events.column_names.index(BUCKET), BUCKET, pa.array(bucket))
    rows = rows.drop_columns([SEQUENCE])
    rows = rows.append_column(ORIGIN, pa.array([origin] * len(events), pa.string()))
    rows = rows.append_column(OFFSET, pa.array(offset_in_log(sequence)))
    place = place_in_log(sequence).astype(np.int32)
    yield from beside_streamed(rows.append_column(PLACE, pa.array(place))).to_batches()
