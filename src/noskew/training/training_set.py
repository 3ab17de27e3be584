"""A training set: rows with features, and what is needed to make them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noskew.stores.sources.digest import ContentDigest
from noskew.training import frames


@dataclass(frozen=True)
class TrainingSet:
    """The answer of ``get_historical_features``.

    ``spec`` says how it was made: service, definition hashes, snapshots of the offline tables,
    ``known_at`` and the name of the event time column.
    """

    table: pa.Table
    spec: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def digest(self) -> str:
        """A digest of names, types and values; equal content has equal digests."""
        return table_digest(self.table)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self.table

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame (needs the pandas extra)."""
        return frames.to_pandas(self.table)

    def to_polars(self) -> Any:
        """The rows as a Polars DataFrame (needs the polars extra)."""
        return frames.to_polars(self.table)

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows to a Parquet file."""
        pq.write_table(self.table, path)

    def __repr__(self) -> str:
        return f"<TrainingSet {len(self.table)} rows × {len(self.table.column_names)} columns>"


def table_digest(table: pa.Table) -> str:
    """The content digest of a table, independent of its chunks."""
    content = ContentDigest(table.schema)
    for batch in table.to_batches():
        content.update(batch)
    return content.token()
