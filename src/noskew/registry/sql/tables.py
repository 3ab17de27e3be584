"""The tables of the registry. Every row belongs to one project; time is int64 microseconds."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

#: Raised by one when a table changes; a registry of a greater one is refused.
SCHEMA_VERSION = 1

metadata = MetaData()
# A prefix, since the registry may share its database with an Iceberg catalog or an application.
_PREFIX = "noskew_"


def _project() -> Column[str]:
    return Column("project", String(128), ForeignKey(f"{_PREFIX}project.name"), primary_key=True)


def _free_project() -> Column[str]:
    # State may be written for a project before its first apply.
    return Column("project", String(128), primary_key=True)


schema_table = Table(f"{_PREFIX}schema", metadata, Column("version", Integer, nullable=False))

#: One row per project: its current version. The compare-and-swap of ``apply`` is on this row.
projects = Table(
    f"{_PREFIX}project",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

#: Every version ever applied, whole; rows are never changed.
versions = Table(
    f"{_PREFIX}version",
    metadata,
    _project(),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("applied_at", BigInteger, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("document", Text, nullable=False),
)

#: The definitions of the current version, one a row, for discovery.
definitions = Table(
    f"{_PREFIX}definition",
    metadata,
    _project(),
    Column("kind", String(32), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("definition_hash", String(64), nullable=False),
    Column("data", Text, nullable=False),
)

training_sets = Table(
    f"{_PREFIX}training_set",
    metadata,
    _free_project(),
    Column("name", String(128), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("digest", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

#: What rooms remember of a project beside its definitions: noskew.registry.records.kinds.
records = Table(
    f"{_PREFIX}record",
    metadata,
    _free_project(),
    Column("kind", String(64), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("data", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
