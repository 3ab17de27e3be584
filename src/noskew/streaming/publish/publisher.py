"""Publishing: takes changed rows to an online store, and notices when the store lost them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import Protocol

from noskew.addresses import OnlineRows, is_entity_key
from noskew.errors import StoreError, StoreFullError, StoreUnavailableError
from noskew.kernel.rows.codec import OFFSET_BITS, VERSION_BYTES, version_of
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.fault_log import FaultLog
from noskew.streaming.fold.partition import PartitionFold, ViewStep
from noskew.streaming.publish.lost_log import first_number, replace_lost

_logger = logging.getLogger(__name__)

#: Rows given to the online store in one call.
_WRITE_ROWS = 10_000
#: How often it is asked whether it still holds what was published.
_CONFIRM_S = 1.0
#: How long to wait before a store that failed is tried again.
_RETRY_S = 0.5
#: The version of a store that holds nothing.
NOTHING = b""
_TURNS = (0, 1)


class Publishing(Protocol):
    """What becomes of the rows that partitions change. ``fault``: why the store took none."""

    fault: StoreError | None
    published_again: int

    @property
    def waiting(self) -> int:
        """Rows that the online store does not have yet."""

    def open(self, partitions: Iterable[PartitionFold]) -> None:
        """Partitions join; the store may lack what was committed of them."""

    def drop(self, number: int) -> None:
        """A partition leaves; the store has its rows."""

    def add(self, changes: Iterable[ViewStep]) -> None:
        """Rows to publish, with how far their views are."""

    def work(self, *, now: bool = False) -> bool:
        """Publish and confirm what is due, all of it if ``now``. True: the store holds it all."""


class Embedded:
    """The state is the online store's own: rows were published by the commit that made them."""

    fault: StoreError | None = None
    published_again = 0
    waiting = 0

    def __init__(self, online: OnlineStore) -> None:
        self._online = online

    def open(self, partitions: Iterable[PartitionFold]) -> None:
        for partition in partitions:
            parts = partition.parts()
            self._online.write(list(parts), list(parts.values()))

    def drop(self, number: int) -> None: ...

    def add(self, changes: Iterable[ViewStep]) -> None: ...

    def work(self, *, now: bool = False) -> bool:
        del now
        return True


@dataclass
class View:
    """What one view has on its way. Versions are by partition."""

    prefix: bytes
    generation: StreamGeneration
    rows: dict[bytes, bytes] = field(default_factory=dict)
    progress: dict[bytes, bytes] = field(default_factory=dict)
    added: dict[int, bytes] = field(default_factory=dict)
    #: What each turn of the frontier keys says.
    confirmed: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    #: Every row of at least this version is to be published again; None: none is.
    lost: bytes | None = None

    @property
    def begun(self) -> bytes:
        """The version of a frontier before anything was published of the rows of this log."""
        return bytes(8) + (self.generation.log_since << OFFSET_BITS | 1).to_bytes(8, "big")


class Remote:
    """Rows wait here, the newest of each key, until the store has them.

    A store that is down or full stops nothing. And it may lose what it acknowledged: a Redis
    whose primary fails over to a replica that is behind, or one that is emptied. So *frontier*
    keys, enough of them that every shard has some, are written after the rows, with the version
    up to which rows were published. A shard that lost rows lost its frontier keys, too, as it
    loses the last writes first; reading them tells from where rows are published again. There are
    two turns of them, written alternately: what is lost between a look at the one and the writing
    of the other takes the first one along, which the next look misses.
    """

    def __init__(
        self, online: OnlineStore, state: StateStore, generations: Mapping[bytes, StreamGeneration]
    ) -> None:
        self._online, self._state = online, state
        self._views = {prefix: View(prefix, its) for prefix, its in generations.items()}
        #: What has to be there before any row is, and whether it is.
        self._first: dict[bytes, bytes] = {}
        self._is_begun = True
        self._store_generation: bytes | None = None
        self._tried = self._confirmed = -math.inf
        self.fault: StoreError | None = None
        self._fault_log = FaultLog(_logger, "publishing to the online store")
        self.published_again = 0

    @property
    def waiting(self) -> int:
        return sum(len(v.rows) for v in self._views.values())

    def open(self, partitions: Iterable[PartitionFold]) -> None:
        for partition in partitions:
            for key, row in partition.parts().items():
                self._first[key] = max(row, self._first.get(key, row))
            self._is_begun = not self._first
            for prefix, version in partition.versions().items():
                view = self._views[prefix]
                view.added[partition.number] = version
                # Until the frontier says otherwise.
                view.confirmed[partition.number] = (version, version)

    def drop(self, number: int) -> None:
        for view in self._views.values():
            view.added.pop(number, None)
            view.confirmed.pop(number, None)

    def add(self, changes: Iterable[ViewStep]) -> None:
        for change in changes:
            view = self._views[change.prefix]
            view.rows |= zip(change.keys, change.rows, strict=True)
            view.progress[OnlineRows(change.prefix).progress(change.partition)] = (
                change.progress_row
            )
            view.added[change.partition] = change.version

    def work(self, *, now: bool = False) -> bool:
        if self.fault is not None and monotonic() - self._tried < _RETRY_S:
            return False
        self._tried = monotonic()
        try:
            if not self._is_begun:
                self._begin()
                self._is_begun = True
            for view in self._views.values():
                self._write(view)
            if now or self._tried - self._confirmed >= _CONFIRM_S:
                self._confirm()
                self._confirmed = self._tried
        except (StoreUnavailableError, StoreFullError) as error:
            self._note(error)
            return False
        self._note(None)
        return True

    def _note(self, fault: StoreError | None) -> None:
        self.fault = fault
        self._fault_log.note(fault)

    def _begin(self) -> None:
        """Publish what has to be there before any row is."""
        self._put(self._first)

    def _write(self, view: View) -> None:
        """Publish what waits. When it raises, everything waits on, and some may be written."""
        if view.rows:
            self._put(view.rows)
            view.rows.clear()
        if view.progress:  # after the rows: who reads it finds them
            self._put(view.progress)
            view.progress.clear()

    def _put(self, rows: Mapping[bytes, bytes]) -> None:
        for items in write_batches(rows.items()):
            self._online.write([key for key, _ in items], [row for _, row in items])

    def _confirm(self) -> None:
        """Check that the store still holds what was published; tell it how far that is.

        A server that took over from another may lack the last rows that the other acknowledged.
        If that happened while the frontier was written, nothing says how many: then all rows are
        published again.
        """
        store_generation = self._online.generation()
        if self._store_generation is None:
            self._store_generation = store_generation
        moved = store_generation != self._store_generation
        for view in self._views.values():
            self._find_lost(view, moved)
            self._publish_again(view)
            self._tell_frontier(view)
        after = self._online.generation()
        if after != store_generation:
            for view in self._views.values():
                view.lost = NOTHING
                self._publish_again(view)
        self._store_generation = after  # not before: whatever failed until here is looked at again

    def _find_lost(self, view: View, moved: bool) -> None:
        """What the store lost since the last time; everything since then if it ``moved``."""
        for number, confirmed in view.confirmed.items():
            there = self._frontier(view, number)
            if moved or there[0] < confirmed[0] or there[1] < confirmed[1]:
                since = min(*there, *confirmed)
                view.lost = since if view.lost is None else min(view.lost, since)

    def _frontier(self, view: View, number: int) -> tuple[bytes, bytes]:
        """The version of each turn up to which every shard holds what was published."""
        keys = [k for turn in _TURNS for k in OnlineRows(view.prefix).frontier(number, turn)]
        first = first_number(view.generation)
        versions = [
            NOTHING if row is None or row[8:VERSION_BYTES] < first else row[:VERSION_BYTES]
            for row in self._online.read(keys)
        ]
        half = len(versions) // 2
        return min(versions[:half]), min(versions[half:])

    def _publish_again(self, view: View) -> None:
        """Publish the rows of the state that the store may lack, however many these are."""
        if view.lost is None:
            return
        if view.lost == NOTHING and view.generation.log_since:
            replace_lost(self._online, self._state, view.prefix, view.generation)
        self._put(self._first)
        for number in view.confirmed:
            # What is emptied from now on loses this; what was until now, the other turn.
            self._tell(view, number, 1, view.begun)
            view.lost = min(view.lost, self._frontier(view, number)[0])
        since, before = view.lost, self.published_again
        newer = (
            (key, row) for key, row in self._state.scan(view.prefix) if row[: len(since)] >= since
        )
        for items in write_batches(newer):
            self._online.write([key for key, _ in items], [row for _, row in items])
            self.published_again += sum(is_entity_key(key) for key, _ in items)
        if again := self.published_again - before:
            _logger.warning("the online store may have lost rows: %d were published again", again)
        view.lost = None
        view.confirmed = dict.fromkeys(view.confirmed, (NOTHING, view.begun))

    def _tell_frontier(self, view: View) -> None:
        for number, version in view.added.items():
            first, second = view.confirmed[number]
            if version > max(first, second):
                turn = int(second < first)  # the older one
                self._tell(view, number, turn, version)
                view.confirmed[number] = (first, version) if turn else (version, second)

    def _tell(self, view: View, number: int, turn: int, version: bytes) -> None:
        keys = OnlineRows(view.prefix).frontier(number, turn)
        self._online.write(keys, [heartbeat_row(*version_of(version))] * len(keys))


def write_batches(items: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Keys and rows, as many at a time as a store is given in one call."""
    rest = iter(items)
    while batch := list(islice(rest, _WRITE_ROWS)):
        yield batch
