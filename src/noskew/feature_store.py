"""FeatureStore: a project's definitions, data and stores behind one name."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from functools import cached_property
from threading import Event
from typing import Any, Literal

from noskew.audit.audit import Audit
from noskew.audit.report import SkewReport
from noskew.certification.certificate import Certificate
from noskew.certification.certifications import SAMPLE_ROWS, Certifications, PathProgress
from noskew.clock import to_micros
from noskew.definitions.loading import load_project, make_importable
from noskew.definitions.project import Definitions, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.intake.tables import sizes
from noskew.intake.waiting import online_views, wait_until_readable
from noskew.project_stores import factories
from noskew.project_stores.project_stores import ProjectStores
from noskew.reading.reader import OnlineReader
from noskew.reading.response import OnlineResponse
from noskew.registry.plan import Plan, plan
from noskew.registry.versions import Applied
from noskew.streaming.streams import Streams
from noskew.streaming.workers.processor import StreamWatcher
from noskew.training import frames
from noskew.training.compact import Compacted, compact_all
from noskew.training.history import DEFAULT_EVENT_TIME
from noskew.training.ingest import IngestReport, views_to_ingest
from noskew.training.ingest_project import ingest_all
from noskew.training.materializations import Materializations, Pruned, check_online
from noskew.training.materialize import Materialized
from noskew.training.progress import ViewProgress, of_one
from noskew.training.spark.runners import Runners
from noskew.training.training_set import TrainingSet
from noskew.training.training_sets import TrainingSets
from noskew.wire.pushed import Pushed


class FeatureStore(ProjectStores):
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
    """

    @cached_property
    def _readers(self) -> dict[str, OnlineReader]:
        return {}

    @cached_property
    def _runners(self) -> Runners:
        return Runners(self.config, self.root)

    @property
    def _training_sets(self) -> TrainingSets:
        return TrainingSets(self.config.project, self.root, self.registry, self.offline, self.clock)

    @property
    def streams(self) -> Streams:
        """What processes the logs of streaming sources."""
        return Streams(
            self.config.project,
            self.root / factories.STREAMS,
            self.clock,
            self.config.offline.buckets,
            self.logs,
            self.registry,
            self.offline,
            self.online,
        )

    # ---------------------------------------------------------------- definitions

    def load(self) -> Project:
        """The definitions in the project's files, whether applied or not."""
        return load_project(self.root, self.config.features)

    @property
    def applied(self) -> Applied:
        """The definitions that are applied; what reads by name use."""
        make_importable(self.root, self.config.features)
        return self.registry.current(self.config.project)

    def plan(self, desired: Definitions | None = None) -> Plan:
        """What applying ``desired`` (default: the project's files) would change."""
        current = self.applied
        wanted = self.load() if desired is None else Project.of(desired)
        return plan(current, wanted, sizes=sizes(self.offline, current.project.views.values()))

    @property
    def certifications(self) -> Certifications:
        """The certificates of views and on-demand functions."""
        return Certifications(self.registry, self.clock, self._runners)

    def verify(
        self,
        names: str | Iterable[str] | None = None,
        *,
        definitions: Definitions | None = None,
        sample: int = SAMPLE_ROWS,
        progress: PathProgress | None = None,
    ) -> list[Certificate]:
        """Run views and on-demand functions (default: all of the files) through every path.

        Each is run on ``sample`` rows of its source and on rows made up, and every path must give
        the same bits. The certificates are kept; ``is_equal`` says whether one is good.
        """
        chosen = self.load() if definitions is None else Project.of(definitions)
        return self.certifications.verify(chosen, names, sample=sample, progress=progress)

    def apply(
        self,
        desired: Definitions | None = None,
        *,
        base_version: int | None = None,
        message: str = "",
        uncertified: bool = False,
        progress: PathProgress | None = None,
    ) -> Applied:
        """Make ``desired`` (default: the project's files) the definitions that are served.

        New and changed views need a certificate; those that :meth:`verify` did not give one are
        certified now. ``uncertified``: do without, which is recorded. ``base_version``: that of
        the plan that was agreed to. Raises CertificateError if values differ between paths, and
        ConflictError if somebody else applied since then.
        """
        wanted = self.load() if desired is None else Project.of(desired)
        project, by = self.config.project, getpass.getuser()
        self.certifications.admit(wanted, self.applied, by if uncertified else None, progress)
        made = self.registry.apply(
            project,
            wanted,
            base_version=self.registry.head(project) if base_version is None else base_version,
            applied_at=self.clock.now(),
            applied_by=by,
            message=message,
        )
        self._readers.clear()
        return made

    # ---------------------------------------------------------------- data in

    def ingest(
        self,
        source: str | None = None,
        data: Any = None,
        *,
        progress: ViewProgress | None = None,
        runner: str | None = None,
    ) -> list[IngestReport]:
        """Append new events of sources to the offline tables of the views that use them.

        ``source``: one source by name; default all that have batch data. ``data``: a frame or
        a connector to read instead of the source's own. Repeating it adds nothing twice.
        ``runner``: as :meth:`get_historical_features` has it.
        """
        return ingest_all(
            views_to_ingest(self.applied.project, source),
            self.offline,
            self.clock,
            root=self.root,
            buckets=self.config.offline.buckets,
            data=data,
            source=source,
            progress=progress,
            spark=self._runners.spark(runner, data),
        )

    def compact(
        self, views: str | Iterable[str] | None = None, *, progress: ViewProgress | None = None
    ) -> list[Compacted]:
        """Make fewer, larger files of the offline tables of views (default: all).

        Nobody is disturbed. Raises ConflictError if somebody ingests meanwhile: repeat it.
        """
        return compact_all(self.applied.project.chosen(views), self.offline, progress)

    def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """Append events to the local log of a streaming source; durable when it returns.

        ``rows``: a frame with the source's columns. Returns the offset after them, by partition.
        ``wait``: return only when reads see them, or after so many seconds; ``readable`` of what
        is returned says which. What raises was not pushed; what returned must not be repeated.
        """
        of, table = self.applied.project, frames.to_arrow(rows, f"rows pushed to {source!r}")
        to = of.source(source)
        views = {} if wait is None else online_views(self.config.project, to, of.views.values())
        made = self.logs.push(to, table)
        return made if wait is None else wait_until_readable(self.online, views, made, wait)

    def stream(
        self, source: str, *, stop: Event | None = None, progress: StreamWatcher | None = None
    ) -> None:
        """Fold a source's stream into the online store and the offline one, until ``stop`` is set.

        Without ``stop``: until everything that was appended before the call is in both.
        ``progress`` is told now and then how far each partition is.
        """
        of = self.applied.project
        self.streams.run(of.source(source), of.views.values(), stop=stop, progress=progress)

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
        return Materializations(self.config.project, self.registry, self.clock).run_all(
            self.applied.project.chosen(views),
            self.offline,
            self.online,
            until=bound,
            full=full,
            progress=progress,
            spark=self._runners.spark(runner),
        )

    def materialized_until(self, view: FeatureView) -> int | None:
        """The known time (µs) up to which a view's facts are online; None before the first run."""
        return Materializations(self.config.project, self.registry, self.clock).until(view)

    def prune(self, *, dry_run: bool = False) -> list[Pruned]:
        """Remove the online rows of definitions that are no longer applied, or only count them.

        Run it when every server has taken over what is applied. To go back to an earlier
        version, materialize it again.
        """
        made = Materializations(self.config.project, self.registry, self.clock)
        return made.prune(self.applied.project.views.values(), self.online, dry_run=dry_run)

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
        bound = known_at if known_at is None or known_at == "row" else to_micros(known_at)
        return self._training_sets.make(
            chosen,
            rows,
            event_time=event_time,
            known_at=bound,
            progress=of_one(progress, chosen.name),
            spark=self._runners.spark(runner, rows),
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
        reader = self._readers.get(service)
        if reader is None:
            reader = self._readers[service] = self.reader(service)
        return reader.get(rows)

    def reader(self, service: str | FeatureService) -> OnlineReader:
        """A reader of one service, compiled once; the fastest way to read many times.

        Raises NotMaterializedError if the online store does not hold one of its views.
        """
        chosen = self._service(service)
        made = OnlineReader(chosen, self.online, self.clock, project=self.config.project)
        check_online(self.config.project, chosen.views, self.online)
        return made

    @property
    def _audit(self) -> Audit:
        return Audit(self.config.project, self.registry, self.offline, self.logs, self.clock)

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

    def _service(self, service: str | FeatureService) -> FeatureService:
        return self.applied.project.service(service) if isinstance(service, str) else service
