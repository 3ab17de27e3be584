"""Keys of rows and of events, compared in bulk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.kernel.keys import encode_columns
from noskew.kernel.values import whole


def distinct_keys(
    columns: Sequence[pa.Array], names: Sequence[str]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The distinct keys of rows without nulls, as a table, and which of them each row has."""
    encoded = _single(columns).dictionary_encode()
    group = encoded.indices.to_numpy().astype(np.int64)
    first = np.full(len(encoded.dictionary), -1, np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    at = pa.array(first)
    return pa.table({n: c.take(at) for n, c in zip(names, columns, strict=True)}), group


def positions(wanted: pa.Table, keys: pa.Table) -> NDArray[np.int64]:
    """Where each row of ``wanted`` stands in ``keys`` (same columns); −1 if it does not."""
    if len(keys) == 0:
        return np.full(len(wanted), -1, np.int64)
    names = wanted.column_names
    ours = _single([whole(wanted.column(n)) for n in names])
    theirs = _single([whole(keys.column(n)) for n in names])
    places = pc.index_in(ours, value_set=theirs)
    return places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _single(columns: Sequence[pa.Array]) -> pa.Array:
    """Keys as one column that compares as the keys do."""
    if len(columns) == 1:
        return columns[0]
    return encode_columns(columns)[0].to_arrow(pa.binary())
