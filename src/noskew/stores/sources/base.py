"""The contract of a batch source: a user's data, read as Arrow batches in identifiable parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a source that is read, and committed, as a whole.

    ``token`` identifies the content: the same content has the same token in every process
    and on every day, and changed content has another one. ``label`` is for people.
    ``rows`` is None where counting would mean reading.
    """

    token: str
    label: str
    rows: int | None
    bytes: int | None = None


class BatchSource(ABC):
    """A user's table. It is only ever read.

    Raises StoreUnavailableError when a database cannot be reached, InputError when a file or
    table is absent (naming what was looked for), CorruptDataError when a file is damaged.
    """

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
