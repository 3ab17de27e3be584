"""Archiving: the archivers of a stream, run beside its processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock, Thread

from noskew.closing import Closing
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, NoskewError
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.archiver import Archiver
from noskew.streaming.decode import decoder

#: How often events are taken to the offline store. Training sees an event within a minute.
EVERY_S = 20.0
#: Events of one commit, which are held in memory.
_COMMIT_ROWS = 2_000_000


class Archiving(Closing):
    """Takes the events of a source's views to the offline store, by a thread of its own.

    A failure is kept and tried again at the next turn; :attr:`fault` says what it was.
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
        partitions: Sequence[int] | None = None,
    ) -> None:
        if source.stream is None:
            raise ConfigError(f"source {source.name!r} has no stream")
        decode = decoder(source.stream.format, source.schema, f"source {source.name!r}")
        self.fault: NoskewError | None = None
        self._archivers = []
        for log_hash, view in {v.log_hash: v for v in views}.items():
            spec = spec_of(view)
            offline.create(spec)
            spec = offline.info(spec.name).spec  # a table that exists keeps its buckets
            for number in range(log.partitions) if partitions is None else partitions:
                state = StateStore(directory / f"{log_hash[:16]}-{number}")
                self._archivers.append(
                    Archiver(view, log, number, decode=decode, state=state,
                             offline=offline, spec=spec)
                )  # fmt: skip
        self._stop = Event()
        self._turn = Lock()
        self._thread = Thread(target=self._work, name=f"archive {source.name}", daemon=True)
        self._thread.start()

    def catch_up(self) -> None:
        """Archive everything that is in the log now."""
        with self._turn:
            for archiver in self._archivers:
                while archiver.behind():
                    archiver.step(_COMMIT_ROWS)

    def close(self) -> None:
        """Stop at the end of the commit under way, and close the states."""
        self._stop.set()
        self._thread.join()
        for archiver in self._archivers:
            archiver.close()

    def _work(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                with self._turn:
                    for archiver in self._archivers:
                        archiver.step(_COMMIT_ROWS)
                self.fault = None
            except NoskewError as error:
                self.fault = error
