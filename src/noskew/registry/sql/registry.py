"""SqlRegistry: a registry in SQLite or PostgreSQL, one transaction per change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace as replaced
from typing import TypeVar

from sqlalchemy import Connection, select

from noskew.clock import to_text
from noskew.definitions.project import Project
from noskew.errors import ConflictError, CorruptDataError, InputError, NotFoundError
from noskew.registry.base import Registry
from noskew.registry.records.record import Record, RecordKind
from noskew.registry.sql import records, tables, training_sets, versions
from noskew.registry.sql.database import Database
from noskew.registry.text import storable_text
from noskew.registry.training_sets import SavedTrainingSet
from noskew.registry.versions import (
    Applied,
    StoredDefinition,
    Version,
    decode_project,
    encode_project,
    make_changed,
)
from noskew.types import check_name

_Key = TypeVar("_Key", bound=str)
_Value = TypeVar("_Value")


class SqlRegistry(Registry):
    """A registry in SQLite or PostgreSQL.

    Parameters
    ----------
    url
        ``sqlite:///path/registry.db`` (made if absent) or ``postgresql://…``.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _reading(self, project: str) -> Iterator[Connection]:
        check_name(project, "project")
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def _writing(self, project: str) -> Iterator[Connection]:
        check_name(project, "project")
        with self._database.writing() as connection:
            yield connection

    # ---------------------------------------------------------------- versions

    def projects(self) -> list[str]:
        with self._database.reading() as connection:
            return sorted(connection.execute(select(tables.projects.c.name)).scalars())

    def head(self, project: str) -> int:
        with self._reading(project) as connection:
            return versions.head(connection, project)

    def current(self, project: str, *, reuse: Applied | None = None) -> Applied:
        with self._reading(project) as connection:
            row = versions.current(connection, project)
        if row is None:
            return Applied(0, Project())
        if row.version is None:
            raise CorruptDataError(
                f"the registry has lost the current version of {project!r}; restore it from a "
                f"backup"
            )
        return decode_project(row.document, versions.version_from_row(row), project, reuse=reuse)

    def version(self, project: str, number: int) -> Applied:
        with self._reading(project) as connection:
            row = versions.numbered_version(connection, project, number)
            if row is None:
                raise NotFoundError(
                    f"the project {project!r} has no version {number!r}; its current version is "
                    f"{versions.head(connection, project)}"
                )
        return decode_project(row.document, versions.version_from_row(row), project)

    def history(self, project: str) -> list[Version]:
        with self._reading(project) as connection:
            return versions.history(connection, project)

    def definitions(self, project: str, kind: str | None = None) -> list[StoredDefinition]:
        with self._reading(project) as connection:
            return versions.definitions(connection, project, kind)

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
        check_name(project, "project")
        if isinstance(base_version, bool) or not isinstance(base_version, int) or base_version < 0:
            raise InputError(f"base_version must be a version number, got {base_version!r}")
        document, digest = encode_project(desired)
        new = Version(
            base_version + 1,
            applied_at,
            storable_text(applied_by, "applied_by"),
            storable_text(message, "message"),
            digest,
        )
        applied = decode_project(document, new, project)
        # What cannot be read back must not become current.
        make_changed(applied.project, self._before(project))
        applied = replaced(applied, project=desired)
        with self._writing(project) as connection:
            if not versions.swap_head(connection, project, base_version):
                raise _conflict(connection, project, base_version)
            versions.write_version(connection, project, applied, document)
        return applied

    def _before(self, project: str) -> Project:
        """What is applied now; nothing, if that is damaged, which must not keep it so."""
        try:
            return self.current(project).project
        except CorruptDataError:
            return Project()

    # ---------------------------------------------------------------- training sets

    def save_training_set(
        self, project: str, saved: SavedTrainingSet, *, replace: bool = False
    ) -> None:
        with self._writing(project) as connection:
            training_sets.put(connection, project, saved, replace)

    def training_set(self, project: str, name: str) -> SavedTrainingSet:
        with self._reading(project) as connection:
            return training_sets.training_set(connection, project, name)

    def training_sets(self, project: str) -> list[SavedTrainingSet]:
        with self._reading(project) as connection:
            return training_sets.training_sets(connection, project)

    # ---------------------------------------------------------------- records

    def record(
        self, project: str, kind: RecordKind[_Key, _Value], key: _Key
    ) -> Record[_Key, _Value] | None:
        with self._reading(project) as connection:
            return records.record(connection, project, kind, key)

    def records(self, project: str, kind: RecordKind[_Key, _Value]) -> list[Record[_Key, _Value]]:
        with self._reading(project) as connection:
            return records.records(connection, project, kind)

    def put_records(self, project: str, new: Iterable[Record[_Key, _Value]]) -> None:
        with self._writing(project) as connection:
            records.put(connection, project, new)

    def swap_record(
        self, project: str, record: Record[_Key, _Value], *, expected: _Value | None
    ) -> bool:
        with self._writing(project) as connection:
            return records.swap(connection, project, record, expected)

    def delete_record(self, project: str, kind: RecordKind[_Key, _Value], key: _Key) -> None:
        with self._writing(project) as connection:
            records.forget(connection, project, kind, key)


def _conflict(connection: Connection, project: str, base_version: int) -> ConflictError:
    last = next(iter(versions.history(connection, project, limit=1)), None)
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
