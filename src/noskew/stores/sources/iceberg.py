"""Somebody's Iceberg table as a batch source: one part per appended snapshot, where possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from noskew.errors import (
    CorruptDataError,
    InputError,
    NoskewError,
    StoreUnavailableError,
    nearest,
)
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.batches import chosen, position_of_part, sliced

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


class IcebergSource(BatchSource):
    """An Iceberg table in any catalog that pyiceberg knows.

    ``catalog`` holds pyiceberg's catalog properties, such as ``{"type": "sql", "uri": ...}``, and
    the catalog's ``name`` if it is not ``default``. ``table`` is ``"namespace.name"``.

    If every snapshot that the table still has was an append (or a compaction, which changes
    nothing), each append is a part, read on its own. If rows were changed or deleted, the
    table as it is now is the only part. Tokens name the table's id and the snapshots read:
    an Iceberg snapshot never changes.

    All of it is read by the table's current schema, whichever a snapshot was written with: a
    column is known by its id, whatever its name was; rows from before it was added are null in
    it. ``branch``: the name of a branch or a tag; the main branch without.
    """

    def __init__(self, catalog: Mapping[str, str], table: str, branch: str = "") -> None:
        self._branch = branch
        self._properties = dict(catalog)
        self._catalog_name = self._properties.pop("name", "default")
        self._name = table

    def schema(self) -> pa.Schema:
        return _small(self._load().schema().as_arrow())

    def parts(self) -> list[Part]:
        return [part for part, _, _ in self._parts(self._load())]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        table = self._load()
        parts = self._parts(table)
        _, since, until = parts[position_of_part([p for p, _, _ in parts], part, self._name)]
        schema = _small(table.schema().as_arrow())
        names = chosen(schema.names, columns, self._name)
        target = pa.schema([schema.field(name) for name in names])
        with _reading(self._name):
            for batch in _batches(table, names, since, until):
                yield from sliced(batch.select(names).cast(target), batch_rows)

    def _parts(self, table: Table) -> list[tuple[Part, Snapshot | None, Snapshot]]:
        """Parts, each with the snapshot after which (None: from the start) and up to which."""
        line = _lineage(table, self._tip(table))
        if not line:
            return []
        kinds = [_operation(snapshot) for snapshot in line]
        if any(kind not in ("append", "replace") for kind in kinds[1:]):
            return [self._part(table, None, line[-1])]
        parts = [self._part(table, None, line[0])]
        for before, snapshot, kind in zip(line, line[1:], kinds[1:], strict=False):
            if kind == "append":
                parts.append(self._part(table, before, snapshot))
        return parts

    def _part(
        self, table: Table, since: Snapshot | None, until: Snapshot
    ) -> tuple[Part, Snapshot | None, Snapshot]:
        start = since.snapshot_id if since else 0
        token = f"{table.metadata.table_uuid}-{start}-{until.snapshot_id}"
        key = "added-records" if since else "total-records"
        count = until.summary[key] if until.summary is not None else None
        rows = None if count is None else int(count)
        label = f"{self._name} up to snapshot {until.snapshot_id}"
        return Part(token, label, rows), since, until

    def _tip(self, table: Table) -> Snapshot | None:
        if not self._branch:
            return table.current_snapshot()
        tip = table.snapshot_by_name(self._branch)
        if tip is None:
            raise InputError(
                f"the table {self._name!r} has no branch or tag {self._branch!r}; "
                f"{nearest(self._branch, list(table.metadata.refs))}"
            )
        return tip

    def _load(self) -> Table:
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        with _reading(self._name):
            try:
                return load_catalog(self._catalog_name, **self._properties).load_table(self._name)
            except (NoSuchTableError, NoSuchNamespaceError) as error:
                raise InputError(f"the catalog has no table {self._name!r}") from error


@contextmanager
def _reading(name: str) -> Iterator[None]:
    from pyiceberg.exceptions import ResolveError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except NoskewError:
        raise
    except FileNotFoundError as error:
        raise CorruptDataError(f"a file of the Iceberg table {name!r} is gone: {error}") from error
    except (OSError, SQLAlchemyError) as error:
        text = str(getattr(error, "orig", None) or error)
        raise StoreUnavailableError(f"reading the Iceberg table {name!r} failed: {text}") from error
    except pa.ArrowException as error:
        raise CorruptDataError(f"a file of the table {name!r} is damaged: {error}") from error
    except (ResolveError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"the Iceberg table {name!r} cannot be read here: {error}; rewrite it with an engine "
            f"that can, or read it through a query"
        ) from error


def _batches(
    table: Table, names: list[str], since: Snapshot | None, until: Snapshot
) -> Iterator[pa.RecordBatch]:
    """Rows in the current schema. A scan of a snapshot would take the snapshot's own."""
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io.pyarrow import ArrowScan

    if since is None:
        tasks = table.scan(snapshot_id=until.snapshot_id).plan_files()
    else:
        tasks = table.incremental_append_scan(
            from_snapshot_id_exclusive=since.snapshot_id,
            to_snapshot_id_inclusive=until.snapshot_id,
        ).plan_files()
    columns = table.schema().select(*names)
    scan = ArrowScan(table.metadata, table.io, columns, AlwaysTrue())
    yield from scan.to_record_batches(list(tasks))


def _lineage(table: Table, snapshot: Snapshot | None) -> list[Snapshot]:
    """A snapshot and its ancestors, as far back as they are kept, oldest first."""
    line = []
    while snapshot is not None:
        line.append(snapshot)
        parent = snapshot.parent_snapshot_id
        snapshot = table.snapshot_by_id(parent) if parent is not None else None
    return line[::-1]


def _operation(snapshot: Snapshot) -> str:
    return snapshot.summary.operation.value if snapshot.summary is not None else "overwrite"


def _small(schema: pa.Schema) -> pa.Schema:
    """Iceberg's Arrow schema with the usual instead of the large types, and no metadata."""
    return pa.schema([pa.field(f.name, _small_type(f.type), f.nullable) for f in schema])


def _small_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_small_type(kind.value_type))
    return kind
