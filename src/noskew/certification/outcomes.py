"""What becomes of rows on a path, events or not, and where two paths differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import NoskewError
from noskew.intake.bisect_failures import bisect_failures
from noskew.kernel.bits import differing
from noskew.kernel.transforms.pipeline import Transformed

#: Rows of the table to their events.
PathRun = Callable[[pa.Table, NDArray[np.int64]], Transformed]


@dataclass
class Outcomes:
    """What became of each row.

    Attributes
    ----------
    events
        The events, in the order of their rows.
    row
        int64, shape (events,), ascending: the row of each.
    refused
        For each row that is no event by the rules of its source, why.
    failed
        For each row that the transform fails on, what it says.
    moody
        What was said of batches that failed, although none of their rows fails alone.
    """

    events: pa.Table
    row: NDArray[np.int64]
    refused: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    moody: list[str] = field(default_factory=list)

    def fate(self, row: int) -> str:
        """What became of a row, in words; empty for an event or a row that was filtered out."""
        if row in self.failed:
            return f"fails: {self.failed[row]}"
        return f"refused: {self.refused[row]}" if row in self.refused else ""


def run_in_batches(
    run: PathRun,
    rows: pa.Table,
    batches: Sequence[NDArray[np.int64]],
    schema: pa.Schema | None = None,
) -> Outcomes:
    """The outcomes of some rows, given to ``run`` in these batches (numbers of rows each).

    Where a batch fails its halves are tried, down to the rows that fail alone, as a stream does.
    ``schema``: the columns of events, where they are known.
    """
    gathered = _Gathered()
    for batch in batches:
        gathered.add(run, rows.take(pa.array(batch)), batch)
    if schema is None and not gathered.events:
        schema = run(rows.slice(0, 0), np.zeros(0, np.int64)).events.schema
    return gathered.outcomes(schema or gathered.events[0].schema)


@dataclass
class _Gathered:
    """Outcomes of batches, one after the other."""

    events: list[pa.Table] = field(default_factory=list)
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    moody: list[str] = field(default_factory=list)

    def add(self, run: PathRun, table: pa.Table, batch: NDArray[np.int64]) -> None:
        said: list[str] = []

        def some(start: int, end: int) -> Transformed:
            try:
                return run(table.slice(start, end - start), batch[start:end])
            except NoskewError as error:
                said.append(str(error))
                raise

        done = bisect_failures(some, len(batch))
        if said and not done.bad:
            self.moody.append(said[0])
        self.failed |= {int(batch[at]): why for at, why in done.bad.items()}
        for start, _, part in done.parts:
            self.events.append(part.events)
            self.rows.append(batch[start + part.row])
            for why, at in part.refused.items():
                self.refused |= {int(row): why for row in batch[start + at]}

    def outcomes(self, schema: pa.Schema) -> Outcomes:
        rows = np.concatenate([np.zeros(0, np.int64), *self.rows])
        order = np.argsort(rows, kind="stable")
        events = pa.concat_tables([schema.empty_table(), *self.events]).take(pa.array(order))
        return Outcomes(events, rows[order], self.refused, self.failed, self.moody)


@dataclass(frozen=True)
class Unequal:
    """A row of which two paths make different things.

    ``column``: of its event, or empty if its fate differs; then ``left`` and ``right`` say what
    became of it.
    """

    row: int
    column: str
    left: object
    right: object


def compare_outcomes(left: Outcomes, right: Outcomes, rows: NDArray[np.int64]) -> list[Unequal]:
    """Where two paths make different things of the rows that both were given."""
    unequal = [*_fates(left, right, rows)]
    both = np.intersect1d(np.intersect1d(left.row, right.row), rows)
    a = left.events.take(pa.array(np.searchsorted(left.row, both)))
    b = right.events.take(pa.array(np.searchsorted(right.row, both)))
    for name in a.column_names:
        wrong = np.flatnonzero(differing(a.column(name), b.column(name)))
        unequal += [
            Unequal(int(both[at]), name, a.column(name)[at].as_py(), b.column(name)[at].as_py())
            for at in wrong.tolist()
        ]
    return unequal


def _fates(left: Outcomes, right: Outcomes, rows: NDArray[np.int64]) -> list[Unequal]:
    are_events = [np.isin(rows, side.row) for side in (left, right)]
    odd = {*left.failed, *left.refused, *right.failed, *right.refused}
    suspects = {int(r) for r in rows[are_events[0] != are_events[1]]} | (odd & set(rows.tolist()))
    events = [set(side.row.tolist()) for side in (left, right)]
    unequal = []
    for row in sorted(suspects):
        fates = [
            _fate(side, row, row in there)
            for side, there in zip((left, right), events, strict=True)
        ]
        # Messages name the batch's size and the like: that both fail is enough.
        if fates[0].partition(":")[0] != fates[1].partition(":")[0]:
            unequal.append(Unequal(row, "", *fates))
    return unequal


def _fate(side: Outcomes, row: int, is_event: bool) -> str:
    return side.fate(row) or ("an event" if is_event else "left out")
