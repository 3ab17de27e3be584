"""The order of rows in a file: by keys, event time, known time, sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noskew.stores.offline.base import EVENT_TIME, KNOWN_TIME, SEQUENCE
from noskew.stores.offline.constants import permuted

_Order = npt.NDArray[np.int64]


def sorted_run(table: pa.Table, keys: Sequence[str], *, arrival: bool) -> pa.Table:
    """The rows sorted by (keys, event time, known time, sequence).

    ``arrival`` says that rows come in the order of their sequence, so that a stable sort
    needs no look at it. Key columns hold no nulls.

    A chain of stable sorts, least significant column first, instead of one comparison over
    all columns: it is two to six times faster here, because times mostly come sorted (one
    pass for a merge sort) and codes of fewer than 65,536 keys take a radix sort.
    """
    order: _Order | None = None
    for name in () if arrival else (SEQUENCE,):
        order = _then_by(order, table.column(name).to_numpy())
    for name in (KNOWN_TIME, EVENT_TIME):
        order = _then_by(order, table.column(name).cast(pa.int64()).to_numpy())
    for name in reversed(keys):
        order = _then_by(order, _codes(table.column(name)))
    return table if order is None else permuted(table, order)


def bucket_order(buckets: pa.Array[Any], count: int) -> _Order:
    """Positions of the rows, by bucket, arrival order kept in each."""
    small = buckets.to_numpy().astype(np.uint16 if count <= 65_536 else np.int32)
    return np.argsort(small, kind="stable")


def _then_by(order: _Order | None, values: npt.NDArray[Any]) -> _Order | None:
    """``order`` refined by a more significant column; None stands for the given order."""
    present = values if order is None else values[order]
    if len(present) < 2 or bool(np.all(present[1:] >= present[:-1])):
        return order
    finer = np.argsort(present, kind="stable")
    return finer if order is None else order[finer]


def _codes(column: pa.ChunkedArray[Any]) -> npt.NDArray[Any]:
    """Integers that order like the values do (bytewise for text), in the smallest type."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    distinct = len(encoded.dictionary)
    rank = np.empty(distinct, np.uint16 if distinct <= 65_536 else np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(distinct)
    codes: npt.NDArray[Any] = rank[encoded.indices.to_numpy()]
    return codes
