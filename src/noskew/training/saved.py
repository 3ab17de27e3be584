"""Saved training sets: content on disk, how it was made in the registry, proof by digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.errors import CorruptDataError, InputError
from noskew.registry.state import TrainingSet as Saved
from noskew.registry.store import SqlRegistry
from noskew.stores.offline.base import OfflineStore
from noskew.training.history import historical_features
from noskew.training.training_set import TrainingSet, table_digest
from noskew.types import check_name


def spec_of(
    service: FeatureService,
    event_time: str,
    known_at: str | int | None,
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


def save(
    registry: SqlRegistry,
    project: str,
    root: Path,
    name: str,
    made: TrainingSet,
    *,
    created_at: int,
    replace: bool,
) -> None:
    """Write the content, then record it: a set that is recorded is complete."""
    if not made.spec:
        raise InputError("only a training set made by get_historical_features can be saved")
    digest = made.digest
    path = _path(root, project, name, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(made.table, partial)
    partial.replace(path)
    registry.save_training_set(project, Saved(name, made.spec, digest, created_at), replace=replace)


def load(registry: SqlRegistry, project: str, root: Path, name: str) -> TrainingSet:
    """The saved content. Raises CorruptDataError if it is not what was saved."""
    held = registry.training_set(project, name)
    path = _path(root, project, name, held.digest)
    try:
        table = pq.read_table(path)
    except (FileNotFoundError, pa.ArrowInvalid, OSError) as error:
        raise CorruptDataError(
            f"the content of training set {name!r} cannot be read: {error}; rebuild it"
        ) from error
    return _checked(TrainingSet(table, held.spec), held.digest, name)


def rebuild(
    registry: SqlRegistry, project: str, root: Path, name: str, offline: OfflineStore
) -> TrainingSet:
    """Compute the features again, from the recorded definitions and snapshots."""
    held = registry.training_set(project, name)
    before = load(registry, project, root, name).table
    spec = held.spec
    service = Project.from_dict(spec["definitions"]).service(spec["service"])
    rows = before.drop_columns([c.name for c in service.columns])
    table = historical_features(
        service,
        rows,
        offline,
        event_time=spec["event_time"],
        known_at=spec["known_at"],
        snapshots=spec["snapshots"],
    )
    return _checked(TrainingSet(table, spec), held.digest, name)


def _checked(made: TrainingSet, digest: str, name: str) -> TrainingSet:
    found = table_digest(made.table)
    if found != digest:
        raise CorruptDataError(
            f"training set {name!r}: the content has the digest {found}, it was saved with {digest}"
        )
    return made


def _path(root: Path, project: str, name: str, digest: str) -> Path:
    folder = root / ".noskew" / "training_sets" / check_name(project, "project")
    return folder / f"{check_name(name, 'training set')}-{digest}.parquet"
