"""A Redis Cluster: every key lives in one of 16,384 slots, and every slot on one primary.

A command may only name keys of one slot, and a batch rarely has two keys in a slot, so each key
is a command of its own and the commands for a node are sent together. A script declared with
``allow-cross-slot-keys`` could take a node's keys in one call, but only as arguments that the
server cannot route: while a slot moves to another node such a call fails as a whole and cannot be
redirected, and several managed services refuse it. Commands of one key are redirected one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import cast

from noskew.errors import StoreUnavailableError
from noskew.stores.online._limits import check_stored
from noskew.stores.online._redis_address import Address, pack, raise_errors, unreachable
from noskew.stores.online._redis_async import AsyncNode
from noskew.stores.online._redis_routing import NOBODY, Endpoint, Job, Part, owners_of_slots
from noskew.stores.online._redis_script import LOAD_ONE, batches, pack_each
from noskew.stores.online._redis_server import check_server, run_of, scan_keys
from noskew.stores.online._redis_sync import Connection, ConnectionLostError, Pool

#: Redirections and reloads of one request: one of each, and room for a cluster that is moving.
_MAX_ROUNDS = 8
_MAX_SCANS = 5
#: Keys of one request to the nodes, which bounds what they must buffer.
_KEYS_PER_ROUND = 20_000
_ASK_SLOTS = pack(b"CLUSTER", b"SLOTS")
_ASK_LAYOUT = pack(b"CLUSTER", b"INFO") + _ASK_SLOTS


class ClusterRedis:
    """See :class:`noskew.stores.online._redis_server.RedisServer`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pools: dict[Endpoint, Pool] = {}
        self._nodes: dict[Endpoint, AsyncNode] = {}
        #: The primary of each slot; replaced as a whole, so that a reader needs no lock.
        self._owners: list[Endpoint] = []
        self._silent: set[Endpoint] = set()
        seed = self._pool((address.host, address.port))
        try:
            check_server(seed, cluster=True)
            self._owners = owners_of_slots(seed.call(_ASK_SLOTS)[0], (address.host, address.port))
            for endpoint in set(self._owners) - {NOBODY}:
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
            replies += await self._run_async(part, _pack_gets(part))
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
            self._refresh()
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
        self._refresh()
        if NOBODY in self._owners:
            raise StoreUnavailableError(
                f"the cluster of {self._address} has slots that no node serves; repair it"
            )
        for endpoint in set(self._owners):
            self._pool(endpoint).call(pack(b"PING"))

    def generation(self) -> bytes:
        self._refresh()
        servers = sorted(set(self._owners) - {NOBODY})
        return b" ".join(run_of(self._pool(endpoint)) for endpoint in servers)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.drop_idle()
        for node in self._nodes.values():
            node.close()

    def _run(self, keys: Sequence[bytes], commands: list[bytes]) -> list[object]:
        """The reply to the command of each key, redirected as often as needed."""
        job = Job(keys, commands)
        for _ in range(_MAX_ROUNDS):
            parts = job.parts(self._owners)
            if not parts:
                return job.replies
            try:
                job.absorb(parts, self._exchange(parts))
                for endpoint in job.take_unloaded():
                    self._pool(endpoint).call(LOAD_ONE)
            except ConnectionLostError as error:
                job.lost(error, self._address)
            except StoreUnavailableError:
                # The time of this call is over; the next one asks whoever has the slots by then.
                with suppress(StoreUnavailableError):
                    self._refresh()
                raise
            if job.misrouted:
                self._refresh()
                job.correct(self._owners)
        raise self._unsettled()

    async def _run_async(self, keys: Sequence[bytes], commands: list[bytes]) -> list[object]:
        """As ``_run``, for commands that are no script."""
        job = Job(keys, commands)
        for _ in range(_MAX_ROUNDS):
            parts = job.parts(self._owners)
            if not parts:
                return job.replies
            try:
                asked = [self._node(p.endpoint).attempt(p.commands, p.count) for p in parts]
                answers = await asyncio.gather(*asked) if len(asked) > 1 else [await asked[0]]
                job.absorb(parts, answers)
            except ConnectionLostError as error:
                job.lost(error, self._address)
            except StoreUnavailableError:
                with suppress(StoreUnavailableError):
                    await self._refresh_async()
                raise
            if job.misrouted:
                await self._refresh_async()
                job.correct(self._owners)
        raise self._unsettled()

    def _exchange(self, parts: list[Part]) -> list[list[object]]:
        """The replies to each part; all are sent before any reply is awaited."""
        pools = [self._pool(part.endpoint) for part in parts]
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

    def _rows(self, replies: list[object]) -> list[bytes | None]:
        raise_errors(replies, self._address)
        rows = cast("list[bytes | None]", replies)
        check_stored(rows, str(self._address))
        return rows

    def _refresh(self) -> None:
        """Learn from the nodes that answer which node has which slot."""
        learned = _Learned()
        for endpoint in self._known():
            try:
                replies = self._pool(endpoint).attempt(_ASK_LAYOUT, 2)
                raise_errors(replies, self._address)
            except (ConnectionLostError, StoreUnavailableError) as error:
                learned.failure = error
                self._silent.add(endpoint)
            else:
                self._silent.discard(endpoint)
                if learned.is_enough(replies, endpoint):
                    break
        self._owners = learned.owners(self._address)

    async def _refresh_async(self) -> None:
        learned = _Learned()
        for endpoint in self._known():
            try:
                replies = await self._node(endpoint).attempt(_ASK_LAYOUT, 2)
                raise_errors(replies, self._address)
            except (ConnectionLostError, StoreUnavailableError) as error:
                learned.failure = error
                self._silent.add(endpoint)
            else:
                self._silent.discard(endpoint)
                if learned.is_enough(replies, endpoint):
                    break
        self._owners = learned.owners(self._address)

    def _layout(self) -> dict[Endpoint, str]:
        """What each primary says of its own slots; one on the move is in brackets."""
        layout = {}
        for endpoint in sorted(set(self._owners) - {NOBODY}):
            text = cast(bytes, self._pool(endpoint).call(pack(b"CLUSTER", b"NODES"))[0]).decode()
            own = next(line for line in text.splitlines() if "myself" in line.split()[2])
            layout[endpoint] = " ".join(own.split()[8:])
        return layout

    def _known(self) -> list[Endpoint]:
        """All nodes that were heard of; those that did not answer the last time come last."""
        known = dict.fromkeys([*self._owners, (self._address.host, self._address.port)])
        return sorted(known, key=self._silent.__contains__)

    def _pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        return pool or self._pools.setdefault(endpoint, Pool(self._address.at(*endpoint)))

    def _node(self, endpoint: Endpoint) -> AsyncNode:
        node = self._nodes.get(endpoint)
        return node or self._nodes.setdefault(endpoint, AsyncNode(self._address.at(*endpoint)))

    def _unsettled(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"the cluster of {self._address} redirected a request {_MAX_ROUNDS} times; "
            f"it is being changed: try again"
        )


class _Learned:
    """What nodes say of the layout. One that is cut off from the others knows it from before."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._owners: list[Endpoint] | None = None

    def is_enough(self, replies: list[object], asked: Endpoint) -> bool:
        """Take what a node says; whether nobody else need be asked."""
        is_whole = b"cluster_state:ok" in cast(bytes, replies[0])
        if is_whole or self._owners is None:
            self._owners = owners_of_slots(replies[1], asked)
        return is_whole

    def owners(self, address: Address) -> list[Endpoint]:
        """The primary of each slot. Raises StoreUnavailableError if no node answered."""
        if self._owners is None:
            raise unreachable(f"every known node of the cluster of {address}", self.failure)
        return self._owners


def _pack_gets(keys: Sequence[bytes]) -> list[bytes]:
    return [b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys]


def _parts(values: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [values[at : at + _KEYS_PER_ROUND] for at in range(0, len(values), _KEYS_PER_ROUND)]
