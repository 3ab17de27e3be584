"""What goes wrong around a registry, and the errors that say so."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from noskew.definitions.entity import Entity
from noskew.definitions.project import Project
from noskew.errors import (
    ConfigError,
    CorruptDataError,
    MissingExtraError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.registry.sql import database
from noskew.registry.sql.registry import SqlRegistry
from noskew.testing.registry.examples import numbered, text_of, whole
from tests import servers

Raw = Callable[[str], list[tuple[object, ...]]]
SECRET = "s3cr3t-w0rd"


def _large() -> Project:
    return Project.of([Entity(f"e{i}", {"key": str}, owner="x" * 500) for i in range(500)])


def _told(error: BaseException) -> str:
    """Everything that a log of the error would hold."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("form", ["u:{}@127.0.0.1:{}/db", "127.0.0.1:{1}/db?user=u&password={0}"])
def test_a_server_that_is_down(form: str) -> None:
    address = form.format(SECRET, servers.free_port())
    with pytest.raises(StoreUnavailableError, match="check that it is up") as error:
        SqlRegistry(f"postgresql://{address}")
    assert SECRET not in _told(error.value)
    assert error.value.retryable


def test_a_server_that_stops() -> None:
    with servers.postgres_server() as server, SqlRegistry(server.url) as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
        server.stop()
        with pytest.raises(StoreUnavailableError):
            registry.current("flights")
        with pytest.raises(StoreUnavailableError):
            registry.apply("flights", numbered(2), base_version=1, applied_at=1)
        server.start()
        held = registry.current("flights")
        assert text_of(held.project) == text_of(whole())
        assert registry.apply("flights", numbered(2), base_version=1, applied_at=1).version == 2


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cr3t-w0rd@127.0.0.1:x/db",
        "postgresql://u:p@s3cr3t-w0rd@127.0.0.1:5432/db",
        "postgresql://u:p@s3/cr3t@s3cr3t-w0rd/db",
        "mysql://u:s3cr3t-w0rd@127.0.0.1/db",
        "s3cr3t-w0rd",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x.db",
        "sqlite:///x.db?mode=ro",
        "sqlite://s3cr3t-w0rd/x.db",
        None,
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        SqlRegistry(url)
    assert SECRET not in _told(error.value)


def test_the_driver_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"noskew\[postgres\]"):
        SqlRegistry("postgresql://u@127.0.0.1/db")


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SqlRegistry("sqlite:///registry.db") as registry:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        registry.apply("flights", whole(), base_version=0, applied_at=1)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    with SqlRegistry(f"sqlite:///{tmp_path}/registry.db") as registry:
        assert registry.head("flights") == 1


@pytest.mark.parametrize("content", [b"not a database at all, only text" * 100, b"\0" * 4096])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match="not a registry of noskew, or it is damaged"):
        SqlRegistry(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with SqlRegistry(f"sqlite:///{path}") as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
        whole_file = path.read_bytes()
        # Every page but the first, so that the file still looks like a database.
        path.write_bytes(whole_file[:4096] + b"\xa5" * (len(whole_file) - 4096))
        with pytest.raises(CorruptDataError):
            registry.current("flights")
        path.write_bytes(whole_file[: len(whole_file) // 8192 * 4096])
        with pytest.raises(CorruptDataError):
            registry.apply("flights", whole(), base_version=1, applied_at=1)


@pytest.mark.parametrize("place", ["", "file/registry.db"])
def test_a_place_that_cannot_hold_a_file(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        SqlRegistry(f"sqlite:///{tmp_path}/{place}")


def test_no_space_left(tmp_path: Path) -> None:
    with SqlRegistry(f"sqlite:///{tmp_path}/registry.db") as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
        engine = registry._database.engine

        def _limit(connection: sqlite3.Connection, record: object) -> None:
            # SQLite then says SQLITE_FULL, as it does for a full disk.
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

        event.listen(engine, "connect", _limit)
        # Far more than fits into the pages that are there.
        with pytest.raises(StoreFullError, match="free space and repeat") as error:
            registry.apply("flights", _large(), base_version=1, applied_at=1)
        assert error.value.retryable
        assert text_of(registry.current("flights").project) == text_of(whole())
        event.remove(engine, "connect", _limit)
        assert registry.apply("flights", _large(), base_version=1, applied_at=1).version == 2


def test_a_lock_that_is_never_given_back(
    registry_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.05)
    with SqlRegistry(registry_url) as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
        holder: sqlite3.Connection | psycopg.Connection[tuple[object, ...]]
        if registry_url.startswith("sqlite"):
            holder = sqlite3.connect(registry_url.removeprefix("sqlite:///"))
            holder.execute("BEGIN IMMEDIATE")
        else:
            holder = psycopg.connect(registry_url)
            holder.execute("UPDATE noskew_project SET version = version")
        try:
            with pytest.raises(StoreUnavailableError):
                registry.apply("flights", numbered(2), base_version=1, applied_at=1)
            # Whoever only reads does not wait.
            assert registry.current("flights").version == 1
        finally:
            holder.rollback()
            holder.close()
        assert registry.apply("flights", numbered(2), base_version=1, applied_at=1).version == 2


def test_a_registry_that_may_only_be_read(registry_url: str, raw: Raw) -> None:
    """A server that follows the registry needs no right to write."""
    with SqlRegistry(registry_url) as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
    if registry_url.startswith("sqlite"):
        if os.geteuid() == 0:
            pytest.skip("file modes do not bind the superuser")
        Path(registry_url.removeprefix("sqlite:///")).chmod(0o400)
        url = registry_url
    else:
        url = f"{registry_url}?options=-cdefault_transaction_read_only%3Don"
    with SqlRegistry(url) as registry:
        assert text_of(registry.current("flights").project) == text_of(whole())
        with pytest.raises(StoreUnavailableError):
            registry.apply("flights", whole(), base_version=1, applied_at=1)


def test_a_registry_beside_foreign_tables(registry_url: str, raw: Raw) -> None:
    with SqlRegistry(registry_url):
        pass
    raw("CREATE TABLE project (name INTEGER)")
    raw("INSERT INTO project VALUES (5)")
    with SqlRegistry(registry_url) as registry:
        registry.apply("flights", whole(), base_version=0, applied_at=1)
        assert registry.projects() == ["flights"]
    assert raw("SELECT name FROM project") == [(5,)]
