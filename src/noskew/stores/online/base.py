"""The contract of an online store: for each key, the row of the greatest version."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from noskew.resources import Closing

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

#: Every row starts with this many bytes: its version, big-endian, compared as bytes.
VERSION_BYTES = 16
#: The longest key a store must take (the limit of LMDB as distributed).
MAX_KEY_BYTES = 511
#: Rows of a load that are written in one call.
LOAD_ROWS = 10_000


class OnlineStore(Closing, ABC):
    """Keeps, for each key, the row whose first :data:`VERSION_BYTES` are greatest.

    A store knows bytes and nothing else: not what a key or a row means, no definition, no
    registry, no configuration object. Keys are 1 to :data:`MAX_KEY_BYTES` bytes; rows are at
    least :data:`VERSION_BYTES` bytes.

    The only write is "keep the greater version". It is atomic for each row, idempotent and
    commutative: after any interleaving of any writers, in any order and with any repetition,
    a key holds the row of the greatest version ever written to it. Rows of equal version are
    taken to be equal; the one already stored stays.

    Every method raises StoreUnavailableError when the store cannot be reached or answers too
    late, CorruptDataError when it finds bytes it did not write, and InputError (a ValueError)
    for a key or a row outside the limits above, or above :attr:`max_row_bytes`. A store may be
    shared by threads. Bytes that are returned belong to the caller and stay valid after the
    store is closed.
    """

    # What a store can do. Callers ask these, and never which class a store is of.

    @property
    def is_remote(self) -> bool:
        """Whether a read waits for another process or machine, so that event loops await it.

        False: :meth:`read_async` answers at once, and costs what :meth:`read` does.
        """
        return False

    @property
    def may_lose_writes(self) -> bool:
        """Whether the store may go on answering without rows whose write it acknowledged.

        For example after a failover to a replica that was behind. Whoever must not lose rows
        then looks from time to time whether they are still there, and :meth:`generation` says
        when that may have happened. False: what was acknowledged is there for as long as the
        store answers, except where somebody removes it.
        """
        return True

    @property
    def max_row_bytes(self) -> int | None:
        """The longest row that :meth:`write` takes under any key; None: there is no bound."""
        return None

    @property
    def embedded_at(self) -> Path | None:
        """The directory of LMDB files that hold the rows; None: they are not in such files.

        What writes rows of its own may then commit them together with what it must remember,
        through :class:`noskew.stores.state.lmdb.StateStore`. Other machines do not have them.
        """
        return None

    @property
    def scans_by_prefix(self) -> bool:
        """Whether a scan of a prefix costs what it gives; False: what the whole store holds."""
        return False

    @abstractmethod
    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows of ``keys`` in their order, None where there is none.

        Keys may repeat; an empty request gives an empty list. Rows written by an earlier
        completed ``write`` of the same process are seen. One call is one round trip (per
        node, in a cluster).
        """

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As :meth:`read`, without blocking the event loop where the store is remote."""
        if self.is_remote:
            return await asyncio.to_thread(self.read, keys)
        return self.read(keys)

    @abstractmethod
    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """Store each row unless its key holds one of an equal or greater version.

        Returns how many rows changed. When it returns, readers of every process see them. A
        key may appear more than once: the greatest version wins. When it raises, any subset
        of the rows may have been stored; repeating the call is always safe.

        Raises StoreFullError when there is no space left; nothing stored before is lost.
        """

    def load(self, batches: Iterable[pa.RecordBatch]) -> int:
        """As :meth:`write` of all rows of ``batches``, in the way that suits a great many.

        A batch has two columns, keys and rows, of type ``large_binary`` and without nulls; its
        rows may come in any order. Batches are taken one by one in the thread of the caller,
        and memory stays bounded however many there are. A row may be seen at any time after its
        batch was taken; all are when this returns. When it raises, be it for an error of
        ``batches``, any subset of the rows may have been stored.
        """
        return sum(self.write(keys, rows) for keys, rows in lists(batches))

    @abstractmethod
    def delete(self, keys: Sequence[bytes]) -> int:
        """Remove keys; absent ones are skipped. Returns how many were there."""

    @abstractmethod
    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All (key, row) pairs whose key starts with ``prefix``, in no promised order.

        Rows that stay unchanged during the scan are given exactly once; rows written or
        deleted meanwhile may or may not be given. It never blocks writers.
        """

    @abstractmethod
    def ping(self) -> None:
        """Return if the store can answer now, else raise StoreUnavailableError."""

    def generation(self) -> bytes:
        """Bytes that change when rows may have been lost that ``write`` had acknowledged.

        Where another server took over from one that failed, or one was started again. A store
        that loses nothing but by being removed gives the same for ever.
        """
        return b""

    def sync(self) -> None:
        """Return once everything written so far survives a crash of this machine.

        A store whose ``write`` is already as durable as it gets does nothing here.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connections and files; a second call does nothing."""


def lists(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Keys and rows of the batches of a load, at most LOAD_ROWS at a time."""
    for batch in batches:
        for at in range(0, len(batch), LOAD_ROWS):
            keys, rows = batch.slice(at, LOAD_ROWS).columns
            yield keys.to_pylist(), rows.to_pylist()
