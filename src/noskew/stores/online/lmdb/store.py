"""Rows in LMDB files: embedded, shared by the processes of one machine, nothing to install."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from noskew.stores.closed import closed
from noskew.stores.lmdb import environment as environments
from noskew.stores.lmdb.environment import RESERVED, Environment, Transaction, translate
from noskew.stores.online.base import VERSION_BYTES, OnlineStore
from noskew.stores.online.limits import (
    check_batch,
    check_keys,
    check_rows,
    check_stored,
    greatest_by_key,
    short_row,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from noskew.stores.online.lmdb.key_order import KeyOrder

#: Address space reserved at first; it doubles when full. The file only holds what is used.
DEFAULT_MAP_SIZE = 1 << 30
#: Rows of one transaction: enough to spread its fixed cost, few enough to keep its pages in memory.
_ROWS_PER_TRANSACTION = 32_768
#: Bytes of rows a scan holds at once; an item weighs at least what its Python objects do.
_BYTES_PER_SCAN = 1 << 20
_BYTES_PER_ITEM = 200
#: Keys looked at to guess whether a batch is of new keys.
_SAMPLE = 16
_AFTER_RESERVED = RESERVED[:-1] + b"\1"


class LmdbStore(OnlineStore):
    """An online store in the directory ``path``.

    Any number of threads and processes may read and write it; one writes at a time. Reads never
    wait for another process. The kill of a process loses and damages nothing that ``write`` or
    ``delete`` acknowledged; a crash of the machine can, unless ``sync`` came after, and the store
    then refuses to open. ``close`` syncs.

    Parameters
    ----------
    path : the directory; made, with its parents, unless ``readonly``.
    map_size : bytes of address space reserved at first (it grows by itself).
    readonly : refuse writes, and need no right to write ``data.mdb``. The directory must exist.

    Raises CorruptDataError for a file that is damaged, cut short, foreign, or was not synced
    before the machine stopped.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        map_size: int = DEFAULT_MAP_SIZE,
        readonly: bool = False,
    ) -> None:
        self._name = f"the LMDB store {os.fspath(path)}"
        self._readonly = readonly
        self._environment: Environment | None = environments.acquire(path, map_size, readonly)

    @property
    def may_lose_writes(self) -> bool:
        return False  # after a crash that may have lost some it does not open

    @property
    def embedded_at(self) -> Path:
        return self._opened().path

    @property
    def scans_by_prefix(self) -> bool:
        return True

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        environment = self._environment or self._opened()
        try:
            with environment.reading:
                # ``Environment.read`` without its two calls: this is the path of every request.
                transaction = (environment.handle or environment.opened()).begin()
                try:
                    rows: list[bytes | None] = list(map(transaction.get, keys))
                finally:
                    transaction.abort()
        except (lmdb.MapResizedError, lmdb.ReadersFullError):
            rows = environment.read(partial(_get, keys=keys))
        except lmdb.Error as error:
            raise translate(error, environment.path) from error
        check_stored(rows, self._name)
        return rows

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        check_rows(keys, rows)
        environment = self._writable()
        return _put_all(environment, keys, rows)

    def load(self, batches: Iterable[pa.RecordBatch]) -> int:
        """As the contract says. Rows are put in order first: see ``KeyOrder``.

        That takes space for a second copy of them in the directory of the store meanwhile, so
        that none of them may be seen before the last batch was taken.
        """
        # It loads Arrow, which whoever only reads does without.
        from noskew.stores.online.lmdb.key_order import KeyOrder

        environment = self._writable()
        changed = 0
        with KeyOrder(environment.path) as order:
            for batch in batches:
                check_batch(batch.column(0), batch.column(1))
                _gather(order, batch, environment)
            for chunk in _chunks(order, environment):
                keys, rows = chunk.columns
                changed += _put_all(environment, keys.to_pylist(), rows.to_pylist())
        return changed

    def delete(self, keys: Sequence[bytes]) -> int:
        check_keys(keys)
        environment = self._writable()
        if not keys:
            return 0
        ordered = sorted(set(keys))
        return environment.write(lambda transaction: sum(map(transaction.delete, ordered)))

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        # In short transactions: a long one would keep every page freed meanwhile from reuse.
        after = None
        while items := self._opened().read(partial(_part, prefix=prefix, after=after)):
            check_stored([row for _, row in items], self._name)
            yield from items
            after = items[-1][0]

    def ping(self) -> None:
        self._opened().ping()

    def sync(self) -> None:
        self._opened().sync()

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environments.release(environment)

    def _opened(self) -> Environment:
        if self._environment is None:
            raise closed(self._name)
        return self._environment

    def _writable(self) -> Environment:
        environment = self._opened()
        if self._readonly:
            raise environments.readonly_error(environment.path)
        return environment


def _gather(order: KeyOrder, batch: pa.RecordBatch, environment: Environment) -> None:
    try:
        order.add(batch)
    except OSError as error:
        raise translate(error, environment.path) from error


def _chunks(order: KeyOrder, environment: Environment) -> Iterator[pa.RecordBatch]:
    try:
        yield from order.chunks()
    except OSError as error:
        raise translate(error, environment.path) from error


def _put_all(environment: Environment, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
    """Put the rows that are newer; count them."""
    if not all(map(lt, keys, islice(keys, 1, None))):
        # In the order of the tree, each page is visited and copied once.
        items = sorted(greatest_by_key(keys, rows).items())
        keys, rows = [key for key, _ in items], [row for _, row in items]
    step = _ROWS_PER_TRANSACTION
    return sum(
        environment.write(partial(_put, keys=keys[at : at + step], rows=rows[at : at + step]))
        for at in range(0, len(keys), step)
    )


def _put(transaction: Transaction, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
    """Put those rows of distinct keys, in order, that are newer; count them."""
    cursor = transaction.cursor()
    added = 0
    if not any(map(cursor.set_key, keys[:: len(keys) // _SAMPLE + 1])):
        # Probably all new, as in a first load: putting without looking first saves a quarter.
        asked, added = cursor.putmulti(zip(keys, rows, strict=True), overwrite=False)
        if added == asked:
            return added
    newer = []
    for key, row, old in zip(keys, rows, map(transaction.get, keys), strict=True):
        if old is not None:
            if len(old) < VERSION_BYTES:
                raise short_row("the LMDB store", len(old))
            if old[:VERSION_BYTES] >= row[:VERSION_BYTES]:
                continue
        newer.append((key, row))
    cursor.putmulti(newer)
    return added + len(newer)


def _get(transaction: Transaction, *, keys: Sequence[bytes]) -> list[bytes | None]:
    return list(map(transaction.get, keys))


def _part(
    transaction: Transaction, *, prefix: bytes, after: bytes | None
) -> list[tuple[bytes, bytes]]:
    """The next items in key order: those after ``after``, or the first; empty at the end."""
    cursor = transaction.cursor()
    start = prefix if after is None else after
    is_there = cursor.set_range(start) if start else cursor.first()
    if is_there and cursor.key() == after:
        is_there = cursor.next()
    items: list[tuple[bytes, bytes]] = []
    size = 0
    while is_there and size < _BYTES_PER_SCAN:
        item = cursor.item()
        if not item[0].startswith(prefix):
            break
        if item[0].startswith(RESERVED):
            is_there = cursor.set_range(_AFTER_RESERVED)
            continue
        items.append(item)
        size += len(item[1]) + _BYTES_PER_ITEM
        is_there = cursor.next()
    return items
