"""The Iceberg catalog of one namespace: opening it, and the state of its tables."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pyarrow as pa
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.io.pyarrow import PyArrowFileIO, pyarrow_to_schema
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import IdentityTransform
from sqlalchemy import select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from noskew.errors import ConfigError, missing_extra, unknown
from noskew.stores.offline import columns, notes, tokens
from noskew.stores.offline.base import BUCKET, EVENT_TIME, KNOWN_TIME, SEQUENCE, Commit, TableSpec
from noskew.stores.offline.faults import faults, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

NEXT_SEQUENCE = "noskew.next-sequence"
TOKEN = "noskew.token"
ROWS = "noskew.rows"
#: A property of the table: how often files that nothing refers to were removed.
SWEEPS = "noskew.sweeps"
#: Columns whose least and greatest values manifests have, so that reads skip files by them.
BOUNDED = (EVENT_TIME, KNOWN_TIME, SEQUENCE)
BOUNDED_SETTINGS = {f"write.metadata.metrics.column.{name}": "full" for name in BOUNDED}
_CATALOG = "noskew"
_FILE_IO = "noskew.stores.offline.durable.DurableFileIO"
#: Two processes that open a new catalog at once both create its tables; one of them fails.
_OPEN_ATTEMPTS = 5
_TABLE_PROPERTIES = {
    # A conflicting commit must fail: sequences were assigned after the snapshot it was based on.
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    # Each commit reads all manifests that it may have to change, and each read those of its files.
    "commit.manifest.min-count-to-merge": "10",
    # Statistics in manifests only where reads use them, or wide tables get huge manifests.
    "write.metadata.metrics.default": "none",
    **BOUNDED_SETTINGS,
    # Each commit writes the metadata anew; a reader needs the version it has just been told of.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


@dataclass(frozen=True)
class TableState:
    """A table as of one version of its metadata. Immutable; commits work on a copy."""

    table: Table

    @cached_property
    def spec(self) -> TableSpec:
        return columns.from_properties(self.table.name()[-1], self.table.properties)

    @cached_property
    def stored(self) -> pa.Schema:
        """The schema of the files, with field ids."""
        schema = self.table.schema()
        return columns.with_field_ids(
            columns.stored_schema(self.spec), lambda name: schema.find_field(name).field_id
        )

    @cached_property
    def notes(self) -> Mapping[str, str]:
        """The notes, which are those of the latest snapshot."""
        return MappingProxyType(notes.from_properties(self.table.properties))

    @cached_property
    def expired_tokens(self) -> tokens.Expired:
        """Tokens of snapshots that are not there any more."""
        return tokens.from_properties(self.spec.name, self.table.properties)

    def committed(self, token: str) -> Commit | None:
        """The commit that carried a token."""
        return self._commits.get(token) or tokens.expired_commit(self.expired_tokens, token)

    @cached_property
    def _commits(self) -> dict[str, Commit]:
        commits = (commit_of(snapshot) for snapshot in self.table.snapshots())
        return {commit.token: commit for commit in commits if commit and commit.token}

    @cached_property
    def next_sequence(self) -> int:
        """One above the greatest sequence in the table."""
        return int(summary_of(self.table.current_snapshot()).get(NEXT_SEQUENCE, "0"))

    @property
    def sweeps(self) -> str:
        """Changes whenever files that nothing refers to are about to be removed."""
        return self.table.properties.get(SWEEPS, "0")

    @property
    def io(self) -> PyArrowFileIO:
        assert isinstance(self.table.io, PyArrowFileIO)
        return self.table.io

    @property
    def bounded_ids(self) -> dict[str, int]:
        """The Iceberg ids of the columns whose bounds manifests have."""
        schema = self.table.schema()
        return {name: schema.find_field(name).field_id for name in BOUNDED}

    def snapshot(self, number: int | None) -> Snapshot | None:
        """A snapshot, or the latest (None: nothing was ever committed).

        Raises NotFoundError for a number that this table does not have.
        """
        if number is None:
            return self.table.current_snapshot()
        chosen = self.table.snapshot_by_id(number)
        if chosen is None:
            known = [str(s.snapshot_id) for s in self.table.snapshots()]
            raise unknown("snapshot", str(number), known, where=f"table {self.spec.name!r}")
        return chosen

    def for_commit(self) -> Table:
        """A handle of its own, since a commit changes the one it is made on."""
        table = self.table
        return Table(table.name(), table.metadata, table.metadata_location, table.io, table.catalog)


class IcebergCatalog:
    """The tables of one namespace in a SQL catalog. Safe to share by threads."""

    def __init__(
        self, uri: str, warehouse: str, namespace: str, properties: Mapping[str, str]
    ) -> None:
        self._url = _url(uri)
        self._warehouse = _location(warehouse)
        self._namespace = namespace
        self._properties = dict(properties)
        self._lock = threading.Lock()
        self._opened: SqlCatalog | None = None
        self._states: dict[str, TableState] = {}

    def create(self, spec: TableSpec) -> TableState:
        """Make the table, or give the one of that name that is there, whatever its spec."""
        catalog = self._catalog()
        schema = _iceberg_schema(spec)
        # A directory of its own for each creation: what a killed `drop` left behind, or an
        # append that has not noticed it, can never meet the files of a later table.
        location = f"{self._warehouse}/{self._namespace}/{spec.name}-{uuid.uuid4().hex[:12]}"
        bucket = schema.find_field(BUCKET).field_id
        partition = PartitionField(bucket, 1000, IdentityTransform(), BUCKET)
        try:
            catalog.create_table(
                (self._namespace, spec.name),
                schema,
                location=location,
                partition_spec=PartitionSpec(partition),
                properties={**_TABLE_PROPERTIES, **columns.to_properties(spec)},
            )
        except TableAlreadyExistsError:
            _remove_directory(self._io(), location)
        return self.load(spec.name)

    def add_columns(self, spec: TableSpec) -> TableState:
        """Give a table the columns of ``spec`` that it lacks, whoever else does so, too.

        Raises CommitFailedException if others change it again and again.
        """
        for attempt in range(_OPEN_ATTEMPTS):
            state = self.load(spec.name)
            missing = columns.lacks(state.spec, spec)
            if not missing:
                return state
            kinds = _iceberg_schema(spec)
            try:
                with state.for_commit().transaction() as transaction:
                    with transaction.update_schema() as update:
                        for field in missing:
                            update.add_column(field.name, kinds.find_field(field.name).field_type)
                    transaction.set_properties(columns.to_properties(spec))
            except CommitFailedException:
                if attempt + 1 == _OPEN_ATTEMPTS:
                    raise
        return self.load(spec.name)

    def names(self) -> list[str]:
        return sorted(name[-1] for name in self._catalog().list_tables(self._namespace))

    def has(self, name: str) -> bool:
        return self._metadata_location(name) is not None

    def load(self, name: str) -> TableState:
        """The latest state. Metadata is read again only after somebody's commit.

        Raises NotFoundError, listing the tables there are.
        """
        location = self._metadata_location(name)
        state = self._states.get(name)
        if location is not None and state and state.table.metadata_location == location:
            return state
        if location is not None:
            try:
                with reading(location):
                    state = TableState(self._catalog().load_table((self._namespace, name)))
            except NoSuchTableError:
                location = None
            else:
                self._states[name] = state
                return state
        self._states.pop(name, None)
        raise unknown("table", name, self.names(), where="the offline store")

    def drop(self, name: str) -> None:
        """Forget the table, then remove its files; an absent one is skipped."""
        location = self._metadata_location(name)
        if location is None:
            return
        try:
            self._catalog().drop_table((self._namespace, name))
        except NoSuchTableError:
            return
        self._states.pop(name, None)
        _remove_directory(self._io(), location.rsplit("/metadata/", 1)[0])

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None
            self._states.clear()

    def _metadata_location(self, name: str) -> str | None:
        catalog = self._catalog()
        query = select(IcebergTables.metadata_location).where(
            IcebergTables.catalog_name == _CATALOG,
            IcebergTables.table_namespace == self._namespace,
            IcebergTables.table_name == name,
        )
        with Session(catalog.engine) as session:
            return session.scalar(query)

    def _io(self) -> PyArrowFileIO:
        io = self._catalog()._load_file_io({}, self._warehouse)
        assert isinstance(io, PyArrowFileIO)
        return io

    def _catalog(self) -> SqlCatalog:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> SqlCatalog:
        _make_directories(self._url, self._warehouse)
        settings = {
            "uri": self._url.render_as_string(hide_password=False),
            "warehouse": self._warehouse,
            "py-io-impl": _FILE_IO,
            **self._properties,
        }
        for attempt in range(_OPEN_ATTEMPTS):
            try:
                catalog = SqlCatalog(_CATALOG, **settings)
                if not catalog.namespace_exists(self._namespace):
                    catalog.create_namespace(self._namespace)
                return catalog
            except NamespaceAlreadyExistsError:
                continue
            except ModuleNotFoundError as error:
                raise missing_extra(str(error.name), "postgres", "this catalog") from error
            except (IntegrityError, OperationalError, ProgrammingError) as error:
                if attempt + 1 == _OPEN_ATTEMPTS or not _is_race(error):
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_race(error: Exception) -> bool:
    return isinstance(error, IntegrityError) or "already exists" in str(error)


def _iceberg_schema(spec: TableSpec) -> Schema:
    """The schema of the files as Iceberg's. It assigns ids of its own when the table is made."""
    numbers = count(1)
    return pyarrow_to_schema(
        columns.with_field_ids(columns.stored_schema(spec), lambda _: next(numbers))
    )


def summary_of(snapshot: Snapshot | None) -> dict[str, str]:
    """What a snapshot says about itself; empty for None."""
    if snapshot is None or snapshot.summary is None:
        return {}
    return snapshot.summary.additional_properties


def commit_of(snapshot: Snapshot) -> Commit | None:
    """The append that made a snapshot; None if it was made by something else."""
    summary = summary_of(snapshot)
    if ROWS not in summary:
        return None
    return Commit(snapshot.snapshot_id, int(summary[ROWS]), summary.get(TOKEN), repeated=True)


def _url(uri: str) -> URL:
    """The catalog's database. Messages never repeat the address: it may hold a password."""
    advice = "expected 'sqlite:///path/catalog.db' or 'postgresql://user:password@host/database'"
    try:
        url = make_url(uri)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise ConfigError(f"the offline store's catalog is not a database URI; {advice}") from None
    if backend in ("postgresql", "postgres"):
        if "@" in f"{url.host}{url.database}":
            raise ConfigError(
                "the address of the offline store's catalog has a second '@'; write %40 for one in "
                "a password"
            )
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"no catalog of the offline store on {backend!r}; {advice}")
    if url.database in (None, "", ":memory:"):
        raise ConfigError("the offline store's catalog must be a file, not SQLite in memory")
    return url


def _location(warehouse: str) -> str:
    """An absolute path or URI without a slash at the end."""
    if urlparse(warehouse).scheme in ("", "file"):
        path = urlparse(warehouse).path if warehouse.startswith("file:") else warehouse
        return str(Path(path).absolute())
    return warehouse.rstrip("/")


def _make_directories(url: URL, warehouse: str) -> None:
    with faults(f"creating {warehouse}"):
        if url.get_backend_name() == "sqlite":
            Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
        if warehouse.startswith("/"):
            Path(warehouse).mkdir(parents=True, exist_ok=True)


def _remove_directory(io: PyArrowFileIO, location: str) -> None:
    scheme, netloc, path = io.parse_location(location, io.properties)
    filesystem: Any = io.fs_by_scheme(scheme, netloc)
    try:
        filesystem.delete_dir(path)
    except FileNotFoundError:
        return
