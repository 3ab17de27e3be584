"""Rows of a load, put in the order of their keys within a bounded memory.

A tree is filled fastest in its order: each page is then written once, and not once for each
batch whose keys are spread over all of them. So rows are gathered into sorted runs, runs go to
a file, and are merged from bound to bound: keys such that what lies between two is a chunk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from noskew.resources import Closing

#: Rows that wait in memory; three times as much is held while they are sorted.
RUN_BYTES = 16 << 20
#: Rows that came in order are a run, and need no sorting, from this size. Smaller ones would be
#: too many runs: a merge holds a block of each.
_LEAST_RUN_BYTES = 4 << 20
_BLOCK_BYTES = 64 << 10
_BLOCKS_PER_CHUNK = 64
_SCHEMA = pa.schema([("key", pa.large_binary()), ("row", pa.large_binary())])


@dataclass(frozen=True, slots=True)
class _Block:
    """Where some rows of a run are in the file, and the first of their keys."""

    first: bytes
    offset: int
    size: int


@dataclass(slots=True)
class _Run:
    """Blocks in the order of their keys, and what was read of them and not yet given away."""

    blocks: list[_Block]
    read: int = 0
    held: pa.RecordBatch | None = None


class KeyOrder(Closing):
    """Takes batches of (key, row) in any order; gives the rows in the order of their keys.

    ``directory`` is where the file goes. It has no name, so that it vanishes with the process,
    however that ends.
    """

    def __init__(self, directory: Path, *, run_bytes: int = RUN_BYTES) -> None:
        self._directory = directory
        self._run_bytes = run_bytes
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._is_sorted = True  # what is pending
        self._runs: list[_Run] = []
        self._file: BinaryIO | None = None
        self._end = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch. Raises OSError when the disk is full."""
        for part in _pieces(batch, self._run_bytes // 2):
            piece = part if _ascends(part.column(0)) else _sorted(part)
            follows = not self._pending or _last(self._pending[-1]) <= _first(piece)
            is_run = self._is_sorted and self._pending_bytes >= _LEAST_RUN_BYTES
            is_full = self._pending_bytes + piece.nbytes > self._run_bytes
            if is_full or (is_run and not follows):
                self._spill()
                follows = True
            self._is_sorted = self._is_sorted and follows
            self._pending.append(piece)
            self._pending_bytes += piece.nbytes

    def chunks(self) -> Iterator[pa.RecordBatch]:
        """All rows in the order of their keys, some at a time; no key is in two chunks.

        Raises OSError when the disk is full.
        """
        if self._file is None:
            if self._pending:
                yield _sorted(pa.concat_batches(self._pending))
            return
        self._spill()
        firsts = sorted(block.first for run in self._runs for block in run.blocks)
        for bound in [*firsts[_BLOCKS_PER_CHUNK::_BLOCKS_PER_CHUNK], None]:
            parts = [part for run in self._runs for part in self._before(run, bound)]
            if parts:
                yield _sorted(pa.concat_batches(parts))

    def close(self) -> None:
        """Give memory and file back."""
        self._pending, self._runs = [], []
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        """Write what is pending as a run."""
        if not self._pending:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        batch = pa.concat_batches(self._pending)
        if not self._is_sorted:
            batch = _sorted(batch)
        self._pending, self._pending_bytes, self._is_sorted = [], 0, True
        self._runs.append(_Run([self._store(block) for block in _pieces(batch, _BLOCK_BYTES)]))

    def _store(self, block: pa.RecordBatch) -> _Block:
        assert self._file is not None
        message = block.serialize()
        view = memoryview(message)
        while view.nbytes:  # an unbuffered write may take less than it is given
            view = view[self._file.write(view) :]
        read = _Block(_first(block), self._end, message.size)
        self._end += message.size
        return read

    def _before(self, run: _Run, bound: bytes | None) -> Iterator[pa.RecordBatch]:
        """Take the rows of a run whose keys are less than ``bound`` (None: all of them)."""
        while run.held is not None or run.read < len(run.blocks):
            if run.held is None:
                block = run.blocks[run.read]
                if bound is not None and block.first >= bound:
                    return
                run.held = self._stored(block)
                run.read += 1
            held, cut = run.held, len(run.held) if bound is None else _less(run.held, bound)
            run.held = held.slice(cut) if cut < len(held) else None
            if cut:
                yield held.slice(0, cut)
            if run.held is not None:
                return

    def _stored(self, block: _Block) -> pa.RecordBatch:
        assert self._file is not None
        message = os.pread(self._file.fileno(), block.size, block.offset)
        return pa.ipc.read_record_batch(pa.py_buffer(message), _SCHEMA)


def _pieces(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Slices of about ``most_bytes``, or of one row."""
    rows = len(batch)
    step = max(1, rows * most_bytes // max(1, batch.nbytes))
    for start in range(0, rows, step):
        yield batch.slice(start, step)


def _sorted(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.take(pc.sort_indices(batch.column(0)))


def _ascends(keys: pa.Array) -> bool:
    steps = pc.less_equal(keys.slice(0, len(keys) - 1), keys.slice(1))
    return bool(pc.all(steps).as_py())


def _less(batch: pa.RecordBatch, bound: bytes) -> int:
    """How many keys are less."""
    less = pc.less(batch.column(0), pa.scalar(bound, pa.large_binary()))
    return int(pc.sum(less).as_py())


def _first(batch: pa.RecordBatch) -> bytes:
    return cast(bytes, batch.column(0)[0].as_py())


def _last(batch: pa.RecordBatch) -> bytes:
    return cast(bytes, batch.column(0)[len(batch) - 1].as_py())
