"""FeatureStore: a project's definitions, data and stores behind one name."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any, Literal, Self

from noskew import opening
from noskew.clock import Clock, SystemClock, to_micros
from noskew.config import Config
from noskew.definitions.loading import load_project, make_importable
from noskew.definitions.project import Definitions, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.intake.logs import Logs
from noskew.intake.pushed import Pushed
from noskew.intake.tables import sizes
from noskew.intake.waiting import online_views, wait_until_readable
from noskew.registry.plan import Plan, plan
from noskew.registry.store import SqlRegistry
from noskew.registry.versions import Applied
from noskew.serving.reader import OnlineReader
from noskew.serving.response import OnlineResponse
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online.base import OnlineStore
from noskew.streaming.processor import Watcher
from noskew.streaming.streams import Streams
from noskew.training import frames
from noskew.training.compacted import Compacted, compact_all
from noskew.training.history import DEFAULT_EVENT_TIME
from noskew.training.ingest import IngestReport, connector_of, fed_by, ingest_all
from noskew.training.materialize import Materialized
from noskew.training.materialized import Materializations, Pruned, check_online
from noskew.training.progress import Progress, of_one
from noskew.training.saved import TrainingSets
from noskew.training.training_set import TrainingSet


class FeatureStore:
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

    def __init__(
        self, root: str | Path | None = None, *, project: str | None = None,
        config: Config | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.root, self.config = opening.locate(root, project=project, config=config)
        self.clock = clock or SystemClock()
        self._readers: dict[str, OnlineReader] = {}

    @cached_property
    def registry(self) -> SqlRegistry:
        """Where applied definitions are kept."""
        return opening.open_registry(self.config, self.root)

    @cached_property
    def offline(self) -> OfflineStore:
        """Where events are kept."""
        return opening.open_offline(self.config, self.root)

    @cached_property
    def online(self) -> OnlineStore:
        """Where rows for serving are kept."""
        return opening.open_online(self.config, self.root)

    @property
    def _training_sets(self) -> TrainingSets:
        return TrainingSets(self.config.project, self.root, self.registry, self.offline, self.clock)

    @cached_property
    def logs(self) -> Logs:
        """The logs of streaming sources."""
        return opening.open_logs(self.root, self.clock)

    @property
    def streams(self) -> Streams:
        """What processes the logs of streaming sources."""
        return Streams(
            self.config.project, self.root / opening.STREAMS, self.clock,
            self.config.offline.buckets, self.logs, self.registry, self.offline, self.online,
        )  # fmt: skip

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

    def apply(
        self, desired: Definitions | None = None, *,
        base_version: int | None = None, message: str = "",
    ) -> Applied:  # fmt: skip
        """Make ``desired`` (default: the project's files) the definitions that are served.

        ``base_version``: that of the plan that was agreed to. Raises ConflictError if somebody
        else applied since then.
        """
        wanted = self.load() if desired is None else Project.of(desired)
        project = self.config.project
        made = self.registry.apply(
            project, wanted,
            base_version=self.registry.head(project) if base_version is None else base_version,
            applied_at=self.clock.now(), applied_by=getpass.getuser(), message=message,
        )  # fmt: skip
        self._readers.clear()
        return made

    # ---------------------------------------------------------------- data in

    def ingest(
        self, source: str | None = None, data: Any = None, *, progress: Progress | None = None
    ) -> list[IngestReport]:
        """Append new events of sources to the offline tables of the views that use them.

        ``source``: one source by name; default all that have batch data. ``data``: a frame or
        a connector to read instead of the source's own. Repeating it adds nothing twice.
        """
        return ingest_all(
            fed_by(self.applied.project, source), self.offline, self.clock, root=self.root,
            buckets=self.config.offline.buckets, connector=connector_of(data, source),
            progress=progress,
        )  # fmt: skip

    def compact(
        self, views: str | Iterable[str] | None = None, *, progress: Progress | None = None
    ) -> list[Compacted]:
        """Make fewer, larger files of the offline tables of views (default: all).

        Worth it after many small ingests. Values, readers and saved training sets are not
        disturbed. Raises ConflictError if somebody ingests meanwhile; repeat it then.
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
        if wait is None:
            return self.logs.push(to, table)
        views = online_views(self.config.project, to, of.views.values())
        return wait_until_readable(self.online, views, self.logs.push(to, table), wait)

    def stream(
        self, source: str, *, stop: Event | None = None, progress: Watcher | None = None
    ) -> None:
        """Fold a source's stream into the online store and the offline one, until ``stop`` is set.

        Without ``stop``: until everything that was appended before the call is in both.
        ``progress`` is told now and then how far each partition is.
        """
        of = self.applied.project
        self.streams.run(of.source(source), of.views.values(), stop=stop, progress=progress)

    def materialize(
        self, views: str | Iterable[str] | None = None, *,
        until: Any = None, full: bool = False, progress: Progress | None = None,
    ) -> list[Materialized]:  # fmt: skip
        """Bring the online store up to the facts known by ``until`` (default: now).

        Only entities with facts learned since the last run are written, unless ``full``.
        """
        bound = self.clock.now() if until is None else to_micros(until)
        return Materializations(self.config.project, self.registry, self.clock).run_all(
            self.applied.project.chosen(views), self.offline, self.online,
            until=bound, full=full, progress=progress,
        )  # fmt: skip

    def materialized_until(self, view: FeatureView) -> int | None:
        """The known time (µs) up to which a view's facts are online; None before the first run."""
        return Materializations(self.config.project, self.registry, self.clock).until(view)

    def prune(self, *, dry_run: bool = False) -> list[Pruned]:
        """Remove the online rows of definitions that are no longer applied, or only count them.

        A changed view has new rows beside the old ones; these are the old ones. Run it when
        every server has taken over what is applied, and not while somebody goes back to an
        earlier version: that one must be materialized again afterwards.
        """
        made = Materializations(self.config.project, self.registry, self.clock)
        return made.prune(self.applied.project.views.values(), self.online, dry_run=dry_run)

    # ---------------------------------------------------------------- data out

    def get_historical_features(
        self, rows: Any, service: str | FeatureService, *, event_time: str = DEFAULT_EVENT_TIME,
        known_at: Literal["row"] | Any = None, progress: Progress | None = None,
    ) -> TrainingSet:  # fmt: skip
        """The features of a service as of each row's own time.

        Parameters
        ----------
        rows
            A pandas, Polars or Arrow frame, a mapping of columns, a list of mappings, the path
            of a Parquet file or a SELECT; with the join keys, request fields and event time.
        service
            Its name, or a definition that need not be applied.
        event_time
            The column with each row's time.
        known_at
            None: what was true then, as best we know today. ``"row"``: what the online store
            could have served then. A time: what a run on that date would have seen.

        Returns the rows in their order, all columns kept, with one column a feature. Warns
        (HindsightWarning) where ``"row"`` asks for times before its data was first loaded.
        """
        chosen = self._service(service)
        bound = known_at if known_at is None or known_at == "row" else to_micros(known_at)
        return self._training_sets.make(
            chosen, frames.to_arrow(rows), event_time=event_time, known_at=bound,
            progress=of_one(progress, chosen.name),
        )  # fmt: skip

    def training_set(self, name: str) -> TrainingSet:
        """A saved training set, as it was saved."""
        return self._training_sets.load(name)

    def rebuild_training_set(self, name: str) -> TrainingSet:
        """Compute a saved training set again from definitions, snapshots and ``known_at``.

        Raises CorruptDataError if the digest differs from the saved one.
        """
        return self._training_sets.rebuild(name)

    def get_online_features(self, service: str | FeatureService, rows: Any) -> OnlineResponse:
        """The features of a service now, for ``{"origin": ["JFK", "EWR"]}`` or a list of rows.

        Raises NotMaterializedError as :meth:`reader` does.
        """
        if not isinstance(service, str):
            return self.reader(service).get(rows)
        reader = self._readers.get(service)
        if reader is None:
            reader = self._readers[service] = self.reader(service)
        return reader.get(rows)

    def reader(self, service: str | FeatureService) -> OnlineReader:
        """A reader of one service, compiled once; the fastest way to read many times.

        Raises NotMaterializedError if the online store does not hold one of its views: before
        the first ``materialize``, every answer would be empty.
        """
        chosen = self._service(service)
        made = OnlineReader(chosen, self.online, self.clock, project=self.config.project)
        check_online(self.config.project, chosen.views, self.online)
        return made

    def _service(self, service: str | FeatureService) -> FeatureService:
        return self.applied.project.service(service) if isinstance(service, str) else service

    # ---------------------------------------------------------------- life

    def close(self) -> None:
        """Release the stores that were opened."""
        for name in ("logs", "registry", "offline", "online"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()
        self._readers.clear()

    def __repr__(self) -> str:
        online = self.config.online.url.partition(":")[0]
        return f"<FeatureStore: project {self.config.project} in {self.root}, online in {online}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
