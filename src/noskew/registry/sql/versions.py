"""Versions of a project as rows, and the definitions of the current one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from noskew.registry.sql import tables
from noskew.registry.sql.database import insert_into, json_of
from noskew.registry.versions import KINDS, Applied, StoredDefinition, Version

_VERSIONS, _PROJECTS, _DEFINITIONS = tables.versions, tables.projects, tables.definitions
_ABOUT = [
    _VERSIONS.c[name] for name in ("version", "applied_at", "applied_by", "message", "digest")
]
_WHOLE = [*_ABOUT, _VERSIONS.c.document]


def version_from_row(row: Row[Any]) -> Version:
    """What a row says of its version."""
    return Version(row.version, row.applied_at, row.applied_by, row.message, row.digest)


def head(connection: Connection, project: str) -> int:
    """The number of the current version, 0 before the first."""
    p = _PROJECTS
    return connection.execute(select(p.c.version).where(p.c.name == project)).scalar() or 0


def current(connection: Connection, project: str) -> Row[Any] | None:
    """The row of the current version; all null if it is lost, None before the first."""
    v, p = _VERSIONS, _PROJECTS
    joined = p.outerjoin(v, (v.c.project == p.c.name) & (v.c.version == p.c.version))
    query = select(*_WHOLE).select_from(joined).where(p.c.name == project)
    return connection.execute(query).one_or_none()


def numbered_version(connection: Connection, project: str, number: int) -> Row[Any] | None:
    """The row of a version, or None."""
    v = _VERSIONS
    query = select(*_WHOLE).where(v.c.project == project, v.c.version == number)
    return connection.execute(query).one_or_none()


def history(connection: Connection, project: str, *, limit: int | None = None) -> list[Version]:
    """Versions, newest first."""
    v = _VERSIONS
    query = select(*_ABOUT).where(v.c.project == project).order_by(v.c.version.desc())
    return [version_from_row(row) for row in connection.execute(query.limit(limit))]


def definitions(connection: Connection, project: str, kind: str | None) -> list[StoredDefinition]:
    """The definitions of the current version, by kind and name."""
    d = _DEFINITIONS
    query = select(d).where(d.c.project == project)
    if kind is not None:
        query = query.where(d.c.kind == kind)
    rows = sorted(connection.execute(query).all(), key=lambda row: (row.kind, row.name))
    return [
        StoredDefinition(
            row.kind, row.name, row.definition_hash, json_of(row.data, f"{row.kind} {row.name!r}")
        )
        for row in rows
    ]


def swap_head(connection: Connection, project: str, base: int) -> bool:
    """Move the project from version ``base`` to the next; False if it is not there.

    Both statements wait for another transaction that changes the row, then see its outcome.
    """
    p = _PROJECTS
    if base > 0:
        here = (p.c.name == project) & (p.c.version == base)
        moved = connection.execute(
            update(p).where(here).values(version=base + 1).returning(p.c.name)
        )
    else:
        moved = connection.execute(
            insert_into(connection, p)
            .values(name=project, version=1)
            .on_conflict_do_nothing()
            .returning(p.c.name)
        )
    return moved.scalar() is not None


def write_version(connection: Connection, project: str, new: Applied, document: str) -> None:
    """Add a version; of the definitions write only those that differ from the stored ones."""
    about, d = new.entry, _DEFINITIONS
    assert about is not None, "nobody applies version 0"
    connection.execute(
        insert(_VERSIONS).values(project=project, document=document, **asdict(about))
    )
    stored = {
        (row.kind, row.name): (row.definition_hash, row.data)
        for row in connection.execute(select(d).where(d.c.project == project))
    }
    wanted = {
        (kind, name): (new.hashes[kind][name], new.project.json(where, name).decode())
        for kind, where in KINDS.items()
        for name in getattr(new.project, where)
    }
    gone = [{"of_kind": kind, "of_name": name} for kind, name in stored.keys() - wanted.keys()]
    if gone:
        mine = d.c.project == project
        named = (d.c.kind == bindparam("of_kind")) & (d.c.name == bindparam("of_name"))
        connection.execute(delete(d).where(mine & named), gone)
    changed = [
        {"project": project, "kind": kind, "name": name, "definition_hash": hash_, "data": data}
        for (kind, name), (hash_, data) in wanted.items()
        if stored.get((kind, name)) != (hash_, data)
    ]
    if changed:
        upsert = insert_into(connection, d)
        content = {name: upsert.excluded[name] for name in ("definition_hash", "data")}
        keys = [d.c.project, d.c.kind, d.c.name]
        connection.execute(upsert.on_conflict_do_update(index_elements=keys, set_=content), changed)
