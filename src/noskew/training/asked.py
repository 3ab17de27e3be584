"""Rows that ask, arranged by bucket and by key: where the answers of an entity have to go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import CorruptDataError
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.training.keys import distinct_keys, positions

Index = NDArray[np.int64]
#: Rows whose keys are encoded at a time.
_CHUNK = 131_072


class Buckets:
    """Which rows are in each bucket; rows without a key are in none (SPEC §2)."""

    def __init__(self, columns: Sequence[pa.Array], buckets: int) -> None:
        numbers = np.empty(len(columns[0]), np.uint16 if buckets < 2**16 else np.int32)
        for start in range(0, len(numbers), _CHUNK):
            keys, valid = encode_columns([c.slice(start, _CHUNK) for c in columns])
            found = np.where(valid, buckets_of(keys, buckets), buckets)
            numbers[start : start + _CHUNK] = found
        # Small numbers take a radix sort.
        self._order: Index = np.argsort(numbers, kind="stable")
        self._ends = np.cumsum(np.bincount(numbers, minlength=buckets + 1))

    def __iter__(self) -> Iterator[tuple[int, Index]]:
        """Each bucket that is asked for, and its rows."""
        starts = np.append(0, self._ends[:-1])
        for bucket, (start, end) in enumerate(zip(starts[:-1], self._ends[:-1], strict=True)):
            if end > start:
                yield bucket, self._order[start:end]

    @property
    def keyed(self) -> Index:
        """The rows that have a key."""
        return self._order[: self._ends[-2]] if len(self._ends) > 1 else self._order


@dataclass(frozen=True)
class Found:
    """Rows and their entities: row ``rows[i]`` asks for entity ``entity[i]``. int64, (n,)."""

    rows: Index
    entity: Index


class Asking:
    """The rows of one bucket, by the key that they ask for."""

    def __init__(self, columns: Sequence[pa.Array], names: Sequence[str], rows: Index) -> None:
        at = pa.array(rows)
        self.keys, group = distinct_keys([c.take(at) for c in columns], names)
        counts = np.bincount(group, minlength=len(self.keys))
        self._ends = np.cumsum(counts)
        self._counts = counts
        self._rows = rows[np.argsort(group, kind="stable")]
        self._unseen = np.ones(len(self.keys), bool)

    def of(self, keys: pa.Table) -> Found:
        """The rows that ask for some keys; their numbers in ``keys`` are the entities.

        Raises CorruptDataError for a key that has come up before: then its events stand in
        two places, and neither part can give the answer.
        """
        group = positions(keys, self.keys)
        entity = np.flatnonzero(group >= 0)
        group = group[entity]
        if not self._unseen[group].all() or len(np.unique(group)) < len(group):
            raise CorruptDataError(
                "events of one key stand in two places of a file, which is not sorted by key: it "
                "was not written by noskew; ingest its rows instead"
            )
        self._unseen[group] = False
        return Found(self._of_groups(group), np.repeat(entity, self._counts[group]))

    def rest(self) -> Index:
        """The rows whose keys never came up."""
        return self._of_groups(np.flatnonzero(self._unseen))

    def _of_groups(self, group: Index) -> Index:
        counts = self._counts[group]
        ends = np.cumsum(counts)
        # From the start of each group, one after the other.
        step = np.repeat(self._ends[group] - ends, counts)
        return self._rows[step + np.arange(len(step))]
