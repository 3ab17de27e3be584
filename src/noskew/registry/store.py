"""SqlRegistry: versions of projects in SQLite or PostgreSQL, one transaction per change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from noskew.clock import to_text
from noskew.definitions.identity import canonical_json
from noskew.definitions.project import Project
from noskew.errors import ConflictError, CorruptDataError, InputError, NotFoundError
from noskew.registry import state, tables
from noskew.registry.database import Database, insert_into
from noskew.registry.state import Materialization, Record, RunStatus, SavedTrainingSet
from noskew.registry.versions import (
    Applied,
    StoredDefinition,
    Version,
    decode_project,
    encode_project,
    hash_of,
    items_of,
)
from noskew.resources import Closing
from noskew.types import check_name

_MADE = [
    tables.versions.c[name] for name in ("version", "applied_at", "applied_by", "message", "digest")
]


class SqlRegistry(Closing):
    """The registry: what is applied in each project, and what was before.

    Parameters
    ----------
    url
        ``sqlite:///path/registry.db`` (made if absent) or ``postgresql://…``.

    Every name of a project is a world of its own: environments are projects. Every method
    raises InvalidNameError for a project that is not a name, StoreUnavailableError if the
    database is down or locked too long, CorruptDataError if it holds what we did not write,
    and StoreFullError if it has no space left. Methods may be called from many threads.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def close(self) -> None:
        """Let go of everything that is open."""
        self._database.close()

    def projects(self) -> list[str]:
        """The names of the projects that were applied, sorted."""
        with self._database.reading() as connection:
            names = select(tables.projects.c.name).order_by(tables.projects.c.name)
            return list(connection.execute(names).scalars())

    def head(self, project: str) -> int:
        """The number of the current version, 0 before the first; cheap enough to poll."""
        mine = tables.projects.c.name == check_name(project, "project")
        with self._database.reading() as connection:
            found = connection.execute(select(tables.projects.c.version).where(mine)).scalar()
        return found or 0

    def current(self, project: str, *, reuse: Applied | None = None) -> Applied:
        """The current version; version 0 and an empty project before the first ``apply``.

        Definitions are made when they are first asked for; ``reuse``: an earlier version, from
        which those are taken that are the same.
        """
        v, p = tables.versions, tables.projects
        query = select(*_MADE, v.c.document).select_from(
            p.outerjoin(v, (v.c.project == p.c.name) & (v.c.version == p.c.version))
        )
        with self._database.reading() as connection:
            row = connection.execute(
                query.where(p.c.name == check_name(project, "project"))
            ).one_or_none()
        if row is None:
            return Applied(0, Project())
        if row.version is None:
            raise CorruptDataError(
                f"the registry has lost the current version of {project!r}; restore it from a "
                f"backup"
            )
        return decode_project(row.document, _made(row), project, reuse=reuse)

    def version(self, project: str, number: int) -> Applied:
        """Version ``number`` as it was applied, or NotFoundError."""
        v = tables.versions
        mine = (v.c.project == check_name(project, "project")) & (v.c.version == number)
        with self._database.reading() as connection:
            row = connection.execute(select(*_MADE, v.c.document).where(mine)).one_or_none()
        if row is None:
            raise NotFoundError(
                f"the project {project!r} has no version {number!r}; its current version is "
                f"{self.head(project)}"
            )
        return decode_project(row.document, _made(row), project)

    def history(self, project: str) -> list[Version]:
        """Every version, newest first, without definitions."""
        v = tables.versions
        query = select(*_MADE).where(v.c.project == check_name(project, "project"))
        with self._database.reading() as connection:
            return [_made(row) for row in connection.execute(query.order_by(v.c.version.desc()))]

    def definitions(self, project: str, kind: str | None = None) -> list[StoredDefinition]:
        """The definitions of the current version as data, by kind and name."""
        d = tables.definitions
        query = select(d).where(d.c.project == check_name(project, "project"))
        if kind is not None:
            query = query.where(d.c.kind == kind)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(d.c.kind, d.c.name)).all()
        return [
            StoredDefinition(
                r.kind, r.name, r.definition_hash, state.json_data(r.data, f"{r.kind} {r.name!r}")
            )
            for r in rows
        ]

    def apply(
        self,
        project: str,
        desired: Project,
        *,
        base_version: int,
        applied_at: int,
        applied_by: str = "",
        message: str = "",
    ) -> Applied:
        """Make ``desired`` the version after ``base_version``, in one transaction.

        Raises ConflictError if the current version is not ``base_version``: of several who
        apply at once exactly one succeeds. A process that dies on the way leaves either the
        old version or the new one. After StoreUnavailableError either may be current as well
        (the answer may have been lost): read it before repeating.
        """
        check_name(project, "project")
        if isinstance(base_version, bool) or not isinstance(base_version, int) or base_version < 0:
            raise InputError(f"base_version must be a version number, got {base_version!r}")
        document, digest = encode_project(desired)
        made = Version(
            base_version + 1,
            applied_at,
            state.storable_text(applied_by, "applied_by"),
            state.storable_text(message, "message"),
            digest,
        )
        # What cannot be read back must not become current.
        applied = replace(decode_project(document, made, project), project=desired)
        with self._database.writing() as connection:
            won = _swap(connection, project, base_version)
            if won:
                _write(connection, project, made, document, desired)
        if not won:
            raise self._conflict(project, base_version)
        return applied

    def _conflict(self, project: str, base_version: int) -> ConflictError:
        last = next(iter(self.history(project)), None)
        if last is None:
            now = "has no version"
        else:
            by = f" by {last.applied_by}" if last.applied_by else ""
            why = f" ({last.message})" if last.message else ""
            now = f"is at version {last.version}, applied{by} at {to_text(last.applied_at)}{why}"
        return ConflictError(
            f"the project {project!r} {now}, and this plan was made from version "
            f"{base_version}; nothing was changed: plan again"
        )

    def record_materialization(self, project: str, run: Materialization) -> None:
        """Remember a run."""
        check_name(project, "project")
        with self._database.writing() as connection:
            state.add_materialization(connection, project, run)

    def last_materialization(
        self, project: str, view: str, definition_hash: str
    ) -> Materialization | None:
        """The run recorded last among those that are done, of exactly this definition.

        Recorded last, not farthest: after a store was lost and filled again up to an earlier
        time, the next run must go on from there.
        """
        found = self.materializations(
            project, view, definition_hash=definition_hash, status="done", limit=1
        )
        return found[0] if found else None

    def materializations(
        self,
        project: str,
        view: str | None = None,
        *,
        definition_hash: str | None = None,
        status: RunStatus | None = None,
        limit: int = 100,
    ) -> list[Materialization]:
        """Runs, the one recorded last first."""
        check_name(project, "project")
        with self._database.reading() as connection:
            return state.materializations(
                connection,
                project,
                view=view,
                definition_hash=definition_hash,
                status=status,
                limit=limit,
            )

    def save_training_set(
        self, project: str, made: SavedTrainingSet, *, replace: bool = False
    ) -> None:
        """Save a training set; the same content again changes nothing.

        Raises InputError if other content has the name and ``replace`` is not set.
        """
        check_name(project, "project")
        with self._database.writing() as connection:
            state.put_training_set(connection, project, made, replace)

    def training_set(self, project: str, name: str) -> SavedTrainingSet:
        """The training set of that name, or NotFoundError with the nearest names."""
        check_name(project, "project")
        with self._database.reading() as connection:
            return state.training_set(connection, project, name)

    def training_sets(self, project: str) -> list[SavedTrainingSet]:
        """Every saved training set, by name."""
        check_name(project, "project")
        with self._database.reading() as connection:
            return state.training_sets(connection, project)

    def put_record(self, project: str, record: Record) -> None:
        """Keep a record (a certificate, an audit) in place of its predecessor of the same key."""
        check_name(project, "project")
        with self._database.writing() as connection:
            state.put_record(connection, project, record)

    def swap_record(self, project: str, record: Record, *, expected: Any | None) -> bool:
        """As :meth:`put_record`, if the predecessor's data is ``expected`` (None: there is none).

        False if it is not, which changes nothing: somebody else was first.
        """
        check_name(project, "project")
        with self._database.writing() as connection:
            return state.swap_record(connection, project, record, expected)

    def record(self, project: str, kind: str, key: str) -> Record | None:
        """The record of that kind and key, or None."""
        check_name(project, "project")
        with self._database.reading() as connection:
            found = state.records(connection, project, kind, key)
        return found[0] if found else None

    def delete_record(self, project: str, kind: str, key: str) -> None:
        """Forget the record of that kind and key; an absent one is skipped."""
        check_name(project, "project")
        with self._database.writing() as connection:
            state.delete_record(connection, project, kind, key)

    def records(self, project: str, kind: str) -> list[Record]:
        """Every record of a kind, by key."""
        check_name(project, "project")
        with self._database.reading() as connection:
            return state.records(connection, project, kind)


def _made(row: Row[*tuple[Any, ...]]) -> Version:
    return Version(row.version, row.applied_at, row.applied_by, row.message, row.digest)


def _swap(connection: Connection, project: str, base: int) -> bool:
    """Move the project from version ``base`` to the next; False if it is not there.

    Both statements wait for another transaction that holds the row, then see its outcome.
    """
    p = tables.projects
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


def _write(
    connection: Connection, project: str, made: Version, document: str, desired: Project
) -> None:
    """The rows of a version; of the definitions only those that differ from what is held."""
    connection.execute(
        insert(tables.versions).values(
            project=project,
            version=made.version,
            applied_at=made.applied_at,
            applied_by=made.applied_by,
            message=made.message,
            digest=made.digest,
            document=document,
        )
    )
    d = tables.definitions
    held = {
        (r.kind, r.name): (r.definition_hash, r.data)
        for r in connection.execute(select(d).where(d.c.project == project))
    }
    wanted = {
        (kind, name): (hash_of(item), canonical_json(item.to_dict()).decode())
        for kind, name, item in items_of(desired)
    }
    for (kind, name), row in held.items():
        if wanted.get((kind, name)) != row:
            mine = (d.c.project == project) & (d.c.kind == kind) & (d.c.name == name)
            connection.execute(delete(d).where(mine))
    fresh = [
        {"project": project, "kind": kind, "name": name, "definition_hash": found, "data": data}
        for (kind, name), (found, data) in wanted.items()
        if held.get((kind, name)) != (found, data)
    ]
    if fresh:
        connection.execute(insert(d), fresh)
