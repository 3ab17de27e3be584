"""ViewFold: what a batch of a stream does to the rows of one view. Bytes in, bytes out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noskew.addresses import Tenant, part_suffix
from noskew.definitions.view import FeatureView
from noskew.kernel.events import Events
from noskew.kernel.keys import encode_columns
from noskew.kernel.log_facts import offset_in_log
from noskew.kernel.plan import compile_view
from noskew.kernel.ragged import concat, repeat
from noskew.kernel.rows.codec import (
    OFFSET_BITS,
    RowLayout,
    known_times,
    pack_rows,
    unpack_rows,
    version_array,
    version_bytes,
)
from noskew.kernel.state import fold, merge
from noskew.streaming.fold.acceptance import Accepted
from noskew.streaming.fold.progress import PartitionProgress

#: Rows are made by several threads, from so many on for each: the kernel lets go of the
#: interpreter's lock.
_ROWS_A_PART = 2_000
_THREADS = min(8, os.cpu_count() or 1)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="noskew-fold")


class ViewFold:
    """Folds the events of one partition into the rows of a view.

    ``rows(log[0..o])`` is a function of the messages alone: each row is the fold of its
    entity's events, at the known time of the last of them, and its version is that known time
    and the number that follows that event's offset. So the same messages give the same bytes
    however they are cut into batches, and a row that is written again changes nothing.

    ``generation`` counts how often the rows were made anew from the archive: of two rows of the
    same known time, the one of the later generation is later.
    """

    def __init__(self, view: FeatureView, tenant: Tenant, generation: int = 0) -> None:
        self.view, self.generation = view, generation
        self._number = generation << OFFSET_BITS
        self.prefix = tenant.rows(view).prefix
        self._plan = compile_view(view)
        self.layout = RowLayout(self._plan)
        self._keys = list(view.entity.keys)

    def numbered(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of versions: the generation, then the offset that comes next."""
        return self._number | number

    def version(self, progress: PartitionProgress) -> bytes:
        """No row is later all of whose events were read by then."""
        return version_bytes(progress.known, self._number | progress.next_offset)

    def keys(self, accepted: Accepted, partition: int) -> list[bytes]:
        """The key in the online store of the row of each entity, or of its part of a partition."""
        events = accepted.events
        if not len(events):
            return []
        columns = [events.keys.column(k).combine_chunks() for k in self._keys]
        keys = encode_columns(columns, self.prefix)[0]
        if self.view.has_partial_rows:
            keys = concat([keys, repeat(part_suffix(partition + 1), len(keys))])
        return keys.to_list()

    def rows(self, accepted: Accepted, before: Sequence[bytes | None]) -> list[bytes]:
        """The rows of the accepted entities, from what they were before (None: nothing)."""
        size = len(before)
        if size < 2 * _ROWS_A_PART:
            return self._rows(accepted.events, before) if size else []
        parts = min(_THREADS, size // _ROWS_A_PART)
        cuts = [size * i // parts for i in range(parts + 1)]
        _ = accepted.events.table  # put in order once, not by each thread

        def part(first: int, last: int) -> list[bytes]:
            return self._rows(accepted.events.between(first, last), before[first:last])

        return [row for rows in _pool().map(part, cuts[:-1], cuts[1:]) for row in rows]

    def _rows(self, events: Events, before: Sequence[bytes | None]) -> list[bytes]:
        size = len(before)
        starts = events.offsets[:-1]
        horizon = np.maximum.reduceat(events.known_time, starts)
        # A row of history may have been known later than a message of the log was appended.
        horizon = np.maximum(horizon, known_times(before))
        offset = offset_in_log(np.maximum.reduceat(events.sequence, starts))
        at = np.arange(size)
        parts = [(fold(self._plan, events, horizon), at)]
        there = np.array([i for i, row in enumerate(before) if row is not None], np.int64)
        if len(there):
            states = unpack_rows(self.layout, [row for row in before if row is not None])
            parts.insert(0, (states, there))
        merged = merge(self._plan, parts, size, horizon)
        return pack_rows(
            self.layout, merged, version_array(horizon, self.numbered(offset + 1))
        ).to_list()
