"""What the sources share: checked column names and batches of a bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa

from noskew.errors import ConflictError, InputError, SchemaMismatchError, nearest
from noskew.stores.sources.base import Part
from noskew.stores.sources.digest import ContentDigest


def considered(names: Sequence[str], declared: Collection[str] | None, where: str) -> list[int]:
    """Where the declared columns are, as far as they are there; all of them if None are declared.

    Columns that nobody declared are not looked at. Raises SchemaMismatchError if one of the
    others appears twice.
    """
    at = [i for i, name in enumerate(names) if not declared or name in declared]
    check_unique([names[i] for i in at], where)
    return at


def check_unique(names: Sequence[str], where: str) -> None:
    """Raise SchemaMismatchError if a column name appears twice."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise SchemaMismatchError(f"{where}: columns that appear more than once: {twice}")


def chosen(names: Sequence[str], columns: Sequence[str] | None, where: str) -> list[str]:
    """The columns to read: all by default. Raises SchemaMismatchError, naming those there are."""
    if columns is None:
        check_unique(names, where)
        return list(names)
    check_unique([name for name in names if name in columns], where)
    check_unique(columns, f"the columns asked of {where}")
    for column in columns:
        if column not in names:
            raise SchemaMismatchError(f"{where} has no column {column!r}; {nearest(column, names)}")
    return list(columns)


def sliced(batch: pa.RecordBatch, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """A batch as pieces of at most ``batch_rows``; nothing for an empty one."""
    if batch_rows < 1:
        raise InputError(f"batch_rows must be at least 1, got {batch_rows}")
    for start in range(0, batch.num_rows, batch_rows):
        yield batch.slice(start, batch_rows)


def position_of_part(source: Sequence[Part], part: Part, where: str) -> int:
    """The position of a part. Raises InputError if the source does not have it any more."""
    for position, own in enumerate(source):
        if own.token == part.token:
            return position
    raise InputError(f"{where} has no part {part.label!r} with that content; list its parts again")


def verified(
    batches: Iterable[pa.RecordBatch], digest: ContentDigest, part: Part, where: str
) -> Iterator[pa.RecordBatch]:
    """The batches of a query, unless they are not what ``part`` was named for.

    A query runs once for the token and once for the rows. The last step fails if its result
    changed in between, so that no commit can carry a token of other content. Raises
    ConflictError, after the last batch.
    """
    for batch in batches:
        digest.update(batch)
        yield batch
    if digest.token() != part.token:
        raise ConflictError(
            f"the result of {where} is not the one that part {part.label!r} stands for: the data "
            f"changed, or the query gives its rows in no fixed order (add ORDER BY); list the "
            f"parts again and repeat"
        )
