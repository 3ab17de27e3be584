"""Archiving: the archives of a stream, written beside its processor."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread, get_native_id

import pyarrow as pa

from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, ConflictError, FencedError, NoskewError
from noskew.resources import Closing
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.archive.archive import Archive
from noskew.streaming.decoding.factory import decoder
from noskew.streaming.fault_log import FaultLog
from noskew.streaming.quarantine.schema import quarantine_spec

_logger = logging.getLogger(__name__)

#: How often events are taken to the offline store. Training sees an event within a minute.
EVERY_S = 20.0
#: How often, in turns, old snapshots of the tables are forgotten.
_EXPIRE_TURNS = 180
#: How much less the archive's thread is worth to the scheduler (``nice``) than its process.
_NICE = 10
#: Events of one commit, which are held in memory.
_COMMIT_ROWS = 2_000_000


class Archiving(Closing):
    """Takes the events of a source's views to the offline store, by a thread of its own.

    Views that share their events share a table. ``partitions`` is asked at each turn for those
    to archive (None: all of them). Small files are merged as they add up, and ``expire`` is called
    now and then with the name of a table, to forget old snapshots. A failure is kept and tried
    again at the next turn; :attr:`fault` says what it was.
    """

    def __init__(
        self,
        source: Source,
        views: Sequence[FeatureView],
        log: EventLog,
        offline: OfflineStore,
        *,
        directory: Path,
        spec_of: Callable[[FeatureView], TableSpec],
        expire: Callable[[str], None],
        partitions: Callable[[], Collection[int]] | None = None,
    ) -> None:
        if source.stream is None:
            raise ConfigError(f"source {source.name!r} has no stream")
        self._views = list({v.log_hash: v for v in views}.values())
        self._log, self._offline, self._spec_of = log, offline, spec_of
        self._expire, self._turns = expire, 0
        self._partitions = partitions or (lambda: range(log.partitions))
        self._decode = decoder(source)
        self._state = StateStore(directory)
        self._archives = {v.log_hash: self._opened(v) for v in self._views}
        self.fault: NoskewError | None = None
        self._name = f"archive of {source.name}"
        self._fault_log = FaultLog(_logger, self._name)
        self._stop = Event()
        self._turn = Lock()
        self._thread = Thread(target=self._work, name=f"archive {source.name}", daemon=True)
        self._thread.start()

    def catch_up(self) -> None:
        """Archive everything that is in the log now; what comes meanwhile may wait."""
        ends = {n: self._log.bounds(n)[1] for n in range(self._log.partitions)}
        with self._turn:
            for view in self._views:
                self._archives[view.log_hash].follow(self._partitions())
                while self._archives[view.log_hash].behind(ends):
                    with suppress(FencedError):  # whoever was faster brought it forward
                        self._step(view)

    def close(self) -> None:
        """Stop at the end of the commit under way, and close the state."""
        self._stop.set()
        self._thread.join()
        self._state.close()

    def _opened(self, view: FeatureView) -> Archive:
        spec = self._spec_of(view)
        self._offline.create(spec)
        spec = self._offline.info(spec.name).spec  # a table that exists keeps its buckets
        return Archive(
            view,
            self._log,
            self._partitions(),
            decode=self._decode,
            state=self._state,
            offline=self._offline,
            spec=spec,
        )

    def _work(self) -> None:
        _give_way()
        _logger.info("%s: started", self._name)
        while not self._stop.wait(EVERY_S):
            try:
                with self._turn:
                    for view in self._views:
                        self._turn_of(view)
                    self._turns += 1
                _release_memory()
                self._note(None)
            except NoskewError as error:
                self._note(error)
        _logger.info("%s: stopped", self._name)

    def _note(self, fault: NoskewError | None) -> None:
        self.fault = fault
        self._fault_log.note(fault)

    def _turn_of(self, view: FeatureView) -> None:
        if self._step(view):
            for table in (self._spec_of(view).name, quarantine_spec(view).name):
                self._tend(table)

    def _step(self, view: FeatureView) -> int:
        """One commit; how many events. After FencedError the next one goes on where it is."""
        archive = self._archives[view.log_hash]
        try:
            archive.follow(self._partitions())
            return archive.step(_COMMIT_ROWS)
        except FencedError:
            # Another process, or a commit of our own that we were not told of: look again.
            self._archives[view.log_hash] = self._opened(view)
            raise

    def _tend(self, table: str) -> None:
        """Keep a table of many small commits in shape."""
        with suppress(ConflictError):  # somebody else does; there is another turn
            self._offline.compact(table, small=True)
            if self._turns % _EXPIRE_TURNS == _EXPIRE_TURNS - 1:
                self._expire(table)


def _give_way() -> None:
    """Let this thread run when no other needs the processor: nobody waits for the archive.

    Linux has a priority for each thread; elsewhere all stay equal.
    """
    if sys.platform == "linux":
        own = get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _NICE)


def _release_memory() -> None:
    """Give back what a turn held: it comes seldom, and what runs beside it needs less."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
