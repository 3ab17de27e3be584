"""One Redis server that holds every key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import hiredis

from noskew.stores.online.limits import check_stored
from noskew.stores.online.redis.address import Address, pack
from noskew.stores.online.redis.connections import Pool
from noskew.stores.online.redis.faults import raise_errors
from noskew.stores.online.redis.links import AsyncNode
from noskew.stores.online.redis.script import LOAD_MANY, batches, pack_batch, pack_new
from noskew.stores.online.redis.server import ASK_RUN, check_server, run_of, scan_keys

#: Keys of one command: Redis serves nobody else meanwhile, for about 1 ms.
_KEYS_PER_COMMAND = 5_000
#: Writes sent at once: enough to keep the server busy, few enough for its buffers.
_COMMANDS_PER_EXCHANGE = 16
#: A sample of the keys is looked up, from so many keys on, to guess whether they are all new.
_LEAST_NEW, _SAMPLE = 256, 16

Part = tuple[Sequence[bytes], Sequence[bytes]]


class SingleRedis:
    """See :class:`noskew.stores.online.redis.server.RedisServer`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool = Pool(address)
        self._node = AsyncNode(address)
        try:
            check_server(self._pool, cluster=False)
        except BaseException:
            self.close()
            raise

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        return self._rows(self._pool.exchange(*_pack_reads(keys)))

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        return self._rows(await self._node.exchange(*_pack_reads(keys)))

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        parts: list[Part] = list(batches(keys, rows))
        added = 0
        if self._seem_new(keys):
            # As in a first load. A command of its own costs the server half of what a script does.
            parts, added = self._add(parts)
        return added + sum(
            self._run([pack_batch(*part) for part in parts[at : at + _COMMANDS_PER_EXCHANGE]])
            for at in range(0, len(parts), _COMMANDS_PER_EXCHANGE)
        )

    def delete(self, keys: Sequence[bytes]) -> int:
        parts = (keys[at : at + _KEYS_PER_COMMAND] for at in range(0, len(keys), _KEYS_PER_COMMAND))
        return sum(cast(int, self._pool.call(pack(b"DEL", *part))[0]) for part in parts)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for keys in scan_keys(self._pool, prefix, set()):
            for key, row in zip(keys, self.read(keys), strict=True):
                if row is not None:
                    yield key, row

    def ping(self) -> None:
        self._pool.call(pack(b"PING"))

    def generation(self) -> bytes:
        return run_of(self._pool.call(ASK_RUN))

    def close(self) -> None:
        self._pool.drop_idle()
        self._node.close()

    def _seem_new(self, keys: Sequence[bytes]) -> bool:
        """Whether a batch is worth the question, and none of a sample of its keys is there."""
        if len(keys) < _LEAST_NEW:
            return False
        sample = keys[:: len(keys) // _SAMPLE]
        return self._pool.exchange(pack(b"EXISTS", *sample), 1) == [0]

    def _add(self, parts: list[Part]) -> tuple[list[Part], int]:
        """Write the parts of new keys alone; returns the other parts, and how many rows it wrote.

        A part that the server refuses is among the others: the script then says why.
        """
        others: list[Part] = []
        added = 0
        for at in range(0, len(parts), _COMMANDS_PER_EXCHANGE):
            some = parts[at : at + _COMMANDS_PER_EXCHANGE]
            packed = b"".join([pack_new(*part) for part in some])
            for part, reply in zip(some, self._pool.exchange(packed, len(some)), strict=True):
                if reply == 1:
                    added += len(part[0])
                else:
                    others.append(part)
        return others, added

    def _run(self, scripts: list[bytes]) -> int:
        """Run scripts, and again those of them that the server did not know yet."""
        replies = self._pool.exchange(b"".join(scripts), len(scripts))
        unknown = [
            script
            for script, reply in zip(scripts, replies, strict=True)
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
        ]
        if unknown:
            # A server that was restarted or flushed has forgotten it.
            again = self._pool.call(LOAD_MANY, *unknown)
            replies = [r for r in replies if not isinstance(r, hiredis.ReplyError)] + again[1:]
        raise_errors(replies, self._address)
        return sum(cast(list[int], replies))

    def _rows(self, replies: list[object]) -> list[bytes | None]:
        raise_errors(replies, self._address)
        rows: list[bytes | None] = []
        for reply in replies:
            if isinstance(reply, list):
                rows += reply
            else:
                rows.append(cast("bytes | None", reply))
        check_stored(rows, str(self._address))
        return rows


def _pack_reads(keys: Sequence[bytes]) -> tuple[bytes, int]:
    """The packed commands that read ``keys``, and how many they are."""
    if len(keys) == 1:
        # Unlike MGET, GET says when the key holds something that is not a row.
        return pack(b"GET", keys[0]), 1
    starts = range(0, len(keys), _KEYS_PER_COMMAND)
    packed = [pack(b"MGET", *keys[at : at + _KEYS_PER_COMMAND]) for at in starts]
    return b"".join(packed), len(packed)
