"""Publishing to a remote store that never loses what it acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from noskew.addresses import OnlineRows, is_entity_key
from noskew.kernel.rows.codec import OFFSET_BITS, VERSION_BYTES, version_of
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.fold.partition import PartitionFold
from noskew.streaming.publish.lost_log import replace_lost
from noskew.streaming.publish.publisher import NOTHING, Remote, View, write_batches


class Lasting(Remote):
    """Rows wait here, the newest of each key, until the store has them.

    It needs no frontier keys. The row that says how far a partition is, is written after the
    rows that made it so, and neither is ever lost: what it says is published is. So it is looked
    at once, when a partition joins, for what was committed to the state and never published; and
    nothing is looked at while the stream runs.
    """

    def __init__(
        self, online: OnlineStore, state: StateStore, generations: Mapping[bytes, StreamGeneration]
    ) -> None:
        super().__init__(online, state, generations)
        self._joined: set[int] = set()

    def open(self, partitions: Iterable[PartitionFold]) -> None:
        joining = list(partitions)
        super().open(joining)
        self._joined.update(partition.number for partition in joining)
        self._is_begun = self._is_begun and not joining

    def drop(self, number: int) -> None:
        super().drop(number)
        self._joined.discard(number)

    def _begin(self) -> None:
        """Publish what the store lacks, before anything newer could say that it has it."""
        super()._begin()
        for view in self._views.values():
            lacking = {n: self._published(view, n) for n in self._joined & view.added.keys()}
            lacking = {n: since for n, since in lacking.items() if since < view.added[n]}
            if lacking:
                self._catch_up(view, lacking, min(lacking.values()))
        self._joined.clear()

    def _confirm(self) -> None:
        """There is nothing to confirm: what was acknowledged is there."""

    def _published(self, view: View, number: int) -> bytes:
        """The version up to which the store has the rows of a partition."""
        (row,) = self._online.read([OnlineRows(view.prefix).progress(number)])
        # Rows that were made anew are others, though their known times are the same.
        if row is None or version_of(row)[1] >> OFFSET_BITS != view.generation.number:
            return NOTHING
        return row[:VERSION_BYTES]

    def _catch_up(self, view: View, numbers: Iterable[int], since: bytes) -> None:
        """Publish the rows of the state from a version on, then how far the partitions are.

        How far they are is read before the rows: it says nothing of rows that come meanwhile. And
        it is that of these partitions alone; of others the rows may be on their way elsewhere.
        """
        if since == NOTHING and view.generation.log_since:
            replace_lost(self._online, self._state, view.prefix, view.generation)
            self._put(self._first)
        keys = [OnlineRows(view.prefix).progress(number) for number in numbers]
        progress = dict(zip(keys, self._state.rows(keys), strict=True))
        newer = (
            (key, row)
            for key, row in self._state.scan(view.prefix)
            if is_entity_key(key) and row[: len(since)] >= since
        )
        for items in write_batches(newer):
            self._online.write([key for key, _ in items], [row for _, row in items])
            self.published_again += len(items)
        self._put({key: row for key, row in progress.items() if row is not None})
