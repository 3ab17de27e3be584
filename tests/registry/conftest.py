from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from noskew.registry.store import SqlRegistry


@pytest.fixture(params=["sqlite", "postgres"])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/registry.db"
    server: str = request.getfixturevalue("postgres_url")
    name = f"registry_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        found = dict(p.split("=", 1) for p in connection.info.dsn.split())
    return f"postgresql://{found['user']}@{found['host']}:{found['port']}/{name}"


@pytest.fixture
def registry(registry_url: str) -> Iterator[SqlRegistry]:
    with SqlRegistry(registry_url) as opened:
        yield opened


@pytest.fixture
def raw(registry_url: str) -> Callable[[str], list[tuple[object, ...]]]:
    """Statements that go around the registry, to read and to damage what it wrote."""

    def run(statement: str) -> list[tuple[object, ...]]:
        if registry_url.startswith("sqlite"):
            lite = sqlite3.connect(registry_url.removeprefix("sqlite:///"))
            try:
                rows = lite.execute(statement).fetchall()
                lite.commit()
                return rows
            finally:
                lite.close()
        with psycopg.connect(registry_url) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    return run
