"""DuckDB sessions: the settings that a value depends on are the same wherever SQL runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: What decides what a statement gives. Times without a zone are UTC, and names stand for tables
#: and columns, never for variables of the Python code that happens to run the statement.
SETTINGS: Mapping[str, str] = {"TimeZone": "'UTC'", "python_enable_replacements": "false"}
#: How a session reads no file and no network: a transform sees its source and nothing else.
_ISOLATED = {"enable_external_access": "false"}


class _Sessions(threading.local):
    """The isolated sessions of a thread, by their number of threads."""

    def __init__(self) -> None:
        self.opened: dict[int, DuckDBPyConnection] = {}


_sessions = _Sessions()


def connect(
    database: str = ":memory:",
    *,
    threads: int | None = None,
    read_only: bool = False,
    isolated: bool = False,
) -> DuckDBPyConnection:
    """A session with :data:`SETTINGS`; to be closed by the caller.

    Parameters
    ----------
    database
        A file, or ``":memory:"``.
    threads
        How many threads run a statement; as many as there are cores if None.
    read_only
        Whether the file is opened for reading.
    isolated
        Whether statements can read nothing but what is registered.
    """
    import duckdb  # most commands run no SQL, and it takes long to load

    config: dict[str, str | bool | int | float | list[str]] = {**(_ISOLATED if isolated else {})}
    if threads is not None:
        config["threads"] = threads
    session = duckdb.connect(database, read_only=read_only, config=config)
    for name, value in SETTINGS.items():
        session.execute(f"SET {name} = {value}")
    return session


def isolated_session(*, threads: int) -> DuckDBPyConnection:
    """An isolated session of this thread, the same at every call, never closed.

    Opening one takes tens of milliseconds, more than most statements, and some memory.
    """
    opened = _sessions.opened
    if threads not in opened:
        opened[threads] = connect(threads=threads, isolated=True)
    return opened[threads]
