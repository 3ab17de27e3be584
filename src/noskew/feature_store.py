"""FeatureStore: a project's definitions, data and stores behind one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from noskew._lazy import lazy_module
from noskew.clock import given_time, to_micros
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.project_definitions import ProjectDefinitions
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import MATERIALIZED
from noskew.training.event_time import DEFAULT_EVENT_TIME
from noskew.training.progress import ViewProgress, of_one

if TYPE_CHECKING:
    from noskew.audit.report import SkewReport
    from noskew.intake import waiting
    from noskew.reading import reader, readiness
    from noskew.reading.reader import OnlineReader
    from noskew.reading.response import OnlineResponse
    from noskew.registry.records.ingests import IngestRun
    from noskew.streaming.streams import Streams
    from noskew.streaming.workers.processor import StreamWatcher
    from noskew.training import compact, frames, ingest, ingest_project
    from noskew.training.compact import Compacted
    from noskew.training.ingest import IngestReport
    from noskew.training.materializations import Pruned
    from noskew.training.materialize import Materialized
    from noskew.training.relation.undo import Undone
    from noskew.training.training_set import TrainingSet
    from noskew.wire.pushed import Pushed
else:
    compact = lazy_module("noskew.training.compact")
    frames = lazy_module("noskew.training.frames")
    ingest = lazy_module("noskew.training.ingest")
    ingest_project = lazy_module("noskew.training.ingest_project")
    reader = lazy_module("noskew.reading.reader")
    readiness = lazy_module("noskew.reading.readiness")
    waiting = lazy_module("noskew.intake.waiting")


class FeatureStore(ProjectDefinitions):
    """A project: what is defined, what is applied, and the stores that hold its data.

    Parameters
    ----------
    root
        The project's directory; by default the nearest one upwards with ``noskew.toml``.
    project
        A name, to use a directory without ``noskew.toml``; everything else by default.
    config
        The whole configuration, instead of reading ``noskew.toml``.
    clock
        Where "now" comes from; a ``FixedClock`` replays the past.
    read_only
        The online store is opened for reading only, where that is an option of the store.
    """

    @property
    def streams(self) -> Streams:
        """What processes the logs of streaming sources."""
        return self._streams

    # ---------------------------------------------------------------- data in

    def ingest(
        self,
        source: str | None = None,
        data: Any = None,
        *,
        full: bool = False,
        progress: ViewProgress | None = None,
        runner: str | None = None,
    ) -> list[IngestReport]:
        """Append new events of sources to the offline tables of the views that use them.

        ``source``: one source by name; default all that have batch data. ``data``: a frame or
        a connector to read instead of the source's own. Rows that are there already are known
        again, so run it every day. ``full``: read all of sources that have a cursor, also what
        the last ingest came to already. ``runner``: as :meth:`get_historical_features` has it.
        """
        views = ingest.views_to_ingest(self.applied.project, source)
        spark = self._runners.project(runner, data)

        def reports(run: int) -> Iterator[IngestReport]:
            return ingest_project.ingest_all(
                views,
                self.offline,
                self.clock,
                root=self.root,
                buckets=self.config.offline.buckets,
                data=data,
                source=source,
                progress=progress,
                spark=spark,
                run=run,
                whole=full,
            )

        return self._ingest_runs.run(source, reports)

    def ingests(self) -> dict[str, IngestRun]:
        """The last thousand runs of :meth:`ingest` by their id, the newest first."""
        return self._ingest_runs.all()

    def undo_ingest(self, run: str) -> list[Undone]:
        """Undo a run of :meth:`ingest`: the events that it added are taken back.

        What it took back counts again. Answers as they were known before stay as they were. Run
        :meth:`materialize` after it, and mend the source: its next ingest reads all of it again.
        Returns what was done for each view. Raises NotFoundError for an id that no run has.
        """
        return self._ingest_runs.undo(run, self.applied.project, self.offline)

    def compact(
        self, views: str | Iterable[str] | None = None, *, progress: ViewProgress | None = None
    ) -> list[Compacted]:
        """Make fewer, larger files of the offline tables of views (default: all).

        Nobody is disturbed. Raises ConflictError if somebody ingests meanwhile: repeat it.
        """
        return compact.compact_all(self.applied.project.chosen(views), self.offline, progress)

    def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """Append events to the local log of a streaming source; durable when it returns.

        ``rows``: a frame with the source's columns. Returns the offset after them, by partition.
        ``wait``: return only when reads see them, or after so many seconds; ``readable`` of what
        is returned says which. What raises was not pushed; what returned must not be repeated.
        """
        project, table = self.applied.project, frames.to_arrow(rows, f"rows pushed to {source!r}")
        to = project.source(source)
        if wait is None:
            return self.logs.push(to, table)
        views = waiting.online_views(self.tenant, to, project.views.values())
        return waiting.wait_until_readable(self.online, views, self.logs.push(to, table), wait)

    def stream(
        self, source: str, *, stop: Event | None = None, progress: StreamWatcher | None = None
    ) -> None:
        """Fold a source's stream into the online store and the offline one, until ``stop`` is set.

        Without ``stop``: until everything that was appended before the call is in both.
        ``progress`` is told now and then how far each partition is.
        """
        project = self.applied.project
        views = project.views.values()
        self._streams.run(project.source(source), views, stop=stop, progress=progress)

    def materialize(
        self,
        views: str | Iterable[str] | None = None,
        *,
        until: Any = None,
        full: bool = False,
        progress: ViewProgress | None = None,
        runner: str | None = None,
    ) -> list[Materialized]:
        """Bring the online store up to the facts known by ``until`` (default: now).

        Only entities with facts learned since the last run are written, unless ``full``.
        ``runner``: as :meth:`get_historical_features` has it.
        """
        bound = self.clock.now() if until is None else to_micros(until)
        return self._materializations.run_all(
            self.applied.project.chosen(views),
            self.offline,
            self.online,
            until=bound,
            full=full,
            progress=progress,
            spark=self._runners.project(runner),
        )

    def materialized_until(self, view: FeatureView) -> int | None:
        """The known time (µs) up to which a view's facts are online; None before the first run."""
        record = self.registry.record(self.config.project, MATERIALIZED, DefinitionKey.of(view))
        return record.value.until if record else None

    def prune(self, *, dry_run: bool = False) -> list[Pruned]:
        """Remove the online rows of definitions that are no longer applied, or only count them.

        Run it when every server has taken over what is applied. To go back to an earlier
        version, materialize it again.
        """
        views = self.applied.project.views.values()
        return self._materializations.prune(views, self.online, dry_run=dry_run)

    # ---------------------------------------------------------------- data out

    def get_historical_features(
        self,
        rows: Any,
        service: str | FeatureService,
        *,
        event_time: str = DEFAULT_EVENT_TIME,
        known_at: Literal["row"] | Any = None,
        progress: ViewProgress | None = None,
        runner: str | None = None,
    ) -> TrainingSet:
        """The features of a service as of each row's own time.

        Parameters
        ----------
        rows
            A pandas, Polars, Arrow or Spark frame, a mapping of columns, a list of mappings, the
            path of a Parquet file or a SELECT; with join keys, request fields and event time.
        service
            Its name, or a definition that need not be applied.
        event_time
            The column with each row's time.
        known_at
            None: what was true then, as best we know today. ``"row"``: what the online store
            could have served then. A time: what a run on that date would have seen.
        runner
            ``"in_process"`` or ``"spark"``; by default Spark for a Spark DataFrame, else that of
            the configuration. The rows of a DataFrame stay on Spark: ``.to_spark()``.

        Returns the rows in their order, all columns kept, with one column a feature. Warns
        (HindsightWarning) where ``"row"`` asks for times before its data was first loaded.
        """
        chosen = self._service(service)
        is_kept = known_at is None or known_at == "row"
        bound = known_at if is_kept else given_time(known_at, "known_at")
        return self._training_sets.make(
            chosen,
            rows,
            event_time=event_time,
            known_at=bound,
            progress=of_one(progress, chosen.name),
            spark=self._runners.project(runner, rows),
        )

    def training_set(self, name: str) -> TrainingSet:
        """A saved training set, as it was saved."""
        return self._training_sets.load(name)

    def rebuild_training_set(self, name: str) -> TrainingSet:
        """Compute a saved training set again; CorruptDataError if its digest is another."""
        return self._training_sets.rebuild(name)

    def get_online_features(self, service: str | FeatureService, rows: Any) -> OnlineResponse:
        """The features of a service now, for ``{"origin": ["JFK"]}``; see :meth:`reader`."""
        if not isinstance(service, str):
            return self.reader(service).get(rows)
        compiled = self._readers.get(service)
        if compiled is None:
            compiled = self._readers[service] = self.reader(service)
        return compiled.get(rows)

    def reader(self, service: str | FeatureService) -> OnlineReader:
        """A reader of one service, compiled once; the fastest way to read many times.

        Raises NotMaterializedError if the online store does not hold one of its views.
        """
        chosen = self._service(service)
        compiled = reader.OnlineReader(chosen, self.online, self.clock, tenant=self.tenant)
        readiness.check_online(self.tenant, chosen.views, self.online)
        return compiled

    def get_served(
        self,
        service: str | FeatureService,
        since: Any = None,
        until: Any = None,
        *,
        event_time: str = DEFAULT_EVENT_TIME,
    ) -> TrainingSet:
        """The answers that servers kept (``serve.audit``), bit for bit, as training data.

        ``since``, ``until``: times, or how long before now, such as ``"1h"``.
        """
        return self._audit.served(self._service(service), since, until, event_time=event_time)

    def audit_skew(
        self,
        service: str | None = None,
        since: Any = None,
        until: Any = None,
        *,
        progress: ViewProgress | None = None,
    ) -> SkewReport:
        """Compare the answers that servers kept (default: of all services) with the facts."""
        return self._audit.run(service, since, until, progress=progress)
