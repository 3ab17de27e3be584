"""SqlRegistry does what every registry does, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from noskew.registry.base import Registry
from noskew.registry.sql.registry import SqlRegistry
from noskew.testing.registry import RegistryTests
from tests.registry.databases import new_postgres, run

_IN_PLACE = "WHERE project = ? AND kind = ? AND key = ?"


class SqlRegistryTests(RegistryTests):
    """The suite, and statements that go around the registry."""

    url: str

    def opener(self, registry: Registry) -> Callable[[], Registry]:
        return partial(SqlRegistry, self.url)

    def write_raw_record(
        self, registry: Registry, project: str, kind: str, key: str, document: str
    ) -> None:
        place = (project, kind, str(key))
        run(self.url, f"DELETE FROM noskew_record {_IN_PLACE}", *place)
        run(self.url, "INSERT INTO noskew_record VALUES (?, ?, ?, ?, 0)", *place, document)

    def read_raw_record(self, registry: Registry, project: str, kind: str, key: str) -> str:
        query = f"SELECT data FROM noskew_record {_IN_PLACE}"
        ((text,),) = run(self.url, query, project, kind, str(key))
        return str(text)

    def damage_versions(self, registry: Registry, project: str, old: str, new: str) -> None:
        if not old:
            run(self.url, "DELETE FROM noskew_version WHERE project = ?", project)
            return
        damage = "UPDATE noskew_version SET document = replace(document, ?, ?) WHERE project = ?"
        run(self.url, damage, old, new, project)


@pytest.mark.conformance
class TestSqlite(SqlRegistryTests):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        self.url = f"sqlite:///{tmp_path}/new/registry.db"
        with SqlRegistry(self.url) as registry:
            yield registry


@pytest.mark.conformance
class TestPostgres(SqlRegistryTests):
    @pytest.fixture
    def registry(self, postgres_url: str) -> Iterator[Registry]:
        self.url = new_postgres(postgres_url)
        with SqlRegistry(self.url) as registry:
            yield registry
