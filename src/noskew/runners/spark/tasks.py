"""What runs in a task of Spark: a function of noskew, found by its name, on pieces of rows.

Between tasks, rows travel in packs: a number, and a table as Arrow IPC bytes. Spark moves packs
by their numbers and looks into none, so every Arrow type goes through as it is, and no row is
turned into one of Spark's and back.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.runners.base import Piece, Task
from noskew.runners.spark.border import enter

NUMBER, PACK = "number", "pack"
#: Packs as Spark sees them.
PACKS = pa.schema([(NUMBER, pa.int32()), (PACK, pa.binary())])
#: About the size of a pack that leaves a task: Java holds some at a time.
_PACK_BYTES = 8 << 20
#: Rows that go back to Spark at a time.
_BATCH_ROWS = 65_536


def shipped(task: Task, context: Mapping[str, Any], *, takes: bool, gives: bool) -> Any:
    """The task as Spark takes it: names and text, whatever Spark makes of them.

    ``takes``, ``gives``: whether packs come in and go out; rows do, if not.
    """
    path = f"{task.__module__}:{task.__qualname__}"
    return partial(_run, path, json.dumps(context), takes, gives)


def packed(pieces: Iterable[Piece]) -> Iterator[pa.RecordBatch]:
    """Pieces as packs, each of them a batch, large ones cut."""
    for number, table in pieces:
        rows = max(1, len(table) * _PACK_BYTES // max(1, table.nbytes))
        for start in range(0, max(1, len(table)), rows):
            pack = _serialized(table.slice(start, rows))
            ends = pa.py_buffer(np.array([0, pack.size], np.int32))
            packs = pa.Array.from_buffers(pa.binary(), 1, [None, ends, pack])
            yield pa.RecordBatch.from_arrays([pa.array([number], pa.int32()), packs], schema=PACKS)


def unpacked(batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
    """The inverse of :func:`packed`, but for the cuts."""
    for batch in batches:
        for number, pack in zip(batch.column(0), batch.column(1), strict=True):
            with pa.ipc.open_stream(pack.as_buffer()) as stream:
                yield Piece(number.as_py(), stream.read_all())


def together(pieces: Iterable[Piece], most: int) -> Iterator[pa.Table]:
    """The tables of pieces put together up to about ``most`` rows, each column in one chunk."""
    waiting: list[pa.Table] = []
    rows = 0
    for _, table in pieces:
        waiting.append(table)
        rows += len(table)
        if rows >= most:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, rows = [], 0
    if rows:
        yield pa.concat_tables(waiting).combine_chunks()


def dealt(table: pa.Table, part: NDArray[np.integer], parts: int) -> Iterator[Piece]:
    """The rows of each part, in their order; ``part``: integers, shape (rows,), below ``parts``."""
    order = np.argsort(part.astype(np.uint16), kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=parts))
    table = table.take(pa.array(order))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end > start:
            yield Piece(number, table.slice(start, end - start))


def partition() -> int:
    """The number of the partition that this task works on."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None, "not in a task of Spark"
    return int(context.partitionId())


def _serialized(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _run(
    path: str, context: str, takes: bool, gives: bool, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    module, _, name = path.partition(":")
    task: Task = getattr(importlib.import_module(module), name)
    pieces = unpacked(batches) if takes else _rows(batches)
    results = task(pieces, json.loads(context))
    if gives:
        yield from packed(results)
    else:
        for piece in results:
            yield from enter(piece.table).to_batches(max_chunksize=_BATCH_ROWS)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Piece]:
    return (Piece(0, pa.Table.from_batches([batch])) for batch in batches)
