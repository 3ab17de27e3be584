"""What rooms remember about a project beside its definitions: values, and their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, Row, delete, insert, select, update

from noskew.definitions.identity import canonical_json
from noskew.errors import CorruptDataError, InputError, unknown
from noskew.registry import tables
from noskew.registry.database import insert_into
from noskew.types import check_name

RunStatus = Literal["running", "done", "failed"]
_MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class Materialization:
    """One run that moved a view's rows to the online store.

    ``until`` is the known time (µs) up to which facts were moved, closed; ``snapshot_number``
    the snapshot of the offline table that was read; ``rows`` how many were written.
    """

    view: str
    definition_hash: str
    until: int
    snapshot_number: int
    rows: int
    started_at: int
    finished_at: int | None = None
    status: RunStatus = "done"
    error: str = ""


@dataclass(frozen=True, slots=True)
class SavedTrainingSet:
    """A saved training set: how to build it again, and the digest of its content."""

    name: str
    spec: Mapping[str, Any]
    digest: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Record:
    """Any other fact about a project, by kind and key, as JSON data."""

    kind: str
    key: str
    data: Any
    recorded_at: int


def add_materialization(connection: Connection, project: str, run: Materialization) -> None:
    """Add a run; runs are never changed."""
    check_name(run.view, "feature view")
    if run.status not in ("running", "done", "failed"):
        raise InputError(f"status must be running, done or failed, got {run.status!r}")
    connection.execute(
        insert(tables.materializations).values(
            project=project,
            view=run.view,
            definition_hash=run.definition_hash,
            until=run.until,
            snapshot_number=run.snapshot_number,
            row_count=run.rows,
            started_at=run.started_at,
            finished_at=run.finished_at,
            status=run.status,
            error=storable_text(run.error, "error"),
        )
    )


def materializations(
    connection: Connection,
    project: str,
    *,
    view: str | None,
    definition_hash: str | None,
    status: RunStatus | None,
    limit: int,
) -> list[Materialization]:
    """Runs, newest record first."""
    t = tables.materializations
    query = select(t).where(t.c.project == project).order_by(t.c.id.desc()).limit(limit)
    for column, value in (
        (t.c.view, view),
        (t.c.definition_hash, definition_hash),
        (t.c.status, status),
    ):
        if value is not None:
            query = query.where(column == value)
    return [_materialization(row) for row in connection.execute(query)]


def _materialization(row: Row[Any]) -> Materialization:
    return Materialization(
        row.view,
        row.definition_hash,
        row.until,
        row.snapshot_number,
        row.row_count,
        row.started_at,
        row.finished_at,
        row.status,
        row.error,
    )


def put_training_set(
    connection: Connection, project: str, made: SavedTrainingSet, replace: bool
) -> None:
    """Save a training set; the same content again changes nothing.

    Raises InputError if other content has the name and ``replace`` is not set.
    """
    t = tables.training_sets
    spec = json_text(
        made.spec, f"the spec of training set {check_name(made.name, 'training set')!r}"
    )
    content = {"spec": spec, "digest": made.digest, "created_at": made.created_at}
    # Inserting first makes two who save the same name wait for each other.
    fresh = connection.execute(
        insert_into(connection, t)
        .values(project=project, name=made.name, **content)
        .on_conflict_do_nothing()
        .returning(t.c.name)
    ).scalar()
    if fresh is not None:
        return
    mine = (t.c.project == project) & (t.c.name == made.name)
    held = connection.execute(select(t.c.spec, t.c.digest).where(mine)).one()
    if (held.spec, held.digest) == (spec, made.digest):
        return
    if not replace:
        raise InputError(
            f"a training set {made.name!r} with the digest {held.digest} exists, and the new "
            f"one, of digest {made.digest}, is not the same: choose another name, or say "
            f"replace=True"
        )
    connection.execute(update(t).where(mine).values(**content))


def training_sets(connection: Connection, project: str) -> list[SavedTrainingSet]:
    """Every saved training set, by name."""
    t = tables.training_sets
    rows = connection.execute(select(t).where(t.c.project == project).order_by(t.c.name))
    return [
        SavedTrainingSet(
            r.name, json_data(r.spec, f"training set {r.name!r}"), r.digest, r.created_at
        )
        for r in rows
    ]


def training_set(connection: Connection, project: str, name: str) -> SavedTrainingSet:
    """The training set of that name, or NotFoundError with the nearest names."""
    found = {s.name: s for s in training_sets(connection, project)}
    if name not in found:
        raise unknown("training set", name, found, where=f"project {project!r}")
    return found[name]


def put_record(connection: Connection, project: str, record: Record) -> None:
    """Keep a record in place of the one of the same kind and key."""
    t = tables.records
    row, content = _row_of(project, record)
    connection.execute(
        insert_into(connection, t)
        .values(**row)
        .on_conflict_do_update(index_elements=[t.c.project, t.c.kind, t.c.key], set_=content)
    )


def swap_record(connection: Connection, project: str, record: Record, expected: Any | None) -> bool:
    """Keep a record if the data of its predecessor is ``expected``; None: if there is none.

    Waits for another transaction that holds the row, then sees its outcome.
    """
    t = tables.records
    row, content = _row_of(project, record)
    if expected is None:
        made = insert_into(connection, t).values(**row).on_conflict_do_nothing()
        return connection.execute(made.returning(t.c.key)).scalar() is not None
    mine = (t.c.project == project) & (t.c.kind == record.kind) & (t.c.key == row["key"])
    same = t.c.data == json_text(expected, f"the record {record.kind} {record.key!r}")
    changed = update(t).where(mine & same).values(**content).returning(t.c.key)
    return connection.execute(changed).scalar() is not None


def _row_of(project: str, record: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns of a record, and those of them that are not its name."""
    key = storable_text(record.key, "key")
    if not 0 < len(key) <= _MAX_KEY:
        raise InputError(f"the key of a record has 1 to {_MAX_KEY} characters, got {len(key)}")
    data = json_text(record.data, f"the record {record.kind} {key!r}")
    content = {"data": data, "recorded_at": record.recorded_at}
    kind = check_name(record.kind, "kind of record")
    return {"project": project, "kind": kind, "key": key, **content}, content


def delete_record(connection: Connection, project: str, kind: str, key: str) -> None:
    """Forget the record of that kind and key; an absent one is skipped."""
    t = tables.records
    mine = (t.c.project == project) & (t.c.kind == kind) & (t.c.key == key)
    connection.execute(delete(t).where(mine))


def records(
    connection: Connection, project: str, kind: str, key: str | None = None
) -> list[Record]:
    """Records of a kind, by key; with ``key`` that one, or none."""
    t = tables.records
    query = select(t).where(t.c.project == project, t.c.kind == kind).order_by(t.c.key)
    if key is not None:
        query = query.where(t.c.key == key)
    return [
        Record(r.kind, r.key, json_data(r.data, f"record {r.kind} {r.key!r}"), r.recorded_at)
        for r in connection.execute(query)
    ]


def storable_text(value: str, what: str) -> str:
    """Return text that every database takes. Raises InputError for NUL and lone surrogates."""
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise InputError(f"{what} must be text without NUL characters, got {value!r}")
    return value


def json_text(data: Any, what: str) -> str:
    """Canonical JSON. Raises InputError for data that JSON cannot hold."""
    try:
        return canonical_json(data).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        raise InputError(f"{what} cannot be written as JSON: {error}") from error


def json_data(document: str, what: str) -> Any:
    """The inverse of :func:`json_text`."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise CorruptDataError(
            f"the registry's {what} is damaged ({error}); restore the registry from a backup"
        ) from error
