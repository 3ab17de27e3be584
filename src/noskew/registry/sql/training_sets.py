"""Saved training sets as rows."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, Row, select, update

from noskew.definitions.identity import canonical_json
from noskew.errors import InputError, unknown
from noskew.registry.sql import tables
from noskew.registry.sql.database import insert_into, json_of
from noskew.registry.training_sets import SavedTrainingSet
from noskew.types import check_name

_SETS = tables.training_sets


def put(connection: Connection, project: str, new: SavedTrainingSet, replace: bool) -> None:
    """Keep a training set; the same content again changes nothing.

    Raises InputError if other content has the name and ``replace`` is not set.
    """
    t = _SETS
    content = {"spec": _spec_text(new), "digest": new.digest, "created_at": new.created_at}
    # Inserting first makes two who save the same name wait for each other.
    inserted = connection.execute(
        insert_into(connection, t)
        .values(project=project, name=new.name, **content)
        .on_conflict_do_nothing()
        .returning(t.c.name)
    ).scalar()
    if inserted is not None:
        return
    mine = (t.c.project == project) & (t.c.name == new.name)
    old = connection.execute(select(t.c.spec, t.c.digest).where(mine)).one()
    if (old.spec, old.digest) == (content["spec"], new.digest):
        return
    if not replace:
        raise InputError(
            f"a training set {new.name!r} with the digest {old.digest} exists, and the new "
            f"one, of digest {new.digest}, is not the same: choose another name, or say "
            f"replace=True"
        )
    connection.execute(update(t).where(mine).values(**content))


def training_sets(connection: Connection, project: str) -> list[SavedTrainingSet]:
    """Every saved training set, by name."""
    rows = connection.execute(select(_SETS).where(_SETS.c.project == project)).all()
    return [_training_set(row) for row in sorted(rows, key=lambda row: row.name)]


def training_set(connection: Connection, project: str, name: str) -> SavedTrainingSet:
    """The training set of that name, or NotFoundError with the nearest names."""
    t = _SETS
    mine = t.c.project == project
    row = connection.execute(select(t).where(mine, t.c.name == name)).one_or_none()
    if row is None:
        names = connection.execute(select(t.c.name).where(mine)).scalars()
        raise unknown("training set", name, names, where=f"project {project!r}")
    return _training_set(row)


def _training_set(row: Row[Any]) -> SavedTrainingSet:
    spec = json_of(row.spec, f"training set {row.name!r}")
    return SavedTrainingSet(row.name, spec, row.digest, row.created_at)


def _spec_text(new: SavedTrainingSet) -> str:
    name = check_name(new.name, "training set")
    try:
        return canonical_json(new.spec).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        raise InputError(
            f"the spec of training set {name!r} cannot be written as JSON: {error}"
        ) from error
