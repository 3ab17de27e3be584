"""A training set: rows with features, and what is needed to make them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.clock import to_text
from noskew.errors import InputError
from noskew.pandas_frames import to_pandas
from noskew.stores.sources.digest import ContentDigest
from noskew.training import frames


class Keeper(Protocol):
    """Where training sets are saved: the store that made them."""

    def save(self, name: str, training_set: TrainingSet, *, replace: bool) -> None: ...


@dataclass(frozen=True, repr=False)
class TrainingSet:
    """The answer of ``get_historical_features``.

    ``spec`` says how it was made: service, definition hashes, snapshots of the offline tables,
    ``known_at`` and the name of the event time column. ``index``: that of the rows that were
    given, if these were a pandas DataFrame; it is not saved.
    """

    table: pa.Table
    spec: Mapping[str, Any] = field(default_factory=dict)
    keeper: Keeper | None = field(default=None, compare=False)
    index: Any = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def digest(self) -> str:
        """A digest of names, types and values; equal content has equal digests."""
        return table_digest(self.table)

    def save(self, name: str, *, replace: bool = False) -> None:
        """Keep it under a name: its content, and how to build it again.

        The same content again changes nothing. Raises InputError if other content has the name
        and ``replace`` is not set, or if no feature store made this training set.
        """
        if self.keeper is None or not self.spec:
            raise InputError(
                f"no feature store made this training set, so nobody could build it again; save "
                f"what store.get_historical_features(…) gives, or write this one to a file with "
                f"to_parquet('{name}.parquet')"
            )
        self.keeper.save(name, self, replace=replace)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self.table

    def to_pandas(self, *, arrow_backed: bool = False) -> Any:
        """The rows as a pandas DataFrame (needs the pandas extra), with the index they came with.

        Integers and bools beside nulls are of pandas' nullable types. ``arrow_backed``: every
        column is an Arrow array.
        """
        return to_pandas(self.table, arrow_backed=arrow_backed, index=self.index)

    def to_polars(self) -> Any:
        """The rows as a Polars DataFrame (needs the polars extra)."""
        return frames.to_polars(self.table)

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows to a Parquet file."""
        with refusing_types(self.table):
            pq.write_table(self.table, path)

    def __repr__(self) -> str:
        shown = f"{len(self.table):,} rows × {self.table.num_columns} columns"
        if self.spec:
            shown += f" of {self.spec['service']}"
        known_at = self.spec.get("known_at")
        if known_at is not None:
            shown += f", known_at={known_at if known_at == 'row' else to_text(known_at)}"
        return f"<TrainingSet: {shown}>"


@contextmanager
def refusing_types(table: pa.Table) -> Iterator[None]:
    """Turn what Arrow says of a column that no file can hold into an InputError that names it."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        odd = [f for f in table.schema if not _can_be_written(f)]
        named = f"the column {odd[0].name!r} is of the Arrow type {odd[0].type}" if odd else error
        raise InputError(
            f"the rows cannot be written: {named}; drop it, or convert it before rows are asked for"
        ) from error


def _can_be_written(column: pa.Field) -> bool:
    try:
        pq.write_table(pa.schema([column]).empty_table(), pa.BufferOutputStream())
    except pa.ArrowException:
        return False
    return True


def table_digest(table: pa.Table) -> str:
    """The content digest of a table, independent of its chunks."""
    content = ContentDigest(table.schema)
    for batch in table.to_batches():
        content.update(batch)
    return content.token()
