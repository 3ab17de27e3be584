"""Where a source's data is: frozen descriptions that a store opens later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from noskew.errors import DefinitionError, nearest
from noskew.redaction import masked_settings


@dataclass(frozen=True, slots=True)
class Connector:
    """A description of where data is. ``kind`` names the reader that opens it."""

    kind: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON data that :func:`from_dict` reads back."""
        return {"kind": self.kind, **asdict(self)}

    def shown(self) -> dict[str, Any]:
        """Its options for people, without secrets."""
        return {name: value for name, value in self.to_dict().items() if name != "kind"}

    def rooted(self, root: Path) -> Self:
        """The same data, its path taken from ``root`` wherever the process runs."""
        del root
        return self


@dataclass(frozen=True, slots=True)
class _Files(Connector):
    path: str

    def rooted(self, root: Path) -> Self:
        return replace(self, path=str(root / self.path))


@dataclass(frozen=True, slots=True)
class Parquet(_Files):
    """A Parquet file, a directory of them (searched recursively), or a glob pattern."""

    kind: ClassVar[str] = "parquet"


@dataclass(frozen=True, slots=True)
class Csv(_Files):
    """A CSV file, directory or glob, with a header row; types come from the source's schema."""

    kind: ClassVar[str] = "csv"


@dataclass(frozen=True, slots=True, repr=False)
class Iceberg(Connector):
    """An Iceberg table: ``table`` is ``namespace.name``, ``catalog`` the catalog's properties."""

    table: str
    catalog: Mapping[str, str] = field(default_factory=dict, hash=False)
    kind: ClassVar[str] = "iceberg"

    def shown(self) -> dict[str, Any]:
        return {"table": self.table, "catalog": masked_settings(self.catalog)}

    def __repr__(self) -> str:
        return "Iceberg(" + ", ".join(f"{k}={v!r}" for k, v in self.shown().items()) + ")"


@dataclass(frozen=True, slots=True)
class DuckDb(Connector):
    """The result of a SQL query on DuckDB; ``database`` is a file, opened read-only."""

    sql: str
    database: str = ":memory:"
    kind: ClassVar[str] = "duckdb"


@dataclass(frozen=True, slots=True)
class Postgres(Connector):
    """The result of a SQL query on PostgreSQL.

    ``dsn_env`` names the environment variable that holds the connection string, so that no
    password enters a definition.
    """

    sql: str
    dsn_env: str = "DATABASE_URL"
    kind: ClassVar[str] = "postgres"


@dataclass(frozen=True, slots=True, eq=False)
class Frame(Connector):
    """A pandas, Polars or Arrow frame of this process; only this process can ingest it."""

    data: Any
    kind: ClassVar[str] = "frame"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}


@dataclass(frozen=True, slots=True)
class Stream(Connector):
    """A log of events. ``format``: how a message holds them, ``"json"`` or ``"arrow"``.

    ``key``: the columns that decide in which partition an event is. With several partitions, an
    entity's events must all be in one: its keys are then these columns.
    """

    format: str = "json"
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        key = (self.key,) if isinstance(self.key, str) else tuple(self.key)
        object.__setattr__(self, "key", key)


@dataclass(frozen=True, slots=True)
class Kafka(Stream):
    """A Kafka topic.

    ``servers_env`` names the environment variable that holds ``host:port,…``, so that the same
    definition runs everywhere.
    """

    topic: str = ""
    servers_env: str = "KAFKA_BOOTSTRAP"
    kind: ClassVar[str] = "kafka"

    def __init__(
        self,
        topic: str,
        format: str = "json",
        *,
        key: str | Sequence[str] = (),
        servers_env: str = "KAFKA_BOOTSTRAP",
    ) -> None:
        put = object.__setattr__
        put(self, "topic", topic)
        put(self, "format", format)
        put(self, "key", (key,) if isinstance(key, str) else tuple(key))
        put(self, "servers_env", servers_env)


@dataclass(frozen=True, slots=True)
class LocalLog(Stream):
    """A durable log among the project's files, for ``store.push`` and one machine."""

    format: str = "arrow"
    partitions: int = 1
    kind: ClassVar[str] = "local_log"


_KINDS: dict[str, type[Connector]] = {
    c.kind: c for c in (Parquet, Csv, Iceberg, DuckDb, Postgres, Kafka, LocalLog)
}


def from_dict(data: Mapping[str, Any] | None) -> Connector | None:
    """The inverse of ``Connector.to_dict``; a frame of another process is gone (None)."""
    if data is None or data["kind"] == "frame":
        return None
    options = dict(data)
    kind = options.pop("kind")
    if kind not in _KINDS:
        raise DefinitionError(f"unknown connector {kind!r}; {nearest(kind, _KINDS)}")
    return _KINDS[kind](**options)
