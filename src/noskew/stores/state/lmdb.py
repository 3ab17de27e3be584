"""StateStore: what a stream processor knows, changed by one atomic transaction a batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from noskew.errors import FencedError, StoreError
from noskew.stores.online import _lmdb_environment as environments
from noskew.stores.online._lmdb_environment import Environment, Transaction

_EPOCH = b"\x00epoch"
#: Bytes of items that a scan holds at once.
_SCAN_BYTES = 1 << 20


class StateStore:
    """Keys and values of one owner, in LMDB files in the directory ``path``.

    Whoever works on the state claims it first and gets an *epoch*. Each commit names its epoch
    and is refused once somebody claimed the state after: a worker that was paused and wakes up
    changes nothing. A commit is atomic: killed at any moment, all of it or nothing is there.

    A crash of the machine may lose the last commits or, unless :meth:`sync` came after, damage
    the files; the store then refuses to open, and what it held is made again from the log.
    """

    def __init__(self, path: str | os.PathLike[str], *, map_size: int = 1 << 30) -> None:
        self.path = Path(path)
        self._environment: Environment | None = environments.acquire(path, map_size, False)

    def claim(self) -> int:
        """Own the state from now on; the epoch to commit with."""
        made = 0

        def action(transaction: Transaction) -> int:
            nonlocal made
            made = int.from_bytes(transaction.get(_EPOCH) or b"", "big") + 1
            transaction.put(_EPOCH, made.to_bytes(8, "big"))
            return 1

        self._opened().write(action)
        return made

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys in their order, None where there is none."""
        ordered = sorted(keys)  # in the order of the tree, each page is visited once
        found = self._opened().read(lambda transaction: list(map(transaction.get, ordered)))
        held = dict(zip(ordered, found, strict=True))
        return [held[k] for k in keys]

    def commit(
        self,
        puts: Sequence[tuple[bytes, bytes]],
        *,
        epoch: int,
        deletes: Sequence[bytes] = (),
    ) -> None:
        """Delete, then put, in one transaction.

        Raises FencedError, having changed nothing, if the state was claimed after ``epoch``;
        StoreFullError when there is no space left.
        """
        ordered = sorted(puts)
        self._opened().write(
            partial(_commit, puts=ordered, deletes=sorted(deletes), epoch=epoch, path=self.path)
        )

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs whose key starts with ``prefix``, in the order of keys."""
        after: bytes | None = None
        while items := self._opened().read(partial(_part, prefix=prefix, after=after)):
            yield from items
            after = items[-1][0]

    def sync(self) -> None:
        """Return once everything committed so far survives a crash of the machine."""
        self._opened().sync()

    def close(self) -> None:
        """Sync and close the files; a second call does nothing."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environments.release(environment)

    def _opened(self) -> Environment:
        if self._environment is None:
            raise StoreError(f"the state {self.path} is closed")
        return self._environment


def _commit(
    transaction: Transaction,
    *,
    puts: Sequence[tuple[bytes, bytes]],
    deletes: Sequence[bytes],
    epoch: int,
    path: Path,
) -> int:
    held = int.from_bytes(transaction.get(_EPOCH) or b"", "big")
    if held != epoch:
        raise FencedError(
            f"the state {path} belongs to another worker now (epoch {held}, this one has "
            f"{epoch}); nothing was changed: stop, or claim it again"
        )
    for key in deletes:
        transaction.delete(key)
    transaction.cursor().putmulti(puts)
    return len(puts) + len(deletes)


def _part(
    transaction: Transaction, *, prefix: bytes, after: bytes | None
) -> list[tuple[bytes, bytes]]:
    """The next items in key order; empty at the end."""
    cursor = transaction.cursor()
    found = cursor.set_range(prefix if after is None else after + b"\0")
    items: list[tuple[bytes, bytes]] = []
    size = 0
    while found and size < _SCAN_BYTES and cursor.key().startswith(prefix):
        items.append(cursor.item())
        size += len(items[-1][0]) + len(items[-1][1])
        found = cursor.next()
    return items
