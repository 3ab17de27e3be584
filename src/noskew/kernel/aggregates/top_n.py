"""top_n: the most frequent values, ties by value. No rows: []; over the cap: null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Aggregate
from noskew.kernel.aggregates.value_counts import (
    CountedValues,
    lift_value_counts,
    unpack_value_counts,
)
from noskew.kernel.arrays import Index
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.jit import kernel


@dataclass(frozen=True)
class ValueCounts(Accumulator):
    """How often each value of a column occurs; −0.0 is 0.0, NaN is one value, the last."""

    column: str
    where: str | None
    kind: pa.DataType
    cap: int

    def lift(self, events: Events) -> CountedValues:
        mask = events.mask(self.column, self.where)
        codes, domain = events.codes(self.column)
        if pa.types.is_floating(self.kind):
            numbers = values.floats(events.column(self.column))
            codes = values.codes_of_floats(numbers + 0.0)
            codes = np.where(np.isnan(numbers), values.MAX_CODE, codes)
        return lift_value_counts(codes, mask, domain, self.cap)

    def unpack(self, reader: Reader) -> CountedValues:
        return unpack_value_counts(reader, self.kind, self.cap)


@dataclass(frozen=True)
class TopNOf(Aggregate):
    """top_n(column, n)."""

    column: str
    where: str | None
    kind: pa.DataType
    n: int
    cap: int

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return (ValueCounts(self.column, self.where, self.kind, self.cap),)

    def finalise(self, counted: CountedValues) -> pa.Array:
        offsets, codes = _most_frequent(counted.offsets, counted.codes, counted.counts, self.n)
        decoded = counted.domain.decode(codes, np.ones(len(codes), bool))
        mask = pa.array(counted.over) if counted.over.any() else None
        starts = pa.array(offsets.astype(np.int32))
        lists = pa.ListArray.from_arrays(starts, decoded, mask=mask)
        return lists.cast(pa.list_(self.kind))


@kernel
def _most_frequent(
    offsets: Index, codes: NDArray[np.int64], counts: NDArray[np.int64], n: int
) -> tuple[Index, NDArray[np.int64]]:
    out = np.zeros(len(offsets), np.int64)
    for i in range(len(offsets) - 1):
        out[i + 1] = out[i] + min(n, offsets[i + 1] - offsets[i])
    best = np.empty(out[-1], np.int64)
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        # Stable on codes that ascend: equal counts stay in value order.
        order = np.argsort(-counts[start:end], kind="mergesort")
        for k in range(out[i + 1] - out[i]):
            best[out[i] + k] = codes[start + order[k]]
    return out, best
