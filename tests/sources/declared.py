"""Data as an ingest reads it: the declared columns, in their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from noskew.definitions.connectors import Connector
from noskew.kernel.conform import conform
from noskew.training.ingest import open_connector
from noskew.types import Schema


def read(connector: Connector, schema: Mapping[str, Any]) -> pa.Table:
    """All rows of a connector, each batch conformed by itself, as in :class:`Ingest`."""
    declared = Schema(schema, has_units=True)
    source = open_connector(connector, declared)
    tables = [
        conform(pa.Table.from_batches([batch]), declared, part.label)
        for part in source.parts()
        for batch in source.read(part, list(declared))
    ]
    return pa.concat_tables([declared.arrow.empty_table(), *tables])


def rows(connector: Connector, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same as Python values."""
    return read(connector, schema).to_pylist()
