"""Rows that ask, arranged by bucket and by key: where the answers of an entity have to go.

The place of a row is its number among all rows in the order of their buckets. The tables of a
bucket hold whole entities each, so the rows of one are answered from one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa

from noskew.errors import CorruptDataError
from noskew.kernel.arrays import Index
from noskew.kernel.jit import kernel
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.training.keys import distinct_keys, positions

#: Rows whose keys are encoded at a time.
_CHUNK = 131_072


class RowBuckets:
    """Which rows are in each bucket; rows without a key are in none (SPEC §2).

    ``order``: int64, shape (rows,), the row of each place; rows of a bucket stand together and
    ascend, those without a key come last.
    """

    def __init__(self, columns: Sequence[pa.Array], buckets: int) -> None:
        numbers = np.empty(len(columns[0]), np.uint16 if buckets < 2**16 else np.int32)
        for start in range(0, len(numbers), _CHUNK):
            keys, valid = encode_columns([c.slice(start, _CHUNK) for c in columns])
            bucket = np.where(valid, buckets_of(keys, buckets), buckets)
            numbers[start : start + _CHUNK] = bucket
        # Small numbers take a radix sort.
        self.order: Index = np.argsort(numbers, kind="stable")
        self._ends = np.cumsum(np.bincount(numbers, minlength=buckets + 1))

    def __iter__(self) -> Iterator[tuple[int, int, Index]]:
        """Each bucket that is asked for, its first place, and its rows."""
        starts = np.append(0, self._ends[:-1])
        for bucket, (start, end) in enumerate(zip(starts[:-1], self._ends[:-1], strict=True)):
            if end > start:
                yield bucket, int(start), self.order[start:end]

    @property
    def keyed(self) -> Index:
        """The rows that have a key, in the order of their places, from the first on."""
        return self.order[: self._ends[-2]]


@dataclass(frozen=True)
class RowMatches:
    """Rows and their entities: row ``rows[i]`` asks for entity ``entity[i]``. int64, (n,).

    ``rows`` are numbers within the bucket, not of the caller's table.
    """

    rows: Index
    entity: Index


class Facts(Protocol):
    """Facts of some entities; ``keys``: one row for each entity."""

    @property
    def keys(self) -> pa.Table: ...


F = TypeVar("F", bound=Facts)


class RowLookup:
    """The rows of one bucket, by the key that they ask for."""

    def __init__(self, columns: Sequence[pa.Array], names: Sequence[str], rows: Index) -> None:
        at = pa.array(rows)
        self.keys, group = distinct_keys([c.take(at) for c in columns], names)
        self._starts, self._rows = _by_group(group, len(self.keys))
        self._unseen = np.ones(len(self.keys), bool)

    def sweep(
        self, tables: Iterable[pa.Table], facts_of: Callable[[pa.Table], F]
    ) -> Iterator[tuple[F, RowMatches]]:
        """The facts of each table that rows ask for, with those rows, as it is read.

        Holds nothing of a table while the next one is read. Raises as :meth:`of`.
        """

        def matched(table: pa.Table) -> tuple[F, RowMatches]:
            facts = facts_of(table)
            return facts, self.of(facts.keys)

        # By map and filter: the variables of a loop would hold what they gave.
        return filter(lambda pair: len(pair[1].rows) > 0, map(matched, tables))

    def of(self, keys: pa.Table) -> RowMatches:
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
        return RowMatches(*_members(self._starts, self._rows, group, entity))

    def rest(self) -> Index:
        """The rows whose keys never came up."""
        group = np.flatnonzero(self._unseen)
        return _members(self._starts, self._rows, group, group)[0]


@kernel
def _by_group(group: Index, groups: int) -> tuple[Index, Index]:
    """Members sorted by group, in their order within each: (groups + 1 starts, members).

    A counting sort.
    """
    starts = np.zeros(groups + 1, np.int64)
    for i in range(len(group)):
        starts[group[i] + 1] += 1
    for g in range(groups):
        starts[g + 1] += starts[g]
    at = starts[:-1].copy()
    members = np.empty(len(group), np.int64)
    for i in range(len(group)):
        members[at[group[i]]] = i
        at[group[i]] += 1
    return starts, members


@kernel
def _members(starts: Index, members: Index, group: Index, label: Index) -> tuple[Index, Index]:
    """The members of some groups, one group after the other, each with its group's label."""
    n = 0
    for g in group:
        n += starts[g + 1] - starts[g]
    rows, labels = np.empty(n, np.int64), np.empty(n, np.int64)
    at = 0
    for i in range(len(group)):
        for k in range(starts[group[i]], starts[group[i] + 1]):
            rows[at], labels[at] = members[k], label[i]
            at += 1
    return rows, labels
