"""What the sources share: checked column names and batches of a bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from noskew.errors import ConflictError, InputError, SchemaMismatchError, nearest
from noskew.stores.sources.base import Part
from noskew.stores.sources.digest import ContentDigest

#: Bytes of a batch at most, unless it is one row.
MOST_BYTES = 64 * 1024 * 1024


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
    """A batch as pieces of at most ``batch_rows``; nothing for an empty one.

    A piece of more than 64 MiB is halved until it has less, or one row: rows have no bound, and
    columns of 2 GiB of text are more than Arrow can work on at once.
    """
    if batch_rows < 1:
        raise InputError(f"batch_rows must be at least 1, got {batch_rows}")
    for start in range(0, batch.num_rows, batch_rows):
        yield from _light(batch.slice(start, batch_rows))


def joined(batches: Iterable[pa.RecordBatch], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of one schema put together, as long as they have few rows and bytes."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        more = _size(batch)
        if held and (rows + batch.num_rows > batch_rows or size + more > MOST_BYTES):
            yield pa.concat_batches(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + more
    if held:
        yield pa.concat_batches(held)


def _light(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    half = batch.num_rows // 2
    if not half or _size(batch) <= MOST_BYTES:
        yield batch
        return
    yield from _light(batch.slice(0, half))
    yield from _light(batch.slice(half))


def _size(batch: pa.RecordBatch) -> int:
    """Bytes of the values, of those in dictionaries as often as they are used."""
    size: int = batch.nbytes
    return size + sum(map(_decoded_size, batch.columns))


def _decoded_size(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return 0
    try:
        lengths = pc.binary_length(column.dictionary.cast(pa.large_binary()))
    except pa.ArrowNotImplementedError:  # numbers are small
        return 0
    total: int | None = pc.sum(lengths.take(column.indices)).as_py()
    return total or 0


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
