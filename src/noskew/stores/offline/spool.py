"""Rows of an append on their way to files: grouped by bucket, within a bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from noskew.stores.offline.base import BUCKET, SEQUENCE
from noskew.stores.offline.constants import constant, permuted
from noskew.stores.offline.sorting import bucket_order

#: Rows wait in memory up to this size. Three times as much is held while they are grouped.
MEMORY_BYTES = 64 * 1024 * 1024


class BucketSpool:
    """Takes batches in any mix of buckets; gives each bucket back, in arrival order.

    What does not fit ``memory_bytes`` goes to one unnamed temporary file in ``directory``:
    having no name, it vanishes with the process, however that ends. Reading buckets is safe
    from several threads; adding is for one.
    """

    def __init__(
        self, schema: pa.Schema, buckets: int, directory: Path | None, *, memory_bytes: int
    ) -> None:
        self.rows = np.zeros(buckets, np.int64)
        self._schema = schema
        self._buckets = buckets
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._file: BinaryIO | None = None
        self._end = 0
        self._extents: dict[int, list[tuple[int, int, _Constants]]] = {}
        self._grouped: tuple[pa.Table, _Ends] | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch. Raises OSError when the disk is full."""
        for piece in _pieces(batch, self._memory_bytes // 4):
            self._pending.append(piece)
            self._pending_bytes += piece.nbytes
            if self._pending_bytes >= self._memory_bytes:
                self._spill()

    def finish(self) -> None:
        """Say that all rows are in; buckets can be read from now on."""
        if self._file is not None:
            self._spill()
        elif self._pending:
            self._grouped = self._group()

    def bucket(self, number: int) -> pa.Table:
        """The rows of a bucket."""
        if self._grouped is not None:
            table, ends = self._grouped
            start = int(ends[number - 1]) if number else 0
            return table.slice(start, int(ends[number]) - start)
        return pa.Table.from_batches(self._stored(number), schema=self._schema)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _group(self) -> tuple[pa.Table, _Ends]:
        table = pa.Table.from_batches(self._pending, schema=self._schema).combine_chunks()
        self._pending, self._pending_bytes = [], 0
        numbers = table.column(BUCKET).combine_chunks()
        counts = np.bincount(numbers.to_numpy(), minlength=self._buckets)
        self.rows += counts
        return permuted(table, bucket_order(numbers, self._buckets)), np.cumsum(counts)

    def _spill(self) -> None:
        if not self._pending:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        table, ends = self._group()
        # One column must say how many rows there are.
        others = [name for name in table.column_names if name != SEQUENCE]
        constants = {name: constant(table.column(name)) for name in others}
        kept = {n: value for n, value in constants.items() if value is not None}
        varying = table.drop_columns(list(kept))
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                for batch in varying.slice(start, end - start).to_batches():
                    self._store(number, batch.serialize(), kept)
            start = end

    def _store(self, number: int, message: pa.Buffer, constants: _Constants) -> None:
        assert self._file is not None
        view = memoryview(message)
        while view.nbytes:  # an unbuffered write may take less than it is given
            view = view[self._file.write(view) :]
        self._extents.setdefault(number, []).append((self._end, message.size, constants))
        self._end += message.size

    def _stored(self, number: int) -> Iterator[pa.RecordBatch]:
        for offset, size, constants in self._extents.get(number, ()):
            assert self._file is not None
            message = os.pread(self._file.fileno(), size, offset)
            schema = pa.schema([f for f in self._schema if f.name not in constants])
            varying = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
            columns = [
                pa.repeat(constants[n], len(varying)) if n in constants else varying.column(n)
                for n in self._schema.names
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)


#: Columns of one value, which are not written.
_Constants = dict[str, "pa.Scalar[Any]"]
_Ends = np.ndarray[tuple[int], np.dtype[np.int64]]


def _pieces(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Slices of about ``most_bytes``, so that one huge batch cannot break the bound."""
    rows = batch.num_rows
    step = max(1, rows * most_bytes // max(1, batch.nbytes)) if rows else 1
    for start in range(0, rows, step):
        yield batch.slice(start, step)
