"""Empty databases, and statements that go around a registry."""

from __future__ import annotations

import sqlite3
from uuid import uuid4

import psycopg


def new_postgres(server: str) -> str:
    """The address of an empty database on a server."""
    name = f"registry_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        parts = dict(p.split("=", 1) for p in connection.info.dsn.split())
    return f"postgresql://{parts['user']}@{parts['host']}:{parts['port']}/{name}"


def run(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Run a statement, whose parameters are question marks, in a transaction of its own."""
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            rows = lite.execute(statement, values).fetchall()
            lite.commit()
            return rows
        finally:
            lite.close()
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.replace("?", "%s"), values or None)
        return list(cursor.fetchall()) if cursor.description else []
