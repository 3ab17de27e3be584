"""What is known of a file that was written: enough to commit it, in this process or in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from noskew.errors import InputError
from noskew.stores.offline.catalog import BOUNDED_SETTINGS, TableState

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData


class FileRecord(msgspec.Struct, frozen=True):
    """A file of one bucket; columns by their Iceberg ids."""

    path: str
    bucket: int
    size: int
    record_count: int
    column_sizes: dict[int, int]
    value_counts: dict[int, int]
    null_value_counts: dict[int, int]
    nan_value_counts: dict[int, int]
    lower_bounds: dict[int, bytes]
    upper_bounds: dict[int, bytes]
    split_offsets: list[int]

    def data_file(self, state: TableState) -> DataFile:
        """Iceberg's record of the file."""
        known = msgspec.structs.asdict(self)
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=known.pop("path"),
            file_format=FileFormat.PARQUET,
            partition=Record(known.pop("bucket")),
            file_size_in_bytes=known.pop("size"),
            sort_order_id=None,
            spec_id=state.table.metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **known,
        )


class FileRecorder:
    """Makes the records of a table's new files; what they share is worked out once."""

    def __init__(self, state: TableState) -> None:
        schema = state.table.schema()
        self._io = state.io
        # Tables of earlier versions do not ask for all of them.
        settings = {**state.table.properties, **BOUNDED_SETTINGS}
        self._statistics = compute_statistics_plan(schema, settings)
        self._columns = parquet_path_to_id_mapping(schema)

    def record(self, path: str, bucket: int, metadata: FileMetaData) -> FileRecord:
        """From what the writer knows: nothing is read back."""
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=metadata,
            stats_columns=self._statistics,
            parquet_column_mapping=self._columns,
        ).to_serialized_dict()
        return FileRecord(
            path=path, bucket=bucket, size=len(self._io.new_input(path)), **statistics
        )


class Files(msgspec.Struct, frozen=True):
    """Files that no commit names yet, and the table that they were written for."""

    table_uuid: str
    sweeps: str
    records: list[FileRecord]

    @classmethod
    def of(cls, state: TableState, records: list[FileRecord]) -> Self:
        return cls(str(state.table.metadata.table_uuid), state.sweeps, records)

    def are_there(self, state: TableState) -> bool:
        """Whether they are, for all that is known: nothing has swept them away since."""
        uuid = str(state.table.metadata.table_uuid)
        return uuid == self.table_uuid and state.sweeps == self.sweeps

    def to_text(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse of :meth:`to_text`. Raises InputError for another text."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise InputError(f"not what write_files gave: {error}") from error
