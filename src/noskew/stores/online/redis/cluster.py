"""A Redis Cluster: every key lives in one of 16,384 slots, and every slot on one primary.

A command may only name keys of one slot, and a batch rarely has two keys in a slot, so each key
is a command of its own and the commands for a node are sent together. A script declared with
``allow-cross-slot-keys`` could take a node's keys in one call, but only as arguments that the
server cannot route: while a slot moves to another node such a call fails as a whole and cannot be
redirected, and several managed services refuse it. Commands of one key are redirected one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import cast

from noskew.errors import StoreUnavailableError
from noskew.stores.online.limits import check_stored
from noskew.stores.online.redis.address import Address, pack
from noskew.stores.online.redis.connections import Connection, Pool
from noskew.stores.online.redis.conversations import (
    Answers,
    Conversations,
    carry,
    carry_async,
)
from noskew.stores.online.redis.faults import LateAnswerError, raise_errors
from noskew.stores.online.redis.layout import ASK_SLOTS, Layout
from noskew.stores.online.redis.links import AsyncNode, Replies
from noskew.stores.online.redis.routing import NOBODY, Endpoint, Part
from noskew.stores.online.redis.script import batches, pack_each
from noskew.stores.online.redis.server import ASK_RUN, check_server, run_of, scan_keys

_MAX_SCANS = 5
#: Keys of one request to the nodes, which bounds what they must buffer.
_KEYS_PER_ROUND = 20_000


class ClusterRedis:
    """See :class:`noskew.stores.online.redis.server.RedisServer`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pools: dict[Endpoint, Pool] = {}
        #: For questions that wait a part of the time-out only.
        self._quick_pools: dict[Endpoint, Pool] = {}
        self._nodes: dict[Endpoint, AsyncNode] = {}
        self._cluster = Conversations(address)
        seed = self._pool(self._cluster.seed)
        try:
            check_server(seed, cluster=True)
            layout = Layout(seed.call(ASK_SLOTS)[0], self._cluster.seed)
            self._cluster.begin(layout)
            for endpoint in layout.primaries:
                check_server(self._pool(endpoint), cluster=True)
        except BaseException:
            self.close()
            raise

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        parts = _parts(keys)
        return self._rows([r for part in parts for r in self._run(part, _pack_gets(part))])

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        replies: list[object] = []
        for part in _parts(keys):
            reading = self._cluster.run(part, _pack_gets(part))
            replies += await carry_async(reading, self._exchange_async)
        return self._rows(replies)

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        changed = 0
        for part, values in batches(keys, rows, most=_KEYS_PER_ROUND):
            replies = self._run(part, pack_each(part, values))
            raise_errors(replies, self._address)
            changed += sum(cast(list[int], replies))
        return changed

    def delete(self, keys: Sequence[bytes]) -> int:
        deleted = 0
        for part in _parts(keys):
            replies = self._run(part, [pack(b"DEL", key) for key in part])
            raise_errors(replies, self._address)
            deleted += sum(cast(list[int], replies))
        return deleted

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every primary in turn, and all of them again if slots moved meanwhile."""
        seen: set[bytes] = set()
        for _ in range(_MAX_SCANS):
            carry(self._cluster.refresh(), self._exchange)
            before = self._layout()
            for endpoint in before:
                for keys in scan_keys(self._pool(endpoint), prefix, seen):
                    for key, row in zip(keys, self.read(keys), strict=True):
                        if row is not None:
                            yield key, row
            if before == self._layout() and not any("[" in slots for slots in before.values()):
                return
        raise StoreUnavailableError(
            f"slots of the cluster of {self._address} kept moving during {_MAX_SCANS} scans; "
            f"scan again when it has been resharded"
        )

    def ping(self) -> None:
        carry(self._cluster.refresh(), self._exchange)
        if NOBODY in self._cluster.owners:
            raise StoreUnavailableError(
                f"the cluster of {self._address} has slots that no node serves; repair it"
            )
        for endpoint in self._cluster.primaries:
            self._call(endpoint, pack(b"PING"))

    def generation(self) -> bytes:
        carry(self._cluster.refresh(), self._exchange)
        runs = [run_of(self._call(endpoint, ASK_RUN)) for endpoint in self._cluster.primaries]
        return b" ".join(runs)

    def close(self) -> None:
        for pool in (*self._pools.values(), *self._quick_pools.values()):
            pool.drop_idle()
        for node in self._nodes.values():
            node.close()

    def _run(self, keys: Sequence[bytes], commands: list[bytes]) -> list[object]:
        """The reply to the command of each key, redirected as often as needed."""
        return carry(self._cluster.run(keys, commands), self._exchange)

    def _call(self, endpoint: Endpoint, command: bytes) -> list[object]:
        """The reply of one node, in a list. Raises StoreUnavailableError without one."""
        return carry(self._cluster.call(endpoint, command), self._exchange)

    def _exchange(self, parts: list[Part]) -> Answers:
        """The replies to each part; all are sent before any reply is awaited."""
        pools = [self._pool(part.endpoint, part.within_s) for part in parts]
        if len(parts) == 1:
            return [pools[0].attempt(parts[0].commands, parts[0].count)]
        connections: list[Connection] = []
        try:
            for pool, part in zip(pools, parts, strict=True):
                connections.append(pool.take())
                connections[-1].send(part.commands)
            answers = [
                connection.receive(part.count)
                for connection, part in zip(connections, parts, strict=True)
            ]
        except BaseException:
            # Which one failed does not matter: replies are outstanding on the others too, and
            # what is idle is as old as what was lost.
            for connection in connections:
                connection.close()
            for pool in pools:
                pool.drop_idle()
            raise
        for pool, connection in zip(pools, connections, strict=True):
            pool.give_back(connection)
        return answers

    async def _exchange_async(self, parts: list[Part]) -> Answers:
        """As ``_exchange``."""
        if len(parts) == 1:
            return [await self._ask(parts[0])]
        return await asyncio.gather(*map(self._ask, parts))

    def _ask(self, part: Part) -> Coroutine[None, None, Replies]:
        node = self._node(part.endpoint)
        asking = node.attempt(part.commands, part.count)
        return asking if part.within_s is None else _within(asking, part.within_s, node.address)

    def _rows(self, replies: list[object]) -> list[bytes | None]:
        raise_errors(replies, self._address)
        rows = cast("list[bytes | None]", replies)
        check_stored(rows, str(self._address))
        return rows

    def _layout(self) -> dict[Endpoint, str]:
        """What each primary says of its own slots; one on the move is in brackets."""
        layout = {}
        for endpoint in self._cluster.primaries:
            text = cast(bytes, self._call(endpoint, pack(b"CLUSTER", b"NODES"))[0]).decode()
            own = next(line for line in text.splitlines() if "myself" in line.split()[2])
            layout[endpoint] = " ".join(own.split()[8:])
        return layout

    def _pool(self, endpoint: Endpoint, within_s: float | None = None) -> Pool:
        if within_s is not None and within_s != self._address.timeout_s:
            return self._quick_pool(endpoint, within_s)
        pool = self._pools.get(endpoint)
        return pool or self._pools.setdefault(endpoint, Pool(self._address.at(*endpoint)))

    def _quick_pool(self, endpoint: Endpoint, within_s: float) -> Pool:
        pool = self._quick_pools.get(endpoint)
        address = replace(self._address.at(*endpoint), timeout_s=within_s)
        return pool or self._quick_pools.setdefault(endpoint, Pool(address))

    def _node(self, endpoint: Endpoint) -> AsyncNode:
        node = self._nodes.get(endpoint)
        return node or self._nodes.setdefault(endpoint, AsyncNode(self._address.at(*endpoint)))


async def _within(
    asking: Coroutine[None, None, Replies], within_s: float, address: Address
) -> Replies:
    """Raises LateAnswerError if the replies are not there in so many seconds."""
    try:
        async with asyncio.timeout(within_s):
            return await asking
    except TimeoutError as error:
        raise LateAnswerError(address) from error


def _pack_gets(keys: Sequence[bytes]) -> list[bytes]:
    return [b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys]


def _parts(values: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [values[at : at + _KEYS_PER_ROUND] for at in range(0, len(values), _KEYS_PER_ROUND)]
