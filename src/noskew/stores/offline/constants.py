"""Columns of one value, of which a table of facts has many: they need not be moved about.

All facts of an ingest have one known time, one run, no retraction; all of a file have one bucket.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: Places that are looked at before all are: of most columns, one of them differs.
_PROBES = 16


def constant(column: pa.ChunkedArray[Any]) -> pa.Scalar[Any] | None:
    """The value that a column has everywhere; None if it has several, or is of no fixed width.

    Values are the same if their bytes are. A null is one, too.
    """
    if not len(column):
        return None
    if column.null_count == len(column):
        return pa.scalar(None, column.type)
    if column.null_count or not _is_plain(column.type):
        return None
    chunks = [_values(chunk) for chunk in column.chunks if len(chunk)]
    first = chunks[0][0]
    for check in (_probed, _all):
        if not all(check(chunk, first) for chunk in chunks):
            return None
    return column[0]


def permuted(table: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """All rows of a table in another order."""
    at = pa.array(order)
    columns = [c if constant(c) is not None else c.take(at) for c in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _is_plain(kind: pa.DataType) -> bool:
    return pa.types.is_primitive(kind) and not pa.types.is_boolean(kind)


def _values(chunk: pa.Array[Any]) -> npt.NDArray[Any]:
    width = chunk.type.bit_width // 8
    raw = np.frombuffer(chunk.buffers()[1], f"u{width}")
    return raw[chunk.offset : chunk.offset + len(chunk)]


def _probed(values: npt.NDArray[Any], first: Any) -> bool:
    return bool((values[:: max(1, len(values) // _PROBES)] == first).all())


def _all(values: npt.NDArray[Any], first: Any) -> bool:
    return bool((values == first).all())
