"""Sorted runs, read side by side in slices that hold whole keys.

Runs are sorted by key, so once every run has been read up to some key, all facts of lesser keys
are there: they make a slice, and are let go before more is read. What is in memory is one batch
a run and the facts of the greatest key so far, however large the bucket is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as at

#: A key whose order is the order of the files: numbers by value, text and bytes bytewise.
Key = tuple[Any, ...]
#: Slices of fewer rows are put together: each costs whoever works on it a millisecond or two.
_WORTH_WHILE = 8_192


def orderly(kind: pa.DataType) -> bool:
    """Whether keys of a type compare in Python as their files are sorted."""
    return bool(
        at.is_integer(kind)
        or at.is_boolean(kind)
        or at.is_string(kind)
        or at.is_binary(kind)
        or at.is_timestamp(kind)
        or at.is_date32(kind)
    )


def slices(
    runs: Sequence[Iterator[pa.Table]], keys: Sequence[str], *, least: int = 0
) -> Iterator[pa.Table]:
    """Tables with all rows of their keys; no key is in two of them.

    ``runs`` give tables of one chunk, sorted by ``keys`` within and across tables, the first
    of whose columns are ``keys``; their types are :func:`orderly`. In a slice, the rows of each
    run follow each other in order. A slice of a single run is one chunk where it can be.

    Slices come in no order: what lies across two tables of a single run is a key's few rows,
    and many such keys make one slice.

    Of several runs, each that has fewer than ``least`` rows left is read on, so that they keep
    step: else every slice would be as small as what the shortest of them has left.
    """
    reading = [run for run in (_Run(batches, keys) for batches in runs) if run.advance()]
    seams = _Seams(keys)
    while reading:
        bound = min((run.last for run in reading if not run.ended), default=None)
        ready = [piece for run in reading for piece in run.before(bound)]
        yield from _split(ready, keys, seams) if len(reading) == 1 else _together(ready)
        ready.clear()  # or they were held while the next are read
        for run in reading:
            if run.last == bound or (len(reading) > 1 and run.rows < least):
                run.advance()
        reading = [run for run in reading if run.pieces or not run.ended]
    yield from seams.flush()


class _Seams:
    """Slices of few rows, held until they are worth while."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._held: list[pa.Table] = []

    def add(self, piece: pa.Table) -> Iterator[pa.Table]:
        """Take a slice; give back what is ready."""
        if len(piece) >= _WORTH_WHILE:
            yield piece
            return
        if self._held and not self._end(self._held[-1]) < _key(piece, 0, self._keys):
            # Not sorted. Side by side, a key that comes twice would look like one.
            yield from self.flush()
        self._held.append(piece)
        del piece
        if sum(map(len, self._held)) >= _WORTH_WHILE:
            yield from self.flush()

    def _end(self, piece: pa.Table) -> Key:
        return _key(piece, len(piece) - 1, self._keys)

    def flush(self) -> Iterator[pa.Table]:
        """Give back all that is held, as one slice."""
        held, self._held = self._held, []
        if held:
            yield held[0] if len(held) == 1 else pa.concat_tables(held).combine_chunks()


class _Run:
    """One file's rows: what has been read of them and not yet been given away."""

    def __init__(self, batches: Iterator[pa.Table], keys: Sequence[str]) -> None:
        self._batches = batches
        self._keys = keys
        self.pieces: list[pa.Table] = []
        self.last: Key = ()
        self.ended = False

    @property
    def rows(self) -> int:
        """How many rows are held."""
        return sum(map(len, self.pieces))

    def advance(self) -> bool:
        """Read one more piece; False at the end."""
        for batch in self._batches:
            if len(batch):
                self.pieces.append(batch)
                self.last = _key(batch, len(batch) - 1, self._keys)
                return True
        self.ended = True
        return False

    def before(self, bound: Key | None) -> list[pa.Table]:
        """Take out the rows of keys before ``bound`` (None: all of them)."""
        ready: list[pa.Table] = []
        if bound is None or (self.pieces and self.last < bound):
            ready, self.pieces = self.pieces, ready
            return ready
        while self.pieces:
            piece = self.pieces.pop(0)
            cut = _first(piece, self._keys, lambda key: key >= bound)
            if cut:
                ready.append(piece.slice(0, cut))
            if cut < len(piece):
                self.pieces.insert(0, _own(piece, cut))
                break
        return ready


def _split(pieces: list[pa.Table], keys: Sequence[str], seams: _Seams) -> Iterator[pa.Table]:
    """One run's pieces: what continues the key of the piece before is cut off the last of them.

    Mostly the pieces before it are few rows of that key, and the bulk is given away uncopied.
    """
    if len(pieces) < 2:
        for piece in pieces:
            yield from seams.add(piece)
        return
    *held, piece = pieces
    pieces.clear()
    key = _key(held[-1], len(held[-1]) - 1, keys)
    cut = _first(piece, keys, lambda other: other > key)
    seam = pa.concat_tables([*held, piece.slice(0, cut)]).combine_chunks()
    held.clear()
    yield from seams.add(seam)
    del seam
    if cut < len(piece):
        yield from seams.add(piece.slice(cut))


def _together(pieces: list[pa.Table]) -> Iterator[pa.Table]:
    if pieces:
        yield pa.concat_tables(pieces)


def _own(piece: pa.Table, start: int) -> pa.Table:
    """The rows from ``start`` on; a copy if it is a small part, which must not hold the rest."""
    rest = piece.slice(start)
    if start and 2 * len(rest) <= len(piece):
        return rest.take(pa.array(range(len(rest)), pa.int32()))
    return rest


def _first(piece: pa.Table, keys: Sequence[str], true_from: Callable[[Key], bool]) -> int:
    """The first row whose key passes, by bisection: keys ascend, and stay true once they are."""
    low, high = 0, len(piece)
    while low < high:
        middle = (low + high) // 2
        if true_from(_key(piece, middle, keys)):
            high = middle
        else:
            low = middle + 1
    return low


def _key(piece: pa.Table, row: int, keys: Sequence[str]) -> Key:
    return tuple(_comparable(piece.column(name)[row]) for name in keys)


def _comparable(value: Any) -> Any:
    # datetime cannot hold every int64 of microseconds.
    return value.value if at.is_temporal(value.type) else value.as_py()
