"""Some rows of a source's real data."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from noskew.definitions.source import Source
from noskew.errors import NoskewError
from noskew.kernel.conform import conform
from noskew.training.ingest import open_connector

#: Parts of a source, such as files, that rows are taken from.
_PARTS = 4


def sample_rows(source: Source, root: Path, rows: int) -> tuple[pa.Table, str]:
    """Up to ``rows`` rows of the source's batch data, and why there are none, if so.

    Taken from the beginnings of parts spread over the whole, so that old data and new data are
    there.
    """
    nothing = source.schema.arrow.empty_table()
    if source.batch is None:
        return nothing, "the source has no batch data"
    try:
        found = _read(source, root, rows)
    except NoskewError as error:
        return nothing, f"its data cannot be read: {error}"
    return found, "" if len(found) else "its data is empty"


def _read(source: Source, root: Path, rows: int) -> pa.Table:
    assert source.batch is not None
    opened = open_connector(source.batch.rooted(root), source.schema.arrow)
    parts = opened.parts()
    chosen = parts[:: max(1, -(-len(parts) // _PARTS))]
    each = -(-rows // max(1, len(chosen)))
    tables = []
    for part in chosen:
        batches = opened.read(part, list(source.schema), batch_rows=each)
        for batch in batches:
            table = pa.Table.from_batches([batch]).slice(0, each)
            tables.append(conform(table, source.schema, f"source {source.name!r}"))
            break
    return pa.concat_tables(tables) if tables else source.schema.arrow.empty_table()
