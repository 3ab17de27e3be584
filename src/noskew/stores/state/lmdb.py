"""StateStore: what stream processors know, changed by one atomic transaction a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from noskew.errors import FencedError, StoreError
from noskew.resources import Closing
from noskew.stores.lmdb import environment as environments
from noskew.stores.lmdb.environment import RESERVED, Environment, Transaction

_EPOCH = b"\x00epoch"
#: Bytes of items that a scan holds at once: few at first, for whoever needs only these.
_FIRST_BYTES, _SCAN_BYTES = 1 << 10, 1 << 20
#: The longest name of a space, for its keys to fit.
MAX_NAME_BYTES = 16


class StateStore(Closing):
    """Rows by their keys in the online store, and *spaces* for what belongs to one owner.

    They are LMDB files in the directory ``path``, for any number of processes of one machine. It
    may be the directory of an embedded online store: its rows are then these rows, so that a
    commit is seen by readers at once and nothing has to be kept twice.

    A crash of the machine may lose the last commits or, unless :meth:`sync` came after, damage
    the files; the store then refuses to open, and what it held is made again from the log.
    """

    def __init__(self, path: str | os.PathLike[str], *, map_size: int = 1 << 30) -> None:
        self.path = Path(path)
        self._environment: Environment | None = environments.acquire(path, map_size, False)

    def space(self, name: bytes) -> Space:
        """The space of a name, 1 to :data:`MAX_NAME_BYTES` bytes; no name may begin another."""
        assert 1 <= len(name) <= MAX_NAME_BYTES
        return Space(self, RESERVED + name)

    def rows(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows of keys in their order, None where there is none."""
        ordered = sorted(keys)  # in the order of the tree, each page is visited once
        values = self.opened().read(lambda transaction: list(map(transaction.get, ordered)))
        by_key = dict(zip(ordered, values, strict=True))
        return [by_key[k] for k in keys]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs whose key starts with ``prefix``, in the order of keys."""
        after: bytes | None = None
        size = _FIRST_BYTES
        while items := self.opened().read(partial(_part, prefix=prefix, after=after, size=size)):
            yield from items
            after, size = items[-1][0], min(4 * size, _SCAN_BYTES)

    def at_once(
        self,
        keys: Sequence[bytes],
        prefix: bytes,
        take: Callable[[list[tuple[bytes, bytes]]], None],
    ) -> list[bytes | None]:
        """What is there in one moment: the values of keys; ``take`` is given pairs in portions.

        They are those whose key starts with ``prefix``, in the order of keys. Other processes
        write on meanwhile; this one waits.
        """

        def action(transaction: Transaction) -> list[bytes | None]:
            after: bytes | None = None
            while items := _part(transaction, prefix=prefix, after=after, size=_SCAN_BYTES):
                take(items)
                after = items[-1][0]
            return list(map(transaction.get, keys))

        return self.opened().read(action)

    def sync(self) -> None:
        """Return once everything committed so far survives a crash of the machine."""
        self.opened().sync()

    def close(self) -> None:
        """Sync and close the files; a second call does nothing."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environments.release(environment)

    def opened(self) -> Environment:
        """The environment. Raises StoreError once closed."""
        if self._environment is None:
            raise StoreError(f"the state {self.path} is closed")
        return self._environment


class Space:
    """The part of a state that has one owner at a time.

    Whoever works on it claims it first and gets an *epoch*. Each commit names its epoch and is
    refused once somebody claimed the space after: a worker that was paused and wakes up changes
    nothing. A commit is atomic: killed at any moment, all of it or nothing is there.
    """

    def __init__(self, state: StateStore, prefix: bytes) -> None:
        self._state, self._prefix = state, prefix

    def claim(self) -> int:
        """Own the space from now on; the epoch to commit with."""
        epoch = 0
        key = self._prefix + _EPOCH

        def action(transaction: Transaction) -> int:
            nonlocal epoch
            epoch = int.from_bytes(transaction.get(key) or b"", "big") + 1
            transaction.put(key, epoch.to_bytes(8, "big"))
            return 1

        self._state.opened().write(action)
        return epoch

    def key(self, key: bytes) -> bytes:
        """Where a key of the space stands in the state."""
        return self._prefix + key

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys in their order, None where there is none."""
        return self._state.rows([self._prefix + k for k in keys])

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of the space whose key starts with ``prefix``, in the order of keys."""
        size = len(self._prefix)
        for key, value in self._state.scan(self._prefix + prefix):
            yield key[size:], value

    def commit(
        self,
        puts: Sequence[tuple[bytes, bytes]] = (),
        *,
        epoch: int,
        rows: Sequence[tuple[bytes, bytes]] = (),
        deletes: Collection[bytes] = (),
        removed: Collection[bytes] = (),
        clear: Collection[bytes] = (),
    ) -> None:
        """Change the space and rows in one transaction.

        ``deletes`` and then ``puts`` are of the space. Rows of the keys ``removed``, and those
        whose keys start with one of ``clear``, are removed; then ``rows`` are put. Raises
        FencedError, having changed nothing, if the space was claimed after ``epoch``;
        StoreFullError when there is no space left.
        """
        items = sorted([*((self._prefix + k, v) for k, v in puts), *rows])
        gone = sorted([*(self._prefix + k for k in deletes), *removed])
        self._state.opened().write(
            partial(self._commit, items=items, gone=gone, clear=clear, epoch=epoch)
        )

    def _commit(
        self,
        transaction: Transaction,
        *,
        items: Sequence[tuple[bytes, bytes]],
        gone: Sequence[bytes],
        clear: Collection[bytes],
        epoch: int,
    ) -> int:
        held = int.from_bytes(transaction.get(self._prefix + _EPOCH) or b"", "big")
        if held != epoch:
            raise FencedError(
                f"the state {self._state.path} belongs to another worker now (epoch {held}, this "
                f"one has {epoch}); nothing was changed: stop, or claim it again"
            )
        for prefix in clear:
            _clear(transaction, prefix)
        for key in gone:
            transaction.delete(key)
        transaction.cursor().putmulti(items)
        return 1


def _clear(transaction: Transaction, prefix: bytes) -> None:
    cursor = transaction.cursor()
    is_there = cursor.set_range(prefix)
    while is_there and cursor.key().startswith(prefix):
        is_there = cursor.delete()


def _part(
    transaction: Transaction, *, prefix: bytes, after: bytes | None, size: int
) -> list[tuple[bytes, bytes]]:
    """The next items in key order; empty at the end."""
    cursor = transaction.cursor()
    is_there = cursor.set_range(prefix if after is None else after + b"\0")
    items: list[tuple[bytes, bytes]] = []
    while is_there and size > 0 and cursor.key().startswith(prefix):
        items.append(cursor.item())
        size -= len(items[-1][0]) + len(items[-1][1])
        is_there = cursor.next()
    return items
