"""Streams that are folded by threads of this process, for as long as they are needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import perf_counter
from types import TracebackType
from typing import Self

import pyarrow as pa

from noskew.errors import StoreUnavailableError
from noskew.feature_store import FeatureStore
from noskew.intake.waiting import online_views, wait_until_readable
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.workers.processor import PartitionPosition
from noskew.wire.pushed import Pushed

#: How long a wait goes on, and how often it is looked whether a thread has failed.
_PATIENCE_S = 60.0
_LOOK_S = 0.5


@dataclass(frozen=True)
class Lag:
    """How far a stream is: rows that were read, and messages that were not yet."""

    rows: int
    messages: int


class Folding:
    """Folds sources of a project with one partition each, and pushes to them meanwhile.

    Used in a ``with`` statement, at the end of which everything that was pushed is online and
    archived, and what a thread raised is raised. One thread pushes.
    """

    def __init__(self, store: FeatureStore, sources: Collection[str]) -> None:
        # Opened here: threads that open a store at the same time would open it twice.
        _ = store.registry, store.offline, store.online, store.logs
        self._store = store
        project = store.applied.project
        self._views = {
            name: online_views(store.tenant, project.source(name), project.views.values())
            for name in sources
        }
        self._positions: dict[str, list[PartitionPosition]] = {}
        self._pushed: dict[str, Pushed] = {}
        self._stop = Event()
        self._work: list[Future[None]] = []

    def push(self, parts: Mapping[str, pa.Table]) -> None:
        """Append rows to the logs of sources. Raises what a thread has raised."""
        self._check()
        for name, rows in parts.items():
            self._pushed[name] = self._store.push(name, rows)

    def settle(self) -> None:
        """Return when reads see everything that was pushed.

        Raises what a thread has raised, and StoreUnavailableError if it takes a minute.
        """
        for name, pushed in self._pushed.items():
            until = perf_counter() + _PATIENCE_S
            views = self._views[name]
            while not wait_until_readable(self._store.online, views, pushed, _LOOK_S).readable:
                self._check()
                if perf_counter() > until:
                    raise StoreUnavailableError(
                        f"what was pushed to {name!r} cannot be read after {_PATIENCE_S:.0f} s"
                    )

    def lag(self, name: str) -> Lag:
        """How far the stream of a source is, by what its thread told last."""
        end = self._pushed[name][0] if name in self._pushed else 0
        positions = self._positions.get(name)
        if not positions:
            return Lag(0, end)
        (partition,) = positions
        rows = max(progress.consumed for progress in partition.progress.values())
        return Lag(rows, max(0, end - partition.next_offset))

    def progress(self) -> dict[str, PartitionProgress]:
        """What became of the rows that were read, by view."""
        by_view: dict[str, PartitionProgress] = {}
        for (partition,) in self._positions.values():
            by_view |= partition.progress
        return by_view

    def __enter__(self) -> Self:
        pool = ThreadPoolExecutor(len(self._views), thread_name_prefix="stream")
        for name in self._views:
            keep = partial(self._positions.__setitem__, name)
            self._work.append(pool.submit(self._store.stream, name, stop=self._stop, progress=keep))
        pool.shutdown(wait=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.settle()
        finally:
            self._stop.set()
            faults = [done.exception() for done in self._work]
        if error is None:
            for fault in filter(None, faults):
                raise fault

    def _check(self) -> None:
        for done in self._work:
            if done.done():
                done.result()
