"""Arrow: each message is an IPC stream."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from noskew.errors import SchemaMismatchError
from noskew.kernel.conform import conform
from noskew.streaming.decoding.base import NO_CONTENT, DecodedMessages, first_line
from noskew.types import Schema


class ArrowDecoder:
    """Each message is an Arrow IPC stream: any number of rows, with the schema's columns.

    ``names``: what messages call columns that they call otherwise.
    """

    def __init__(self, schema: Schema, what: str, names: Mapping[str, str] | None = None) -> None:
        self._schema, self._what, self._names = schema, what, names or {}

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages:
        tables, bad, numbers = [], {}, []
        for number, payload in enumerate(payloads):
            try:
                tables.append(self._read(payload))
                numbers.append(number)
            except SchemaMismatchError as error:
                bad[number] = str(error)
        sizes = np.array([len(t) for t in tables], np.int64)
        rows = pa.concat_tables(tables) if tables else self._schema.arrow.empty_table()
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        message = np.repeat(np.array(numbers, np.int64), sizes)
        return DecodedMessages(rows, message, np.arange(len(rows)) - starts, bad)

    def _read(self, payload: pa.LargeBinaryScalar) -> pa.Table:
        try:
            buffer = payload.as_buffer()
            if buffer is None:
                raise SchemaMismatchError(f"{self._what}: {NO_CONTENT}")
            with pa.ipc.open_stream(buffer) as reader:
                table = reader.read_all()
            table.validate(full=True)
            return conform(self._named(table), self._schema, self._what)
        except SchemaMismatchError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:  # names may not be UTF-8
            raise SchemaMismatchError(
                f"{self._what}: not an Arrow IPC stream: {first_line(error)}"
            ) from error

    def _named(self, table: pa.Table) -> pa.Table:
        """The columns under their own names; those that are not there are left to conform."""
        if not self._names:
            return table
        theirs = {name: self._names.get(name, name) for name in self._schema}
        there = [name for name in theirs if theirs[name] in table.column_names]
        return table.select([theirs[name] for name in there]).rename_columns(there)
