"""Where a source's data is: frozen descriptions that a store opens later."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from noskew.definitions.csv_form import check_csv
from noskew.definitions.identity import digest
from noskew.errors import ConfigError, DefinitionError, MissingExtraError, nearest
from noskew.plugins import Plugins
from noskew.redaction import masked_settings

_REGISTRY = "SCHEMA_REGISTRY_URL"
_REGISTRY_AUTH = "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"


@dataclass(frozen=True, slots=True)
class Connector:
    """A description of where data is. ``kind`` names the reader that opens it.

    One of somebody else's is a frozen dataclass with a ``kind`` of its own, whose fields are JSON
    data, that an installed distribution gives an entry point of that name in the group
    ``noskew.connectors``; of a stream it is a :class:`Stream`. It overrides :meth:`shown` where an
    option is secret, and :meth:`rooted` where one is a path.
    """

    kind: ClassVar[str] = ""
    #: Whether its rows can be read by a column that only grows.
    has_cursor: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """JSON data that :func:`from_dict` reads back."""
        options = asdict(self).items()
        # JSON has lists only, and data is compared with what was read from it.
        return {
            "kind": self.kind,
            **{name: list(v) if isinstance(v, tuple) else v for name, v in options},
        }

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


@dataclass(frozen=True, slots=True, repr=False)
class Csv(_Files):
    r"""A CSV file, a directory of them (searched recursively), or a glob pattern.

    Types come from the source's schema, and none is guessed. Empty fields are null, except in
    text, where they are empty text; NaN and infinity are values. Lists are JSON texts. Commas,
    semicolons, tabs and bars between fields are told from the header; UTF-8 and, by its mark,
    UTF-16 are read, ``.gz`` is unpacked, and line breaks between quotes are part of a field.

    Where the options say another time or number for the same text, the rows are other rows to an
    ingest. They are no part of a definition's hash, as the place of the data and a query's text
    are not: a feature is defined by what the columns mean, not by how a file spells them.

    Parameters
    ----------
    path
        Of a directory, files that end in ``.csv``, ``.csv.gz``, ``.tsv`` or ``.tsv.gz`` count.
    delimiter
        The character between fields.
    timezone
        Where the clock was whose times have no offset: ``"UTC"``, ``"Europe/Berlin"``. Without it
        such times, and dates in a timestamp column, are refused; so are times that its clocks
        show twice, or never.
    timestamp_format
        How times are written if not as ISO 8601: ``"%d/%m/%Y %H:%M"``, as in Python's
        ``strptime``. The order of day and month is never guessed.
    null_values
        Texts that stand for null besides the empty field, such as ``["NULL"]``, or ``[r"\N"]`` of
        PostgreSQL. In text columns these alone do, and only where they are not quoted.
    encoding
        Such as ``"cp1252"``, as Python calls it.
    header
        False if the first line is a row: the file then has the columns of the schema in its order.
    decimal
        ``","`` if numbers are written as 1,5.
    """

    delimiter: str | None = field(default=None, kw_only=True)
    timezone: str | None = field(default=None, kw_only=True)
    timestamp_format: str | None = field(default=None, kw_only=True)
    null_values: Sequence[str] | None = field(default=None, kw_only=True)
    encoding: str | None = field(default=None, kw_only=True)
    header: bool = field(default=True, kw_only=True)
    decimal: str = field(default=".", kw_only=True)
    kind: ClassVar[str] = "csv"

    def __post_init__(self) -> None:
        if self.null_values is not None:
            given = (self.null_values,) if isinstance(self.null_values, str) else self.null_values
            object.__setattr__(self, "null_values", tuple(given) or None)
        check_csv(
            delimiter=self.delimiter,
            timezone=self.timezone,
            timestamp_format=self.timestamp_format,
            null_values=self.null_values or (),
            encoding=self.encoding,
            decimal=self.decimal,
        )

    def to_dict(self) -> dict[str, Any]:
        """Its options that are set: what a version wrote that had fewer stays the same."""
        usual = {f.name: f.default for f in fields(self)}
        # Of its base by name: this class was made twice, since it has slots.
        data = Connector.to_dict(self)
        return {name: v for name, v in data.items() if name == "kind" or v != usual[name]}

    def __repr__(self) -> str:
        said = [f"{name}={v!r}" for name, v in self.shown().items() if name != "path"]
        return f"Csv({', '.join([repr(self.path), *said])})"


@dataclass(frozen=True, slots=True)
class Json(_Files):
    """A file with a JSON object on each line, plain or ``.gz``; a directory, or a glob pattern."""

    kind: ClassVar[str] = "json"


@dataclass(frozen=True, slots=True, repr=False)
class Iceberg(Connector):
    """An Iceberg table: ``table`` is ``namespace.name``, ``catalog`` the catalog's properties.

    It is read by its current schema. ``branch``: a branch or a tag; the main branch without.
    """

    table: str
    catalog: Mapping[str, str] = field(default_factory=dict, hash=False)
    branch: str = ""
    kind: ClassVar[str] = "iceberg"

    def to_dict(self) -> dict[str, Any]:
        # Documents from before there were branches stay what they are.
        data = Connector.to_dict(self)
        return data if self.branch else {n: v for n, v in data.items() if n != "branch"}

    def shown(self) -> dict[str, Any]:
        branch = {"branch": self.branch} if self.branch else {}
        return {"table": self.table, "catalog": masked_settings(self.catalog), **branch}

    def __repr__(self) -> str:
        return "Iceberg(" + ", ".join(f"{k}={v!r}" for k, v in self.shown().items()) + ")"


@dataclass(frozen=True, slots=True)
class Delta(_Files):
    """A Delta Lake table in a directory, by its current schema.

    ``version``: a number of its history; the latest without. Rows that were deleted are not there.
    Tables with deletion vectors or mapped columns are refused.
    """

    version: int | None = None
    kind: ClassVar[str] = "delta"

    def __post_init__(self) -> None:
        version = self.version
        is_number = isinstance(version, int) and not isinstance(version, bool)
        if version is not None and (not is_number or version < 0):
            raise DefinitionError(
                f"Delta: version= is a number of the table's history, from 0 on, got {version!r}; "
                f"leave it out for the latest"
            )


@dataclass(frozen=True, slots=True)
class DuckDb(Connector):
    """The result of a SQL query on DuckDB; ``database`` is a file, opened read-only."""

    sql: str
    database: str = ":memory:"
    kind: ClassVar[str] = "duckdb"
    has_cursor: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Postgres(Connector):
    """The result of a SQL query on PostgreSQL.

    ``dsn_env`` names the environment variable that holds the connection string, so that no
    password enters a definition.
    """

    sql: str
    dsn_env: str = "DATABASE_URL"
    kind: ClassVar[str] = "postgres"
    has_cursor: ClassVar[bool] = True


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

    ``key``: the columns that decide in which partition an event is. Events of an entity with
    other keys are in any of them: a view of it has several rows for each, and reads merge them.
    """

    format: str = "json"
    key: tuple[str, ...] = ()
    formats: ClassVar[tuple[str, ...]] = ("arrow", "json")

    @property
    def has_partitions(self) -> bool:
        """Whether there may be several."""
        return True

    def __post_init__(self) -> None:
        key = (self.key,) if isinstance(self.key, str) else tuple(self.key)
        object.__setattr__(self, "key", key)
        if self.format not in self.formats:
            raise DefinitionError(
                f"{type(self).__name__}: unknown format {self.format!r}; "
                f"{nearest(self.format, self.formats)}"
            )


@dataclass(frozen=True, slots=True, repr=False)
class Kafka(Stream):
    """A Kafka topic.

    Parameters
    ----------
    topic
        Its name.
    format
        How a message holds an event: ``"json"``, ``"avro"``, ``"protobuf"`` or ``"arrow"``.
    key
        The columns that decide in which partition an event is.
    servers_env
        The environment variable that holds ``host:port,…``, so that the same definition runs
        everywhere.
    schema
        What messages of ``"avro"`` or ``"protobuf"`` were written with, where no registry says
        it: the text of an Avro schema, or the bytes of a descriptor set (``protoc
        --include_imports --descriptor_set_out``; their base64 text does as well). A
        ``pathlib.Path`` is read at once: the definition holds what was in the file.
    message
        The full name of the Protobuf message in ``schema``, such as ``shop.Order``.
    registry_env
        The environment variable that holds the address of the schema registry, which is asked
        where there is no ``schema``. Messages then begin with the id of theirs.
    registry_auth_env
        The environment variable that holds ``user:password`` for the registry; it may be unset.
    """

    topic: str = ""
    servers_env: str = "KAFKA_BOOTSTRAP"
    schema: str = ""
    message: str = ""
    registry_env: str = _REGISTRY
    registry_auth_env: str = _REGISTRY_AUTH
    kind: ClassVar[str] = "kafka"
    formats: ClassVar[tuple[str, ...]] = ("arrow", "avro", "json", "protobuf")

    def __init__(
        self,
        topic: str,
        format: str = "json",
        *,
        key: str | Sequence[str] = (),
        servers_env: str = "KAFKA_BOOTSTRAP",
        schema: str | bytes | Path = "",
        message: str = "",
        registry_env: str = _REGISTRY,
        registry_auth_env: str = _REGISTRY_AUTH,
    ) -> None:
        put = object.__setattr__
        put(self, "topic", topic)
        put(self, "format", format)
        put(self, "key", key)
        put(self, "servers_env", servers_env)
        put(self, "message", message)
        put(self, "registry_env", registry_env)
        put(self, "registry_auth_env", registry_auth_env)
        Stream.__post_init__(self)
        put(self, "schema", _schema_text(schema, format))
        if (format == "protobuf" and bool(schema)) != bool(message):
            raise DefinitionError(
                "Kafka: message= is the name of the Protobuf message in schema=, such as "
                f"'shop.Order'; give both for format='protobuf', got message={message!r}"
            )

    def shown(self) -> dict[str, Any]:
        """Its options that have an effect, the schema by its digest."""
        known = asdict(self)
        if self.schema:
            known["schema"] = f"of digest {digest(self.schema)[:8]}"
        asks = self.format in _TEXTS and not self.schema
        idle = () if asks else ("registry_env", "registry_auth_env")
        return {k: v for k, v in known.items() if v and k not in idle}

    def __repr__(self) -> str:
        usual = {f.name: f.default for f in fields(self)} | {"topic": self.topic}
        options = [f"{k}={v!r}" for k, v in self.shown().items() if v != usual[k]]
        return f"Kafka({', '.join([repr(self.topic), *options])})"


@dataclass(frozen=True, slots=True)
class LocalLog(Stream):
    """A durable log among the project's files, for ``store.push`` and one machine."""

    format: str = "arrow"
    partitions: int = 1
    kind: ClassVar[str] = "local_log"

    def __post_init__(self) -> None:
        Stream.__post_init__(self)
        if self.partitions > 1 and not self.key:
            raise DefinitionError(
                f"LocalLog(partitions={self.partitions}): nothing says which rows belong where; "
                f"declare key=[…], or leave it at one partition"
            )

    @property
    def has_partitions(self) -> bool:
        return self.partitions > 1


_KINDS: dict[str, type[Connector]] = {
    c.kind: c for c in (Parquet, Csv, Json, Iceberg, Delta, DuckDb, Postgres, Kafka, LocalLog)
}


_OTHERS: Plugins[type[Connector]] = Plugins("noskew.connectors", {})


def from_dict(data: Mapping[str, Any] | None) -> Connector | None:
    """The inverse of ``Connector.to_dict``; a frame of another process is gone (None).

    Raises DefinitionError for a kind that nothing installed has, and for one of somebody else's
    that has other options.
    """
    if data is None or data["kind"] == "frame":
        return None
    options = dict(data)
    kind = options.pop("kind")
    if kind in _KINDS:
        return _KINDS[kind](**options)
    try:
        return _other(kind)(**options)
    except TypeError as error:
        raise DefinitionError(f"connector {kind!r}: {error}") from error


@cache
def _other(kind: str) -> type[Connector]:
    """The class of a kind that is not ours; the installed distributions are looked through once."""
    try:
        connector = _OTHERS.get(kind)
    except (ConfigError, MissingExtraError) as error:
        raise DefinitionError(f"connector {kind!r}: {error}") from error
    if connector is None:
        raise DefinitionError(
            f"unknown connector {kind!r}, which no installed distribution has in the group of "
            f"entry points {_OTHERS.group}; {nearest(kind, [*_KINDS, *_OTHERS.names()])}"
        )
    is_one = isinstance(connector, type) and issubclass(connector, Connector)
    if not is_one or connector.kind != kind:
        raise DefinitionError(f"connector {kind!r}: {connector!r} is no Connector of that kind")
    return connector


def _schema_text(given: str | bytes | Path, format: str) -> str:
    """A writer schema as a definition holds it: compact JSON for Avro, base64 for Protobuf."""
    if given and format not in _TEXTS:
        raise DefinitionError(f"Kafka: schema= is for the formats avro and protobuf, not {format}")
    return _TEXTS[format](_content(given)) if given else ""


def _content(given: str | bytes | Path) -> str | bytes:
    if not isinstance(given, Path):
        return given
    if not given.is_absolute():
        raise DefinitionError(
            f"Kafka: schema={str(given)!r} depends on where the process runs; say where it is, "
            f"such as Path(__file__).with_name({given.name!r})"
        )
    try:
        return given.read_bytes()
    except OSError as error:
        raise DefinitionError(f"Kafka: schema={str(given)!r}: {error.strerror}") from error


def _avro_text(content: str | bytes) -> str:
    try:
        schema = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DefinitionError(
            f"Kafka: schema= is not the JSON text of an Avro schema: {error}; for the text of a "
            f"file give a pathlib.Path"
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise DefinitionError("Kafka: schema= must be an Avro record, with a field for each column")
    return json.dumps(schema, separators=(",", ":"))


def _descriptor_text(content: str | bytes) -> str:
    if isinstance(content, bytes):
        return base64.b64encode(content).decode()
    try:
        base64.b64decode(content, validate=True)
    except ValueError as error:
        raise DefinitionError(
            f"Kafka: schema= is not the base64 text of a Protobuf descriptor set: {error}; for "
            f"the content of a file give a pathlib.Path"
        ) from error
    return content


_TEXTS = {"avro": _avro_text, "protobuf": _descriptor_text}
