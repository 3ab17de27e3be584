"""Streams: what processes a project's streaming sources, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from noskew.addresses import Folders, Tenant
from noskew.clock import Clock
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import (
    ConfigError,
    ConflictError,
    DefinitionError,
    FencedError,
    RebuiltError,
)
from noskew.intake.logs import Logs
from noskew.intake.tables import table_name, table_spec
from noskew.registry.base import Registry
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.archive.archiving import Archiving
from noskew.streaming.fold.generation import StreamGenerations
from noskew.streaming.publish.freshness import Freshness
from noskew.streaming.publish.publishers import publishing
from noskew.streaming.status.verification import Verification, Verified
from noskew.streaming.workers.assignment import PartitionAssignment
from noskew.streaming.workers.bootstrap import Bootstrap
from noskew.streaming.workers.fold_base import FoldBase
from noskew.streaming.workers.processor import (
    Assignment,
    PartitionPosition,
    Processor,
    StreamWatcher,
)

_logger = logging.getLogger(__name__)

#: Told of a view's name, and how many more of its events are done.
ViewProgress = Callable[[str, int], None]

#: How often to look again at a stream that goes on faster than its archive.
_TRIES = 10
#: How long snapshots are kept that no saved training set was made of, in µs: what was made of them
#: can be saved, and be rebuilt for ever, until then.
_KEEP_SNAPSHOTS = 7 * 86_400_000_000


@dataclass(frozen=True)
class Streams:
    """The streams of a project. ``folders``: where this machine keeps what belongs to them."""

    tenant: Tenant
    folders: Folders
    clock: Clock
    buckets: int
    logs: Logs
    registry: Registry
    offline: OfflineStore
    online: OnlineStore

    def processor(
        self,
        source: Source,
        views: Iterable[FeatureView],
        *,
        partitions: Sequence[int] | None = None,
        assignment: Assignment | None = None,
    ) -> Processor:
        """The processor of the online views of a source; their rows are made where they lack.

        Raises DefinitionError for a source with event ids whose partitions are by no key, and
        OffsetLostError for a log that is not, or no longer, the one that the rows are of.
        """
        mine = [v for v in views_of_source(source, views) if v.online]
        if not mine:
            raise ConfigError(f"no view is made online from the source {source.name!r}")
        log = self.logs.of(source)
        for view in mine:
            _check_key(view, source, log.partitions)
        self._archive_history(source, mine)
        state = self._state(source)
        try:
            bootstrap = self._bootstrap(source, log, state)
            folds = [bootstrap.ready(v, table_name(v)) for v in mine]
            base = FoldBase(bootstrap, folds)
            generations = base.generations()
            return Processor(
                source,
                base,
                log,
                tenant=self.tenant,
                state=state,
                partitions=partitions,
                assignment=assignment,
                publishing=publishing(self.online, state, generations),
                freshness=Freshness(self.online, self.clock, list(generations), log.partitions),
            )
        except BaseException:
            state.close()
            raise

    def _archive_history(self, source: Source, views: Sequence[FeatureView]) -> None:
        """Before a view starts beside facts that are there: archive what the log holds by now.

        Of an event that was ingested and is in the log, too, the one that was known first counts;
        so both must be there when the first rows are made.
        """
        new = [
            v
            for v in views
            if self._generations.of(v) is None and table_name(v) in self.offline.tables()
        ]
        if new:
            with self.archiving(source, new) as archiving:
                archiving.catch_up()

    def archiving(
        self,
        source: Source,
        views: Iterable[FeatureView],
        *,
        partitions: Callable[[], Collection[int]] | None = None,
    ) -> Archiving:
        """What takes the events of all views of a source to the offline store."""
        return Archiving(
            source,
            views_of_source(source, views),
            self.logs.of(source),
            self.offline,
            directory=self.folders.archive_state(source.name),
            spec_of=self._spec_of,
            expire=self._expire,
            partitions=partitions,
        )

    def run(
        self,
        source: Source,
        views: Iterable[FeatureView],
        *,
        stop: Event | None,
        progress: StreamWatcher | None = None,
    ) -> None:
        """Process and archive a source until ``stop`` is set; None: until both are caught up.

        Any number of processes may do so at once, on any number of machines: they share the
        partitions of the log. When rows are made anew meanwhile (:meth:`rebuild`), it goes on
        with the new ones.
        """
        mine = list(views)
        with self.assignment(source) as assignment:
            while True:
                try:
                    return self._run(source, mine, assignment, stop, progress)
                except RebuiltError as rebuilt:
                    _logger.info("stream %s: goes on with new rows: %s", source.name, rebuilt)

    def _run(
        self,
        source: Source,
        views: Sequence[FeatureView],
        assignment: PartitionAssignment,
        stop: Event | None,
        progress: StreamWatcher | None,
    ) -> None:
        with (
            self.processor(source, views, assignment=assignment) as processor,
            self.archiving(source, views, partitions=lambda: assignment.wanted) as archiving,
        ):
            watcher = progress and _of_both(progress, archiving)
            processor.run(stop or Event(), until_caught_up=stop is None, watcher=watcher)
            archiving.catch_up()

    def assignment(self, source: Source) -> PartitionAssignment:
        """The part of this worker in the partitions of a source."""
        log = self.logs.of(source)
        return PartitionAssignment(
            self.registry, self.tenant.name, source.name, lambda: log.partitions, self.clock
        )

    def rebuild(
        self, source: Source, views: Iterable[FeatureView], *, progress: ViewProgress | None = None
    ) -> None:
        """Make the rows of a source's views anew, from all that is archived and the present log.

        What the log holds and the archive does not is read by the streams that run meanwhile,
        on any machine, or at the next run. ``progress`` is told of archived events.
        """
        log, state = self.logs.of(source), self._state(source)
        with state:
            bootstrap = self._bootstrap(source, log, state)
            for view in views_of_source(source, views):
                if view.online:
                    bootstrap.renew(view, table_name(view))
                    of_view = progress and partial(progress, view.name)
                    bootstrap.ready(view, table_name(view), progress=of_view)

    def verify(
        self,
        source: Source,
        views: Iterable[FeatureView],
        *,
        repair: bool = False,
        progress: ViewProgress | None = None,
    ) -> list[Verified]:
        """Compare the rows of a source's views with those computed anew from what is archived.

        A stream may run meanwhile. ``repair``: rows that the online store has otherwise than the
        state are written again; rows of the state itself are made anew by :meth:`rebuild`.
        ``progress`` is told of archived events.
        """
        mine = [v for v in views_of_source(source, views) if v.online]
        log = self.logs.of(source)
        with self._state(source) as state:
            check = Verification(source.name, self.tenant, log, self.offline, self.online, state)
            return [
                self._verified(
                    check, source, view, repair, progress and partial(progress, view.name)
                )
                for view in mine
            ]

    def _verified(
        self,
        check: Verification,
        source: Source,
        view: FeatureView,
        repair: bool,
        progress: Callable[[int], None] | None,
    ) -> Verified:
        for left in reversed(range(_TRIES)):
            try:
                with self.archiving(source, [view]) as archiving:
                    archiving.catch_up()
                return check.run(view, table_name(view), repair=repair, progress=progress)
            except (ConflictError, FencedError):  # a stream that runs was faster
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _state(self, source: Source) -> StateStore:
        return StateStore(self.online.embedded_at or self.folders.stream_state(source.name))

    def _bootstrap(self, source: Source, log: EventLog, state: StateStore) -> Bootstrap:
        return Bootstrap(
            source.name, self.tenant, log, self.offline, self.online, state, self._generations
        )

    @property
    def _generations(self) -> StreamGenerations:
        return StreamGenerations(self.tenant.name, self.registry, self.clock)

    def _expire(self, table: str) -> None:
        """Forget snapshots of a table that nobody needs: training sets that were saved do."""
        saved = self.registry.training_sets(self.tenant.name)
        pinned = {s.spec["snapshots"].get(table) for s in saved} - {None}
        before = self.clock.now() - _KEEP_SNAPSHOTS
        self.offline.expire(table, before=before, keep=pinned)

    def _spec_of(self, view: FeatureView) -> TableSpec:
        return table_spec(view, self.buckets)


def views_of_source(source: Source, views: Iterable[FeatureView]) -> list[FeatureView]:
    """The views of a source."""
    return [v for v in views if v.source.name == source.name]


def _of_both(watcher: StreamWatcher, archiving: Archiving) -> StreamWatcher:
    """Tell of processing, and of the archive's fault with it."""

    def tell(positions: list[PartitionPosition]) -> None:
        watcher([replace(p, archive_fault=archiving.fault) for p in positions])

    return tell


def _check_key(view: FeatureView, source: Source, partitions: int) -> None:
    """A repetition is known by its partition: of events without a key it may be in any other."""
    assert source.stream is not None
    if partitions > 1 and source.event_id and not source.stream.key:
        raise DefinitionError(
            f"feature view {view.name!r}: the source {source.name!r} has an event_id, and nothing "
            f"says in which of the {partitions} partitions of its stream an event and its "
            f"repetition are; declare key=[…] in its stream"
        )
