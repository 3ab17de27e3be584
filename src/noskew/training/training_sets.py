"""Training sets of a project: made, saved with proof by digest, and built again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.addresses import Folders
from noskew.clock import Clock
from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.errors import CorruptDataError
from noskew.intake.tables import has_table, table_name
from noskew.kernel.history import KnownAt
from noskew.registry.base import Registry
from noskew.registry.training_sets import SavedTrainingSet as Saved
from noskew.runners.spark.session import is_frame
from noskew.stores.offline.base import OfflineStore, RowProgress
from noskew.training import frames
from noskew.training.history import historical_features
from noskew.training.load_time_warning import earliest, warn_of_load_time
from noskew.training.spark.history import HistoryQuery
from noskew.training.spark.task_project import RunnerProject, SparkProject
from noskew.training.spark.training_set import SparkTrainingSet
from noskew.training.training_set import TrainingSet, refusing_types, table_digest


@dataclass(frozen=True, slots=True)
class TrainingSets:
    """The training sets of one project: content in files below ``root``, the rest recorded."""

    project: str
    root: Path
    registry: Registry
    offline: OfflineStore
    clock: Clock

    def make(
        self,
        service: FeatureService,
        rows: Any,
        *,
        event_time: str,
        known_at: KnownAt,
        progress: RowProgress | None = None,
        spark: RunnerProject | None = None,
    ) -> TrainingSet:
        """The features of a service as of each row's time, from the latest snapshots.

        ``spark``: what computes them; None for this process. Warns where ``known_at="row"`` asks
        for a time before anything was known.
        """
        snapshots = {
            table_name(v): self.offline.info(table_name(v)).snapshot
            for v in service.views
            if has_table(self.offline, v)
        }
        spec = _spec_of(service, event_time, known_at, snapshots)
        query = HistoryQuery(service, event_time, known_at, snapshots)
        if isinstance(spark, SparkProject) and is_frame(rows):
            answered = query.of_frame(spark, self.offline, rows)
            if known_at == "row":
                warn_of_load_time(service, lambda: query.earliest(spark, rows), self.offline)
            columns = query.collected(spark.runner.schema(rows))
            return SparkTrainingSet(answered, spark.runner, columns, spec, self)
        asked = frames.to_arrow(rows)
        if spark is not None and len(asked):
            table = query.of_table(spark, self.offline, asked)
            if progress:
                progress(len(asked) * len(service.views))
        else:
            table = historical_features(
                service,
                asked,
                self.offline,
                event_time=event_time,
                known_at=known_at,
                snapshots=snapshots,
                progress=progress,
            )
        if known_at == "row":
            warn_of_load_time(service, lambda: earliest(asked, event_time), self.offline)
        return TrainingSet(table, spec, self, frames.index_of(rows))

    def save(self, name: str, training_set: TrainingSet, *, replace: bool) -> None:
        """Write the content, then record it: a set that is recorded is complete."""
        digest = training_set.digest
        path = self._path(name, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with refusing_types(training_set.table):
            pq.write_table(training_set.table, partial)
        partial.replace(path)
        record = Saved(name, training_set.spec, digest, self.clock.now())
        self.registry.save_training_set(self.project, record, replace=replace)

    def load(self, name: str) -> TrainingSet:
        """The saved content. Raises CorruptDataError if it is not what was saved."""
        saved = self.registry.training_set(self.project, name)
        try:
            table = pq.read_table(self._path(name, saved.digest))
        except (FileNotFoundError, pa.ArrowInvalid, OSError) as error:
            raise CorruptDataError(
                f"the content of training set {name!r} cannot be read: {error}; rebuild it"
            ) from error
        return self._checked(table, saved)

    def rebuild(self, name: str) -> TrainingSet:
        """Compute the features again, from the recorded definitions and snapshots."""
        saved = self.registry.training_set(self.project, name)
        spec = saved.spec
        service = Project.from_dict(spec["definitions"]).service(spec["service"])
        rows = self.load(name).table.drop_columns([c.name for c in service.columns])
        table = historical_features(
            service,
            rows,
            self.offline,
            event_time=spec["event_time"],
            known_at=spec["known_at"],
            snapshots=spec["snapshots"],
        )
        return self._checked(table, saved)

    def _checked(self, table: pa.Table, saved: Saved) -> TrainingSet:
        digest = table_digest(table)
        if digest != saved.digest:
            raise CorruptDataError(
                f"training set {saved.name!r}: the content has the digest {digest}, it was saved "
                f"with {saved.digest}"
            )
        return TrainingSet(table, saved.spec, self)

    def _path(self, name: str, digest: str) -> Path:
        return Folders(self.root).training_set(self.project, name, digest)


def _spec_of(
    service: FeatureService,
    event_time: str,
    known_at: KnownAt,
    snapshots: Mapping[str, int | None],
) -> dict[str, Any]:
    """How a training set is made, as JSON data; the definitions are in it, whole."""
    return {
        "service": service.name,
        "definitions": Project.of([service]).to_dict(),
        "hashes": {v.name: v.definition_hash for v in service.views},
        "event_time": event_time,
        "known_at": known_at,
        "snapshots": dict(snapshots),
    }
