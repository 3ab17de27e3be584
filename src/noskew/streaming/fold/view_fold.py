"""ViewFold: what a batch of a stream does to the rows of one view. Bytes in, bytes out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.view import FeatureView
from noskew.kernel.events import EVENT_ID, Events
from noskew.kernel.keys import encode_columns
from noskew.kernel.log_facts import offset_in_log
from noskew.kernel.online_keys import part_suffix, rows_prefix
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
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Quarantined, Screened

#: Rows are made by several threads, from so many on for each: the kernel lets go of the
#: interpreter's lock.
_ROWS_A_PART = 2_000
_THREADS = min(8, os.cpu_count() or 1)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="noskew-fold")


@dataclass(frozen=True)
class Accepted:
    """The events of a batch that count, by entity, and everything else that becomes of it.

    Attributes
    ----------
    events
        The events that count.
    table, late
        The events that count, and those that were kept out for being late, in log order.
    seen
        Identities of events that are new, with the known time they were accepted at.
    quarantined
        Rows that are no events.
    mark
        How far the view is when this batch is folded.
    """

    events: Events
    table: pa.Table
    late: pa.Table
    seen: dict[bytes, int]
    quarantined: list[Quarantined]
    mark: PartitionProgress


class ViewFold:
    """Folds the events of one partition into the rows of a view.

    ``rows(log[0..o])`` is a function of the messages alone: each row is the fold of its
    entity's events, at the known time of the last of them, and its version is that known time
    and the number that follows that event's offset. So the same messages give the same bytes
    however they are cut into batches, and a row that is written again changes nothing.

    ``generation`` counts how often the rows were made anew from the archive: of two rows of the
    same known time, the one of the later generation is later.
    """

    def __init__(self, view: FeatureView, project: str, generation: int = 0) -> None:
        self.view, self.generation = view, generation
        self._number = generation << OFFSET_BITS
        self.prefix = rows_prefix(project, view)
        self._plan = compile_view(view)
        self.layout = RowLayout(self._plan)
        self._keys = list(view.entity.keys)

    def numbered(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of versions: the generation, then the offset that comes next."""
        return self._number | number

    def version(self, mark: PartitionProgress) -> bytes:
        """No row is later of which the mark has seen all events."""
        return version_bytes(mark.known, self._number | mark.next_offset)

    def accept(self, sorted_out: Screened, seen: Mapping[bytes, int]) -> Accepted:
        """Which events count. ``seen``: when identities of the batch were accepted before."""
        table = sorted_out.events
        keeps_out = self.view.late != "fold"
        barred = sorted_out.is_late if keeps_out else np.zeros(len(sorted_out.is_late), bool)
        duplicate, new = self._duplicates(sorted_out, seen, barred)
        late = sorted_out.is_late & ~duplicate
        kept_out = barred & ~duplicate
        counts = ~duplicate & ~kept_out
        chosen = table if counts.all() else table.filter(pa.array(counts))
        known = chosen.drop_columns([EVENT_ID]) if EVENT_ID in chosen.column_names else chosen
        events = Events.from_table(known, self._keys)
        mark = sorted_out.mark
        after = msgspec.structs.replace(
            mark,
            late=mark.late + int(kept_out.sum()),
            duplicate=mark.duplicate + int(duplicate.sum()),
            late_folded=mark.late_folded + int((late & ~kept_out).sum()),
            folded=mark.consumed
            - mark.quarantined
            - mark.late
            - mark.duplicate
            - int(kept_out.sum())
            - int(duplicate.sum()),
        )
        return Accepted(
            events,
            chosen,
            table.filter(pa.array(kept_out)),
            new,
            sorted_out.quarantined,
            after,
        )

    def keys(self, accepted: Accepted, partition: int) -> list[bytes]:
        """The key in the online store of the row of each entity, or of its part of a partition."""
        events = accepted.events
        if not len(events):
            return []
        columns = [events.keys.column(k).combine_chunks() for k in self._keys]
        found = encode_columns(columns, self.prefix)[0]
        if self.view.has_partial_rows:
            found = concat([found, repeat(part_suffix(partition + 1), len(found))])
        return found.to_list()

    def rows(self, accepted: Accepted, held: Sequence[bytes | None]) -> list[bytes]:
        """The rows of the accepted entities, from what they were before (None: nothing)."""
        size = len(held)
        if size < 2 * _ROWS_A_PART:
            return self._rows(accepted.events, held) if size else []
        parts = min(_THREADS, size // _ROWS_A_PART)
        cuts = [size * i // parts for i in range(parts + 1)]
        _ = accepted.events.table  # put in order once, not by each thread

        def part(first: int, last: int) -> list[bytes]:
            return self._rows(accepted.events.between(first, last), held[first:last])

        return [row for rows in _pool().map(part, cuts[:-1], cuts[1:]) for row in rows]

    def _rows(self, events: Events, held: Sequence[bytes | None]) -> list[bytes]:
        size = len(held)
        starts = events.offsets[:-1]
        horizon = np.maximum.reduceat(events.known_time, starts)
        # A row of history may have been known later than a message of the log was appended.
        horizon = np.maximum(horizon, known_times(held))
        offset = offset_in_log(np.maximum.reduceat(events.sequence, starts))
        at = np.arange(size)
        parts = [(fold(self._plan, events, horizon), at)]
        there = np.array([i for i, row in enumerate(held) if row is not None], np.int64)
        if len(there):
            before = unpack_rows(self.layout, [row for row in held if row is not None])
            parts.insert(0, (before, there))
        made = merge(self._plan, parts, size, horizon)
        return pack_rows(
            self.layout, made, version_array(horizon, self.numbered(offset + 1))
        ).to_list()

    def _duplicates(
        self, sorted_out: Screened, seen: Mapping[bytes, int], barred: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], dict[bytes, int]]:
        """Which events repeat one that counts, and the identities of those that now do.

        ``barred``: events that do not count in any case, so that no later one repeats them.
        """
        duplicate = np.zeros(len(sorted_out.offset), bool)
        new: dict[bytes, int] = {}
        if sorted_out.identity is None:
            return duplicate, new
        horizon = self.view.source.event_id_horizon
        known = sorted_out.known.tolist()
        for i, identity in enumerate(sorted_out.identity):
            if identity is None:
                continue
            before = new.get(identity, seen.get(identity))
            if before is not None and known[i] - before <= horizon:
                duplicate[i] = True
            elif not barred[i]:
                new[identity] = known[i]
        return duplicate, new
