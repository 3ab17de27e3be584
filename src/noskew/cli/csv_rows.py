"""A caller's rows in a CSV file: what a service declares is read by its type, all else is text."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from noskew.definitions.connectors import Csv
from noskew.definitions.service import FeatureService
from noskew.training.ingest import open_connector
from noskew.types import Schema

_ENDINGS = (".csv", ".tsv", ".txt")


def is_csv(path: str | Path) -> bool:
    """Whether a file's name says that it is CSV, packed or not."""
    return str(path).lower().removesuffix(".gz").endswith(_ENDINGS)


def csv_rows(csv: Csv, service: FeatureService, event_time: str) -> pa.Table:
    """The rows of a file for ``service``: join keys, request fields and times as declared.

    Other columns stay the text that is in the file: nothing is guessed. Raises
    SchemaMismatchError, naming line and column, for what is not as declared.
    """
    declared = Schema({**service.join_keys, **service.request, event_time: "timestamp"})
    source = open_connector(csv, declared)
    batches = [batch for part in source.parts() for batch in source.read(part)]
    return pa.Table.from_batches(batches, source.schema())
