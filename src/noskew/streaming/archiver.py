"""Archiver: takes the events of a stream to the offline store, each exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex

import msgspec
import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError
from noskew.kernel.events import SEQUENCE
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.kernel.transforms.pipeline import BUCKET
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.decode import Decoder
from noskew.streaming.identities import Identities
from noskew.streaming.mark import Mark
from noskew.streaming.sorting_out import SortingOut
from noskew.streaming.view_fold import ViewFold

_MARK, _INTENT, _NAME = b"mark", b"intent", b"name"
_TRIES = 5


class _Intent(msgspec.Struct, frozen=True, array_like=True):
    """The messages of a commit under way: it is done with exactly these, or not at all."""

    start: int
    end: int


@dataclass(frozen=True)
class Archived:
    """What a step took to the offline store."""

    rows: int
    next_offset: int


class Archiver:
    """One partition's events of one offline table.

    It reads the log on its own, with a place of its own: what counts as an event is a function
    of the log alone, so it takes the very events that the rows are folded from, and it neither
    slows the processor down nor fails with it. A commit is announced in the state first, by its
    offsets, and carries them in its token: a kill at any moment repeats or finishes it. The token
    names the state as well, for the offsets of another log begin again.
    """

    def __init__(
        self,
        view: FeatureView,
        log: EventLog,
        partition: int,
        *,
        decode: Decoder,
        state: StateStore,
        offline: OfflineStore,
        spec: TableSpec,
    ) -> None:
        self._view, self._log, self._partition = view, log, partition
        self._decode, self._state, self._offline, self._spec = decode, state, offline, spec
        self._sorting, self._fold = SortingOut(view), ViewFold(view, "archive")
        self._identities = Identities(view.source, state, b"")
        self._epoch = state.claim()
        held, intent, name = state.read([_MARK, _INTENT, _NAME])
        if name is None:
            name = token_hex(8).encode()
            state.commit([(_NAME, name)], epoch=self._epoch)
        self._name = name.decode()
        self.mark = Mark.from_bytes(held) if held else Mark()
        self._intent = msgspec.json.decode(intent, type=_Intent) if intent else None

    def behind(self) -> bool:
        """Whether the log holds messages that were not taken."""
        return self.mark.next_offset < self._log.bounds(self._partition)[1]

    def step(self, max_rows: int) -> Archived:
        """Take events up to the end of the log, about ``max_rows`` at most, in one commit."""
        end = self._intent.end if self._intent else self._log.bounds(self._partition)[1]
        start = self.mark.next_offset
        if start >= end:
            return Archived(0, start)
        parts, mark, seen = self._read(end, None if self._intent else max_rows)
        intent = _Intent(start, mark.next_offset)
        self._state.commit([(_INTENT, msgspec.json.encode(intent))], epoch=self._epoch)
        self._intent = intent
        rows = self._append(parts, intent)
        puts = [(_MARK, mark.to_bytes()), *self._identities.puts(seen)]
        gone = self._identities.forgotten(mark)
        self._state.commit(puts, deletes=[_INTENT, *gone], epoch=self._epoch)
        self.mark, self._intent = mark, None
        return Archived(rows, mark.next_offset)

    def close(self) -> None:
        """Close the state."""
        self._state.close()

    def _read(
        self, end: int, max_rows: int | None
    ) -> tuple[list[pa.Table], Mark, dict[bytes, int]]:
        """Events of the messages up to ``end``, the mark after them, the identities they add."""
        parts: list[pa.Table] = []
        mark, seen, rows = self.mark, dict[bytes, int](), 0
        with self._log.reader({self._partition: mark.next_offset}) as reader:
            while mark.next_offset < end and (max_rows is None or rows < max_rows):
                for messages in reader.poll(1.0):
                    held = messages.until(end)
                    out = self._sorting(held, self._decode(held.payloads), mark)
                    accepted = self._fold.accept(out, self._identities.seen(out, seen))
                    parts.append(accepted.table)
                    seen |= accepted.seen
                    rows += len(accepted.table)
                    mark = accepted.mark
        return parts, mark, seen

    def _append(self, parts: list[pa.Table], intent: _Intent) -> int:
        token = f"stream:{self._name}:{self._partition}:{intent.start}-{intent.end}"
        for left in reversed(range(_TRIES)):
            try:
                return self._offline.append(self._spec.name, self._batches(parts), token=token).rows
            except ConflictError:  # another partition, or an ingest, committed meanwhile
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _batches(self, parts: list[pa.Table]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            columns = [part.column(k).combine_chunks() for k in self._spec.keys]
            bucket = buckets_of(encode_columns(columns)[0], self._spec.buckets)
            at = part.column_names.index(BUCKET)
            made = part.set_column(at, BUCKET, pa.array(bucket)).drop_columns([SEQUENCE])
            yield from made.to_batches()
