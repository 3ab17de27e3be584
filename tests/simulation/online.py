"""An online store in memory that loses what it acknowledged, as a shard that fails over does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from zlib import crc32

from noskew.addresses import is_entity_key
from noskew.errors import StoreUnavailableError
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.memory import MemoryStore
from tests.simulation.calls import Calls


class OnlineServer:
    """Rows in shards. Each shard can go back to what it held before its last changes."""

    def __init__(self, shards: int) -> None:
        self.rows = MemoryStore()
        self.generation = 0
        self.is_down = False
        #: Nothing that was acknowledged is ever lost: no shard rolls back, and nobody empties it.
        self.is_lasting = False
        #: How often an entity's row may have been lost, or was removed.
        self.losses = 0
        #: What each key held before each change, the last change last.
        self._before: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(shards)]

    @property
    def shards(self) -> int:
        """How many servers share the keys."""
        return len(self._before)

    def changes(self, shard: int) -> int:
        """How many changes a shard can lose."""
        return len(self._before[shard])

    def changes_since(self, shard: int, rows: int) -> int:
        """How many there were since so many changes of entities' rows, these among them."""
        journal = self._before[shard]
        for count, (key, _) in enumerate(reversed(journal), 1):
            rows -= is_entity_key(key)
            if not rows:
                return count
        return len(journal)

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """As the contract of online stores says."""
        before = self.rows.read(keys)
        changed = self.rows.write(keys, rows)
        if changed:
            self._note(keys, before)
        return changed

    def delete(self, keys: Sequence[bytes]) -> int:
        """As the contract of online stores says."""
        before = self.rows.read(keys)
        removed = self.rows.delete(keys)
        self.losses += any(map(is_entity_key, keys))
        self._note(keys, before)
        return removed

    def roll_back(self, shard: int, changes: int) -> int:
        """A replica takes over that lacks the last changes; how many entities' rows it lacks."""
        lost = set()
        journal = self._before[shard]
        for _ in range(min(changes, len(journal))):
            key, before = journal.pop()
            self.rows.delete([key])
            if before is not None:
                self.rows.write([key], [before])
            if is_entity_key(key):
                lost.add(key)
        self.generation += 1
        self.losses += 1
        return len(lost)

    def replicate(self) -> None:
        """Replicas have everything by now: nothing that was acknowledged can be lost any more."""
        for journal in self._before:
            journal.clear()

    def empty(self) -> int:
        """Everything is removed, by the same server; how many entities' rows there were."""
        keys = [key for key, _ in self.rows.scan()]
        self.rows.delete(keys)
        self.losses += 1
        self.replicate()
        return sum(map(is_entity_key, keys))

    def _note(self, keys: Sequence[bytes], before: Sequence[bytes | None]) -> None:
        noted = dict(zip(keys, before, strict=True))
        for key, now in zip(noted, self.rows.read(list(noted)), strict=True):
            if now != noted[key]:
                self._before[crc32(key) % self.shards].append((key, noted[key]))


class SimulatedOnline(OnlineStore):
    """The online store as one process sees it."""

    def __init__(self, server: OnlineServer, random: Random, calls: Calls, who: str) -> None:
        self._server, self._random, self._calls, self._who = server, random, calls, who

    @property
    def may_lose_writes(self) -> bool:
        return not self._server.is_lasting

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._calls.around(self._who, "online.read", lambda: self._up().rows.read(keys))

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        def partly() -> bool:
            some = self._some(len(keys))
            self._up().write([keys[i] for i in some], [rows[i] for i in some])
            return 0 < len(some) < len(keys)

        return self._calls.around(
            self._who, "online.write", lambda: self._up().write(keys, rows), partly
        )

    def delete(self, keys: Sequence[bytes]) -> int:
        def partly() -> bool:
            some = self._some(len(keys))
            self._up().delete([keys[i] for i in some])
            return 0 < len(some) < len(keys)

        return self._calls.around(
            self._who, "online.delete", lambda: self._up().delete(keys), partly
        )

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self._up().rows.scan(prefix)

    def ping(self) -> None:
        self._up()

    def generation(self) -> bytes:
        return self._calls.around(
            self._who, "online.generation", lambda: b"%d" % self._up().generation
        )

    def close(self) -> None: ...

    def _up(self) -> OnlineServer:
        if self._server.is_down:
            raise StoreUnavailableError("the simulated online store is down")
        return self._server

    def _some(self, count: int) -> list[int]:
        """A part of so many items: some, and not all, where there are two."""
        if not count:
            return []
        least = min(1, count - 1)
        return sorted(self._random.sample(range(count), self._random.randint(least, count - 1)))
