"""FeatureStore: a project's definitions, data and stores behind one name."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from noskew import config as configuration
from noskew.clock import Clock, SystemClock, to_micros
from noskew.config import Config
from noskew.definitions.connectors import Connector, Csv, Frame, Parquet
from noskew.definitions.identity import digest
from noskew.definitions.loading import load_project
from noskew.definitions.project import Definition, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.errors import InputError
from noskew.registry.plan import Plan, plan
from noskew.registry.state import Record
from noskew.registry.store import SqlRegistry
from noskew.registry.versions import Applied
from noskew.serving.reader import OnlineReader
from noskew.serving.response import OnlineResponse
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online import open_store
from noskew.stores.online.base import OnlineStore
from noskew.training import frames, saved
from noskew.training.history import DEFAULT_EVENT_TIME, historical_features
from noskew.training.ingest import IngestReport, ingest
from noskew.training.materialize import Materialized, Since, materialize
from noskew.training.tables import has_table, table_name
from noskew.training.training_set import TrainingSet
from noskew.types import check_name

#: Told the name of a view and how many more rows of it are done.
Progress = Callable[[str, int], None]
_MATERIALIZED = "materialized"


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
        self,
        root: str | Path | None = None,
        *,
        project: str | None = None,
        config: Config | None = None,
        clock: Clock | None = None,
    ) -> None:
        if project is not None:
            config = Config(project=check_name(project, "project"))
        given = Path(root) if root is not None else None
        self.root = (given or Path()).resolve() if config else configuration.find(given or Path())
        self.config = config or configuration.load(self.root)
        self.clock = clock or SystemClock()
        self._readers: dict[str, OnlineReader] = {}

    @cached_property
    def registry(self) -> SqlRegistry:
        """Where applied definitions are kept."""
        return SqlRegistry(self._anchored(self.config.registry.url))

    @cached_property
    def offline(self) -> OfflineStore:
        """Where events are kept."""
        from noskew.stores.offline.iceberg import IcebergStore

        warehouse = self.config.offline.warehouse
        if "://" not in warehouse:
            warehouse = str(self.root / warehouse)
        catalog = self._anchored(self.config.offline.catalog)
        return IcebergStore(catalog, warehouse, namespace=_namespace(self.config.project))

    @cached_property
    def online(self) -> OnlineStore:
        """Where rows for serving are kept."""
        return open_store(self._anchored(self.config.online.url))

    def _anchored(self, url: str) -> str:
        made = configuration.anchor(url, self.root)
        if made != url:
            Path(made.split("///", 1)[1].split("?")[0]).parent.mkdir(parents=True, exist_ok=True)
        return made

    # ---------------------------------------------------------------- definitions

    def load(self) -> Project:
        """The definitions in the project's files, whether applied or not."""
        return load_project(self.root, self.config.features)

    @property
    def applied(self) -> Applied:
        """The definitions that are applied; what reads by name use."""
        if str(self.root) not in sys.path:  # functions are imported by name when they run
            sys.path.insert(0, str(self.root))
        return self.registry.current(self.config.project)

    def plan(self, desired: Project | Definition | Iterable[Definition] | None = None) -> Plan:
        """What applying ``desired`` (default: the project's files) would change."""
        current = self.applied
        return plan(current, self._desired(desired), sizes=self._sizes(current.project))

    def _desired(self, given: Project | Definition | Iterable[Definition] | None) -> Project:
        if given is None:
            return self.load()
        return given if isinstance(given, Project) else Project.of(given)

    def apply(
        self,
        desired: Project | Definition | Iterable[Definition] | None = None,
        *,
        base_version: int | None = None,
        message: str = "",
    ) -> Applied:
        """Make ``desired`` (default: the project's files) the definitions that are served.

        ``base_version``: that of the plan that was agreed to. Raises ConflictError if somebody
        else applied since then.
        """
        wanted = self._desired(desired)
        head = base_version if base_version is not None else self.registry.head(self.config.project)
        made = self.registry.apply(
            self.config.project,
            wanted,
            base_version=head,
            applied_at=self.clock.now(),
            applied_by=getpass.getuser(),
            message=message,
        )
        self._readers.clear()
        return made

    def _sizes(self, project: Project) -> dict[str, int]:
        return {
            v.source.name: self.offline.info(table_name(v)).rows
            for v in project.views.values()
            if has_table(self.offline, v)
        }

    # ---------------------------------------------------------------- data in

    def ingest(
        self,
        source: str | None = None,
        data: Any = None,
        *,
        progress: Progress | None = None,
    ) -> list[IngestReport]:
        """Append new events of sources to the offline tables of the views that use them.

        ``source``: one source by name; default all that have batch data. ``data``: a frame or
        a connector to read instead of the source's own. Repeating it adds nothing twice.
        """
        project = self.applied.project
        if source is not None:
            project.source(source)
        if data is not None and source is None:
            raise InputError("say which source the data belongs to: ingest('name', data)")
        connector = data
        if data is not None and not isinstance(data, Connector):
            connector = Frame(frames.to_arrow(data, f"data for {source!r}"))
        reports = []
        for view in _one_per_log(project.views.values()):
            if view.source.name != source and (source is not None or view.source.batch is None):
                continue
            reports.append(
                ingest(
                    view,
                    self.offline,
                    self.clock,
                    buckets=self.config.offline.buckets,
                    connector=connector or _rooted(view.source.batch, self.root),
                    progress=_for(progress, view.name),
                )
            )
        return reports

    def materialize(
        self,
        views: str | Iterable[str] | None = None,
        *,
        until: Any = None,
        full: bool = False,
        progress: Progress | None = None,
    ) -> list[Materialized]:
        """Bring the online store up to the facts known by ``until`` (default: now).

        Only entities with facts learned since the last run are written, unless ``full``.
        """
        project = self.applied.project
        names = [views] if isinstance(views, str) else views
        chosen = project.views.values() if names is None else [project.view(n) for n in names]
        bound = self.clock.now() if until is None else to_micros(until)
        return [
            self._materialize(v, bound, full, _for(progress, v.name)) for v in chosen if v.online
        ]

    def _materialize(
        self, view: FeatureView, until: int, full: bool, progress: Callable[[int], None] | None
    ) -> Materialized:
        key = _key(view)
        held = None if full else self.registry.record(self.config.project, _MATERIALIZED, key)
        since = Since(held.data["until"], held.data["sequence"]) if held else None
        if since and until < since.until:
            since = None  # going back in time: rows of a later version win anyway
        done = materialize(
            view, self.offline, self.online,
            project=self.config.project, until=until, since=since, progress=progress,
        )  # fmt: skip
        data = {"until": done.until, "sequence": done.sequence, "number": done.snapshot_number}
        record = Record(_MATERIALIZED, key, data, self.clock.now())
        self.registry.put_record(self.config.project, record)
        return done

    def materialized_until(self, view: FeatureView) -> int | None:
        """The known time (µs) up to which a view's facts are online; None before the first run."""
        held = self.registry.record(self.config.project, _MATERIALIZED, _key(view))
        return int(held.data["until"]) if held else None

    # ---------------------------------------------------------------- data out

    def get_historical_features(
        self,
        rows: Any,
        service: str | FeatureService,
        *,
        event_time: str = DEFAULT_EVENT_TIME,
        known_at: Literal["row"] | Any = None,
        progress: Progress | None = None,
    ) -> TrainingSet:
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

        Returns the rows in their order, all columns kept, with one column a feature.
        """
        chosen = self._service(service)
        bound = known_at if known_at is None or known_at == "row" else to_micros(known_at)
        table = frames.to_arrow(rows)
        snapshots = {
            table_name(v): self.offline.info(table_name(v)).snapshot
            for v in chosen.views
            if has_table(self.offline, v)
        }
        made = historical_features(
            chosen, table, self.offline,
            event_time=event_time, known_at=bound, snapshots=snapshots,
            progress=_for(progress, chosen.name),
        )  # fmt: skip
        spec = saved.spec_of(chosen, event_time, bound, snapshots)
        return TrainingSet(made, spec)

    def save_training_set(self, name: str, made: TrainingSet, *, replace: bool = False) -> None:
        """Keep a training set under a name: its content, and how to build it again."""
        saved.save(self.registry, self.config.project, self.root, name, made,
                   created_at=self.clock.now(), replace=replace)  # fmt: skip

    def training_set(self, name: str) -> TrainingSet:
        """A saved training set, as it was saved."""
        return saved.load(self.registry, self.config.project, self.root, name)

    def rebuild_training_set(self, name: str) -> TrainingSet:
        """Compute a saved training set again from definitions, snapshots and ``known_at``.

        Raises CorruptDataError if the digest differs from the saved one.
        """
        return saved.rebuild(self.registry, self.config.project, self.root, name, self.offline)

    def get_online_features(self, service: str | FeatureService, rows: Any) -> OnlineResponse:
        """The features of a service now, for ``{"origin": ["JFK", "EWR"]}`` or a list of rows."""
        if isinstance(service, str):
            reader = self._readers.get(service)
            if reader is None:
                reader = self._readers[service] = self.reader(service)
            return reader.get(rows)
        return self.reader(service).get(rows)

    def reader(self, service: str | FeatureService) -> OnlineReader:
        """A reader of one service, compiled once; the fastest way to read many times."""
        chosen = self._service(service)
        return OnlineReader(chosen, self.online, self.clock, project=self.config.project)

    def _service(self, service: str | FeatureService) -> FeatureService:
        return self.applied.project.service(service) if isinstance(service, str) else service

    # ---------------------------------------------------------------- life

    def close(self) -> None:
        """Release the stores that were opened."""
        for name in ("registry", "offline", "online"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()
        self._readers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _one_per_log(views: Iterable[FeatureView]) -> list[FeatureView]:
    """One view for each offline table."""
    found: dict[str, FeatureView] = {}
    for view in views:
        found.setdefault(view.log_hash, view)
    return list(found.values())


def _namespace(project: str) -> str:
    """The project's tables in the catalog; catalogs do not tell capital letters apart."""
    if project == project.lower():
        return f"noskew_{project}"
    return f"noskew_{project.lower()}_{digest(project)[:8]}"


def _key(view: FeatureView) -> str:
    """Names what was materialized: rows of different definitions never mix."""
    return f"{view.name}:{view.definition_hash}"


def _rooted(connector: Connector | None, root: Path) -> Connector | None:
    """Paths in definitions are relative to the project, wherever the process runs."""
    if isinstance(connector, (Parquet, Csv)):
        return replace(connector, path=str(root / connector.path))
    return connector


def _for(progress: Progress | None, name: str) -> Callable[[int], None] | None:
    return None if progress is None else lambda n: progress(name, n)
