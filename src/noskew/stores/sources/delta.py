"""Somebody's Delta Lake table as a batch source: one part per data file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from noskew.errors import (
    CorruptDataError,
    InputError,
    StoreUnavailableError,
    missing_extra,
)
from noskew.stores.sources.base import BatchSource, Part
from noskew.stores.sources.batches import chosen, joined, position_of_part, sliced
from noskew.stores.sources.digest import SIZE

if TYPE_CHECKING:
    from deltalake import DeltaTable

_READ_ROWS = 16_384
_MAPPING = "delta.columnMapping.mode"
#: What of a table's protocol can be read: its files are plain Parquet, each row of them counts.
_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
#: What stands for the files of a table that has none.
_NOTHING: dict[str, Any] = {"path": "", "num_records": 0, "size_bytes": 0}


class _File(NamedTuple):
    part: Part
    path: str
    partition: dict[str, Any]


class DeltaSource(BatchSource):
    """A Delta Lake table in a directory. ``version``: one of its history; the latest without.

    Each data file is a part, oldest first: Delta never changes a file, so a token names the
    table's id and the file. Where rows are deleted, updated, merged or compacted, the table gets
    other files. All are read by the schema of the version: rows from before a column was added
    are null in it, and columns of partitions have the values that the table's log gives them.

    Raises InputError for a table that needs more of its reader, such as deletion vectors or
    mapped columns: read by who does not know them, deleted rows would count, and values be null.
    """

    def __init__(self, path: str | Path, version: int | None = None) -> None:
        self._path = str(path)
        self._version = version

    def schema(self) -> pa.Schema:
        with _reading(self._path):
            return _schema(self._load())

    def parts(self) -> list[Part]:
        with _reading(self._path):
            return [file.part for file in self._files(self._load())]

    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        with _reading(self._path):
            table = self._load()
            files = self._files(table)
            file = files[position_of_part([f.part for f in files], part, self._path)]
            schema = _schema(table)
            names = chosen(schema.names, columns, f"the Delta table {self._path!r}")
            if not file.path:
                return
            few = _batches(table, schema, file, names, min(batch_rows, _READ_ROWS))
            for batch in joined(few, batch_rows):
                yield from sliced(batch, batch_rows)

    def _files(self, table: DeltaTable) -> list[_File]:
        actions = pa.table(table.get_add_actions()).to_pylist()
        identity = str(table.metadata().id)
        # Without any part, nobody would notice that all rows are gone.
        actions.sort(key=lambda a: (a["modification_time"], a["path"]))
        return [self._file(identity, action) for action in actions or [_NOTHING]]

    def _file(self, identity: str, action: dict[str, Any]) -> _File:
        name = f"{identity}/{action['path']}".encode()
        token = hashlib.blake2b(name, digest_size=SIZE).hexdigest()
        label = f"{self._path}/{action['path']}"
        part = Part(token, label, action["num_records"], action["size_bytes"])
        return _File(part, action["path"], action.get("partition") or {})

    def _load(self) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        if "%" in self._path:
            raise InputError(
                f"the Delta table {self._path!r} cannot be read: deltalake takes '%20' in a path "
                f"for a space; rename the directory"
            )
        try:
            table = DeltaTable(self._path)
        except TableNotFoundError as error:
            raise InputError(f"there is no Delta table in {self._path!r}") from error
        if self._version is not None:
            self._travel(table, self._version)
        _check_readable(table, self._path)
        return table

    def _travel(self, table: DeltaTable, version: int) -> None:
        from deltalake.exceptions import DeltaError

        latest = table.version()
        try:
            if version <= latest:
                table.load_as_version(version)
                return
        except DeltaError as error:
            raise InputError(
                f"version {version} of the Delta table {self._path!r} is not kept any more; "
                f"the latest is {latest}"
            ) from error
        raise InputError(
            f"the Delta table {self._path!r} has no version {version}; the latest is {latest}"
        )


def _schema(table: DeltaTable) -> pa.Schema:
    return pa.schema(table.schema()).remove_metadata()


def _check_readable(table: DeltaTable, path: str) -> None:
    """Raise InputError where plain Parquet files are not what the table holds."""
    protocol = table.protocol()
    needs = set(protocol.reader_features or ()) - _FEATURES
    # Reader version 2 has no list of features, and means this one.
    if table.metadata().configuration.get(_MAPPING, "none") != "none":
        needs.add("columnMapping")
    if needs:
        raise InputError(
            f"the Delta table {path!r} at version {table.version()} cannot be read here: its "
            f"reader must know {', '.join(sorted(needs))}; write it anew without, or read it "
            f"through a query"
        )


def _batches(
    table: DeltaTable, schema: pa.Schema, file: _File, names: list[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of a file in the table's schema."""
    from pyarrow.dataset import FileSystemDataset, ParquetReadOptions

    options = ParquetReadOptions(coerce_int96_timestamp_unit="us")
    whole = table.to_pyarrow_dataset(parquet_read_options=options, schema=schema)
    fragment = whole.format.make_fragment(
        unquote(file.path),
        whole.filesystem,
        partition_expression=_guarantee(schema, file.partition),
    )
    one = FileSystemDataset([fragment], schema, whole.format, whole.filesystem)
    # Read ahead, several row groups would be held at once.
    yield from one.to_batches(
        columns=names, batch_size=rows, batch_readahead=1, fragment_readahead=1
    )


def _guarantee(schema: pa.Schema, partition: dict[str, Any]) -> Any:
    """What is so in all rows of a file: its partition, not the bounds of its statistics."""
    import pyarrow.compute as pc

    whole = pc.scalar(True)
    for name, value in partition.items():
        column = pc.field(name)
        typed = pa.scalar(value, schema.field(name).type)
        whole = whole & (column.is_null() if value is None else column == typed)
    return whole


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise missing_extra("deltalake", "delta", "a Delta Lake table") from error

    try:
        yield
    except FileNotFoundError as error:
        raise CorruptDataError(f"a file of the Delta table {path!r} is gone: {error}") from error
    except pa.ArrowException as error:
        raise CorruptDataError(f"a file of the Delta table {path!r} is damaged: {error}") from error
    except OSError as error:
        raise StoreUnavailableError(f"reading the Delta table {path!r} failed: {error}") from error
    except DeltaError as error:
        raise CorruptDataError(
            f"the log of the Delta table {path!r} cannot be read: {error}"
        ) from error
