"""What databases raise, turned into noskew's errors at the registry's edge."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from noskew.errors import (
    CorruptDataError,
    NoskewError,
    RegistryError,
    StoreFullError,
    StoreUnavailableError,
)

# Extended codes keep the primary one in their low byte: https://sqlite.org/rescode.html
_SQLITE: dict[int, type[NoskewError]] = {
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_CORRUPT: CorruptDataError,
    sqlite3.SQLITE_NOTADB: CorruptDataError,
    sqlite3.SQLITE_BUSY: StoreUnavailableError,
    sqlite3.SQLITE_LOCKED: StoreUnavailableError,
    sqlite3.SQLITE_READONLY: StoreUnavailableError,
    sqlite3.SQLITE_IOERR: StoreUnavailableError,
    sqlite3.SQLITE_CANTOPEN: StoreUnavailableError,
    sqlite3.SQLITE_PERM: StoreUnavailableError,
}
# Longest prefix first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES: tuple[tuple[str, type[NoskewError]], ...] = (
    ("53100", StoreFullError),  # disk_full
    ("55P03", StoreUnavailableError),  # lock_not_available, after lock_timeout
    ("25006", StoreUnavailableError),  # read_only_sql_transaction: a standby
    ("XX001", CorruptDataError),
    ("XX002", CorruptDataError),
    ("08", StoreUnavailableError),  # connection exceptions
    ("40", StoreUnavailableError),  # serialization failure, deadlock: rolled back
    ("53", StoreUnavailableError),  # too many connections, out of memory
    ("57", StoreUnavailableError),  # shutdown, crash, cancelled
    ("58", StoreUnavailableError),  # I/O error of the server
)
_ADVICE: dict[type[NoskewError], str] = {
    StoreFullError: "no space is left; what was applied is kept: free space and repeat",
    CorruptDataError: "it is not a registry of noskew, or it is damaged: restore it from a "
    "backup, or apply the definitions again to a new one",
    StoreUnavailableError: "nothing is half done: check that it is up and reachable, and repeat",
    RegistryError: "see the words of the database",
}


@contextmanager
def registry_faults(place: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Map what the database at ``place`` raises; ``secrets`` never appear in a message."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        kind = _kind(error)
        words = _first_line(error)
        for secret in secrets:
            words = words.replace(secret, "***")
        raise kind(f"the registry at {place}: {words}; {_ADVICE[kind]}") from error


def _kind(error: Exception) -> type[NoskewError]:
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF, RegistryError)
    state = getattr(origin, "sqlstate", None)
    if state:
        return next((k for prefix, k in _POSTGRES if state.startswith(prefix)), RegistryError)
    # A connection that broke or never came about has no code.
    lost = (OperationalError, InterfaceError, PoolTimeoutError, OSError, sqlite3.OperationalError)
    return StoreUnavailableError if isinstance(error, lost) else RegistryError


def _first_line(error: Exception) -> str:
    # SQLAlchemy appends the statement and its parameters; the driver's own words are enough.
    origin = getattr(error, "orig", None) or error
    return next(iter(str(origin).strip().splitlines()), type(origin).__name__)[:300]
