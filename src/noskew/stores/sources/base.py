"""The contract of a batch source: a user's data, read as Arrow batches in identifiable parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from noskew.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from noskew.stores.sources.cursor import Cursor, Extent


T = TypeVar("T")
_SPREAD = 4


def beginnings(
    items: Sequence[T], read: Callable[[T, int], Iterable[pa.RecordBatch]], rows: int
) -> Iterator[pa.RecordBatch]:
    """At most ``rows`` rows, the first ones of a few items that are evenly spaced.

    ``read``: the batches of an item, of at most so many rows each.
    """
    chosen = items[:: max(1, -(-len(items) // _SPREAD))]
    each = max(1, -(-rows // max(1, len(chosen))))
    batches = (batch for item in chosen for batch in first_rows(read(item, each), each))
    yield from first_rows(batches, rows)


def first_rows(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches up to a number of rows; no more are taken than that needs."""
    if rows < 1:
        return
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a source that is read, and committed, as a whole.

    ``token`` identifies the content: the same content has the same token in every process
    and on every day, and changed content has another one. ``label`` is for people.
    ``rows`` is None where counting would mean reading. ``path`` tells parts apart that come and
    go on their own, such as the files of a folder; it is empty for parts that only together are
    the source.
    """

    token: str
    label: str
    rows: int | None
    bytes: int | None = None
    path: str = ""


class BatchSource(ABC):
    """A user's table. It is only ever read.

    Raises StoreUnavailableError when a database cannot be reached, InputError when a file or
    table is absent (naming what was looked for), CorruptDataError when a file is damaged.
    """

    #: Whether to read it twice costs nothing.
    is_in_memory = False

    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns as the source gives them, without reading the data."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """The parts there are now, in a stable order."""

    @abstractmethod
    def read(
        self, part: Part, columns: list[str] | None = None, *, batch_rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a part, in a stable order, in batches of at most ``batch_rows``.

        Raises SchemaMismatchError for a column that is not there (naming those that are), or
        a name that appears twice.
        """

    def sample(self, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """At most ``rows`` rows, from the beginnings of parts that are spread over the whole.

        To look at, not to commit: where a part's token would mean to read all of it, it is not
        made. Raises as :meth:`read` does.
        """

        def read(part: Part, each: int) -> Iterator[pa.RecordBatch]:
            return self.read(part, columns, batch_rows=each)

        return beginnings(self.parts(), read, rows)

    def extent(self, cursor: Cursor, below: Sequence[int] = ()) -> Extent:
        """What is known of a column that only grows, without reading the rows.

        ``below``: values; the rows below each are counted. Raises InputError where the source
        cannot tell, or the column is of another type.
        """
        raise self._no_cursor(cursor)

    def between(self, cursor: Cursor, least: int | None, greatest: int) -> BatchSource:
        """Its rows from one value of a cursor to another, both with it; None: from the first.

        Of the source that comes back :meth:`read` alone is asked, and whatever part it is given.
        """
        raise self._no_cursor(cursor)

    def _no_cursor(self, cursor: Cursor) -> InputError:
        return InputError(
            f"{type(self).__name__} cannot be read by a cursor ({cursor.column!r}); queries can be"
        )
