"""Some rows of a source's real data."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from noskew.definitions.source import Source
from noskew.errors import NoskewError
from noskew.kernel.conform import conform
from noskew.training.ingest import open_connector


def sample_rows(source: Source, root: Path, rows: int) -> tuple[pa.Table, str]:
    """Up to ``rows`` rows of the source's batch data, and why there are none, if so.

    Old data and new data are there, where the source has several parts.
    """
    nothing = source.schema.arrow.empty_table()
    if source.batch is None:
        return nothing, "the source has no batch data"
    try:
        sample = _read(source, root, rows)
    except NoskewError as error:
        return nothing, f"its data cannot be read: {error}"
    return sample, "" if len(sample) else "its data is empty"


def _read(source: Source, root: Path, rows: int) -> pa.Table:
    assert source.batch is not None
    opened = open_connector(source.batch.rooted(root), source.schema, source.columns)
    parts = [
        conform(pa.Table.from_batches([batch]), source.schema, f"source {source.name!r}")
        for batch in opened.sample(rows, list(source.schema))
    ]
    return pa.concat_tables([source.schema.arrow.empty_table(), *parts])
