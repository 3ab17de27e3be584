"""Screening: which rows of a stream are events, which of these are late, and which are none.

Nothing here does I/O or reads a clock: messages and a progress come in, and what follows from them
goes out, the same for any way of cutting the log into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.view import FeatureView
from noskew.intake.bisect_failures import bisect_failures
from noskew.intake.messages import encode_arrow
from noskew.kernel import values
from noskew.kernel.events import EVENT_ID, EVENT_TIME, SEQUENCE
from noskew.kernel.hashing import hash_slices
from noskew.kernel.keys import encode_columns, integers
from noskew.kernel.log_facts import sequence_in_log
from noskew.kernel.transforms.pipeline import Pipeline, Transformed
from noskew.stores.log.base import Messages
from noskew.streaming.decoding.base import DecodedMessages
from noskew.streaming.fold.progress import PartitionProgress


def identities_of(events: pa.Table, keys: Sequence[str]) -> list[bytes | None]:
    """16 bytes for each event that say its entity and its id; None where the id is null."""
    ids = events.column(EVENT_ID).combine_chunks()
    encoded, _ = encode_columns([events.column(k).combine_chunks() for k in keys])
    both = np.empty((len(ids), 2), np.uint64)
    both[:, 0] = hash_slices(encoded.data, encoded.offsets)
    both[:, 1] = integers(ids).view(np.uint64)
    raw, there = both.tobytes(), values.valid_of(ids)
    return [raw[16 * i : 16 * i + 16] if has else None for i, has in enumerate(there)]


@dataclass(frozen=True)
class Quarantined:
    """A row that could not be taken in: where it stands in the log, and why.

    ``payload``: the message as it is, or of one that holds several rows the row as Arrow IPC.
    """

    partition: int
    offset: int
    place: int
    known_time: int
    reason: str
    payload: bytes


@dataclass(frozen=True)
class Screened:
    """What a batch of messages holds for one view, before what its state knows is looked at.

    Attributes
    ----------
    events
        The events in log order: the view's columns, the clocks, ``_sequence``, ``_bucket``.
    offset
        int64, shape (events,): the message of each.
    known
        int64, shape (events,): the log's known time at each.
    is_late
        bool, shape (events,): behind the newest event so far by more than the lateness.
    identity
        For a source with event ids: 16 bytes for each event that say entity and id; None where
        the id is null. Else None.
    quarantined
        Rows that are no events.
    progress
        As it will be once the batch is folded, but for ``folded``, ``late`` and ``duplicate``.
    """

    events: pa.Table
    offset: NDArray[np.int64]
    known: NDArray[np.int64]
    is_late: NDArray[np.bool_]
    identity: list[bytes | None] | None
    quarantined: list[Quarantined]
    progress: PartitionProgress


class Screening:
    """Screens the messages of a source for one view. Safe to share by threads."""

    def __init__(self, view: FeatureView) -> None:
        self._view = view
        self._keys = list(view.entity.keys)
        self._pipeline = Pipeline(view, streamed=True)

    def __call__(
        self, messages: Messages, decoded: DecodedMessages, progress: PartitionProgress
    ) -> Screened:
        """The events of the messages that were not read yet."""
        new = messages.offsets >= progress.next_offset
        known = np.maximum.accumulate(np.maximum(messages.append_times, progress.known))
        chosen = new[decoded.message]
        rows, message = decoded.rows, decoded.message
        place = decoded.place
        if not chosen.all():
            rows = rows.filter(pa.array(chosen))
            message, place = message[chosen], place[chosen]
        quarantined = [
            Quarantined(
                messages.partition,
                int(messages.offsets[at]),
                0,
                int(known[at]),
                why,
                messages.payloads[at].as_py() or b"",
            )
            for at, why in sorted(decoded.bad.items())
            if new[at]
        ]
        unread = len(quarantined)
        transformed, faults = self._events(rows, known[message])
        rows_of = np.bincount(message, minlength=len(messages)) if faults else message
        for row, why in faults.items():
            at = message[row]
            alone = rows_of[at] == 1
            payload = messages.payloads[at].as_py() if alone else encode_arrow(rows.slice(row, 1))
            quarantined.append(
                Quarantined(
                    messages.partition,
                    int(messages.offsets[at]),
                    int(place[row]),
                    int(known[at]),
                    why,
                    payload,
                )
            )
        quarantined.sort(key=lambda q: (q.offset, q.place))
        offset = messages.offsets[message[transformed.row]]
        sequence = sequence_in_log(offset, place[transformed.row])
        events = transformed.events.append_column(SEQUENCE, pa.array(sequence))
        time = integers(events.column(EVENT_TIME).combine_chunks())
        newest = np.maximum.accumulate(np.maximum(time, progress.newest))
        after = msgspec.structs.replace(
            progress,
            next_offset=max(messages.next_offset, progress.next_offset),
            known=int(known[-1]) if len(known) else progress.known,
            newest=int(newest[-1]) if len(newest) else progress.newest,
            consumed=progress.consumed + len(rows) + unread,
            quarantined=progress.quarantined + len(quarantined),
        )
        return Screened(
            events,
            offset,
            known[message[transformed.row]],
            time < newest - self._view.lateness,
            self._identities(events),
            quarantined,
            after,
        )

    def _events(
        self, rows: pa.Table, known: NDArray[np.int64]
    ) -> tuple[Transformed, Mapping[int, str]]:
        """The events of rows, and why others are none; a transform may fail on some rows."""

        def run(start: int, end: int) -> Transformed:
            return self._pipeline(
                rows.slice(start, end - start), known_time=known[start:end], buckets=1
            )

        done = bisect_failures(run, len(rows))
        faults = dict(done.bad)
        parts = done.parts or [(0, 0, run(0, 0))]
        for start, _, part in parts:
            faults |= {int(start + row): why for why, at in part.refused.items() for row in at}
        events = pa.concat_tables([part.events for _, _, part in parts])
        row = np.concatenate([start + part.row for start, _, part in parts])
        return Transformed(events, row), faults

    def _identities(self, events: pa.Table) -> list[bytes | None] | None:
        return identities_of(events, self._keys) if self._view.source.event_id else None
