"""ProjectParts: what the methods of a project delegate to, each part imported on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from noskew._lazy import lazy_module
from noskew.addresses import Folders, events_table
from noskew.project_stores.project_stores import ProjectStores

if TYPE_CHECKING:
    from noskew.audit import audit
    from noskew.certification import certifications
    from noskew.definitions.view import FeatureView
    from noskew.reading import reader
    from noskew.streaming import streams
    from noskew.training import ingest_runs, materializations, training_sets
    from noskew.training.spark import runners
else:
    audit = lazy_module("noskew.audit.audit")
    certifications = lazy_module("noskew.certification.certifications")
    ingest_runs = lazy_module("noskew.training.ingest_runs")
    materializations = lazy_module("noskew.training.materializations")
    runners = lazy_module("noskew.training.spark.runners")
    streams = lazy_module("noskew.streaming.streams")
    training_sets = lazy_module("noskew.training.training_sets")


class ProjectParts(ProjectStores):
    """A project's stores, and what works on them."""

    @cached_property
    def _readers(self) -> dict[str, reader.OnlineReader]:
        """The readers of applied services that were asked for by name."""
        return {}

    @cached_property
    def _runners(self) -> runners.Runners:
        return runners.Runners(self.config, self.root)

    @property
    def _certifications(self) -> certifications.Certifications:
        return certifications.Certifications(self.registry, self.clock, self._runners)

    @property
    def _streams(self) -> streams.Streams:
        return streams.Streams(
            self.tenant,
            Folders(self.root),
            self.clock,
            self.config.offline.buckets,
            self.logs,
            self.registry,
            self.offline,
            self.online,
        )

    @property
    def _materializations(self) -> materializations.Materializations:
        return materializations.Materializations(self.tenant, self.registry, self.clock)

    @property
    def _ingest_runs(self) -> ingest_runs.IngestRuns:
        return ingest_runs.IngestRuns(self.tenant, self.registry, self.clock)

    @property
    def _training_sets(self) -> training_sets.TrainingSets:
        return training_sets.TrainingSets(
            self.config.project, self.root, self.registry, self.offline, self.clock
        )

    @property
    def _audit(self) -> audit.Audit:
        return audit.Audit(self.config.project, self.registry, self.offline, self.logs, self.clock)

    def count_events(self, view: FeatureView) -> int | None:
        """Events in a view's offline table; None if it has none."""
        table = events_table(view.log_hash)
        return self.offline.info(table).rows if self.offline.has(table) else None
