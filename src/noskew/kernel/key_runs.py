"""Runs of rows of one key, and the entities that they are of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.kernel.arrays import Index
from noskew.kernel.keys import encode_columns


def run_starts(columns: Sequence[pa.Array]) -> Index:
    """Where the key differs from the one before; 0 is the first of them."""
    n = len(columns[0])
    if n == 0:
        return np.zeros(0, np.int64)
    differs = np.zeros(n - 1, bool)
    for column in columns:
        changed = pc.not_equal(column.slice(1), column.slice(0, n - 1))
        differs |= changed.to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(1, np.int64), np.flatnonzero(differs) + 1])


def _segment_keys(columns: Sequence[pa.Array], starts: Index) -> pa.Array:
    """A single value for each run's key, comparable for equality."""
    at = pa.array(starts)
    if len(columns) == 1:
        return columns[0].take(at)
    return encode_columns([c.take(at) for c in columns])[0].to_arrow(pa.binary())


def repeats(columns: Sequence[pa.Array], starts: Index) -> bool:
    """Whether some entity's events stand in more than one run."""
    keys = _segment_keys(columns, starts)
    return int(pc.count_distinct(keys).as_py()) != len(keys)


def entity_codes(columns: Sequence[pa.Array], starts: Index) -> Index:
    """A number for the entity of each row, int64, shape (n,); they count from 0."""
    encoded = _segment_keys(columns, starts).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    lengths = np.diff(np.append(starts, len(columns[0])))
    return np.repeat(codes, lengths)
