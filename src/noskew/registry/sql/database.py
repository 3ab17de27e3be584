"""The registry's database: an address, connections, and transactions that are safe on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from noskew.errors import ConfigError, CorruptDataError, RegistryError, missing_extra
from noskew.registry.sql.faults import registry_faults
from noskew.registry.sql.tables import SCHEMA_VERSION, metadata, schema_table

#: How long to wait for somebody else's transaction, in seconds. Ours take milliseconds, so a
#: longer wait means a stopped process or a broken network.
LOCK_WAIT_S = 30
CONNECT_WAIT_S = 10
_BEGIN = "noskew_begin"
# Any number will do, as long as nobody else's is the same; these are the bytes of "noskew".
_SCHEMA_LOCK = int.from_bytes(b"noskew")


class Database:
    """Connections to SQLite or PostgreSQL, with their errors mapped.

    SQLite keeps a rollback journal and syncs file and directory at each commit: of its modes
    the one that survives a power cut after the acknowledgement and works on network disks.
    Connections live for one transaction: a process may fork, and none goes stale.

    Raises ConfigError for an address that cannot be used, StoreUnavailableError if the
    database is down, CorruptDataError if the file is not a database, RegistryError if the
    tables were made by a newer version of noskew.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        # Host and database alone: a user name or an option may be as secret as a password.
        host = f"{self.url.host or ''}:{self.url.port or ''}".rstrip(":")
        self.place = f"{self.url.get_backend_name()}://{host}/{self.url.database}"
        passwords = (self.url.password, self.url.query.get("password"))
        self._secrets = tuple(p for p in passwords if isinstance(p, str) and p)
        self.engine = _engine(self.url)
        self._writes = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with registry_faults(self.place, self._secrets):
            if self.url.database and self.is_sqlite:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self._prepare()

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def close(self) -> None:
        """Let go of everything that is open; the next use opens it again."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction."""
        with registry_faults(self.place, self._secrets), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction: all of it or nothing.

        On SQLite it takes the write lock first, since a transaction that begins by reading
        cannot wait for it. On PostgreSQL it waits for rows at most LOCK_WAIT_S.
        """
        with registry_faults(self.place, self._secrets), self._writes.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))
            yield connection

    def _prepare(self) -> None:
        """Make the tables unless they are there; two processes may do so at once."""
        with self.reading() as connection:
            version = self._schema_version(connection)
        if version is None:
            with self.writing() as connection:
                if not self.is_sqlite:
                    # CREATE TABLE IF NOT EXISTS fails when two run at the same moment.
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
                version = self._schema_version(connection)
                if version is None:
                    metadata.create_all(connection)
                    connection.execute(insert(schema_table).values(version=SCHEMA_VERSION))
                    version = SCHEMA_VERSION
        if version > SCHEMA_VERSION:
            raise RegistryError(
                f"the registry at {self.place} has schema version {version}, made by a newer "
                f"noskew; this one reads up to {SCHEMA_VERSION}: upgrade noskew"
            )

    def _schema_version(self, connection: Connection) -> int | None:
        if not inspect(connection).has_table(schema_table.name):
            return None
        versions = connection.execute(select(schema_table.c.version)).scalars().all()
        if len(versions) != 1:
            raise CorruptDataError(
                f"the registry at {self.place} has {len(versions)} schema versions instead of one; "
                f"restore it from a backup"
            )
        return int(versions[0])


def parse_url(url: str) -> URL:
    """An address as SQLAlchemy's URL with our driver, paths made absolute.

    Raises ConfigError, which never repeats the address: a password may be anywhere in it.
    """
    advice = "write sqlite:///path/registry.db or postgresql://user:password@host:5432/database"
    try:
        address = make_url(url)
        backend = address.get_backend_name()
    except (ArgumentError, ValueError, AttributeError):
        raise ConfigError(f"the registry's address cannot be read; {advice}") from None
    if backend in ("postgresql", "postgres"):
        if "@" in f"{address.host}{address.database}":
            raise ConfigError(
                "the registry's address has a second '@'; write %40 for one in a password"
            )
        if find_spec("psycopg") is None:
            raise missing_extra("psycopg", "postgres", "a registry on PostgreSQL")
        return address.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"no registry on {backend!r}; {advice}")
    path = address.database or ":memory:"
    if path.startswith((":memory:", "file:")) or address.host or address.query:
        raise ConfigError(f"a registry on SQLite is one file, without options; {advice}")
    # The working directory may change before the next connection is made.
    return address.set(drivername="sqlite", database=str(Path(path).absolute()))


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say ON CONFLICT, in the dialect of the connection."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def json_of(document: str, what: str) -> Any:
    """JSON data that a row has as text.

    Raises CorruptDataError for what is no JSON.
    """
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise CorruptDataError(
            f"the registry's {what} is damaged ({error}); restore the registry from a backup"
        ) from error


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_WAIT_S}
        )
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCK_WAIT_S})
    _begin_ourselves(engine)
    return engine


def _begin_ourselves(engine: Engine) -> None:
    """Take the beginning of transactions out of the hands of Python's SQLite driver."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        del record
        # The driver must not begin transactions by itself: it would do so too late.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = EXTRA")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))
