"""A Redis Cluster: every key lives in one of 16,384 slots, and every slot on one primary.

A command may only name keys of one slot, and a batch rarely has two keys in a slot, so each key
is a command of its own and the commands for a node are sent together. A script declared with
``allow-cross-slot-keys`` could take a node's keys in one call, but only as arguments that the
server cannot route: while a slot moves to another node such a call fails as a whole and cannot be
redirected, and several managed services refuse it. Commands of one key are redirected one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import cast

from noskew.errors import StoreUnavailableError
from noskew.stores.online.limits import check_stored
from noskew.stores.online.redis.address import (
    Address,
    pack,
    raise_errors,
    silent,
    too_late,
    unreachable,
)
from noskew.stores.online.redis.connections import (
    Connection,
    ConnectionLostError,
    LateAnswerError,
    Pool,
)
from noskew.stores.online.redis.layout import ASK_LAYOUT, ASK_SLOTS, Layout, Survey
from noskew.stores.online.redis.links import AsyncNode
from noskew.stores.online.redis.routing import NOBODY, Endpoint, Job, Part
from noskew.stores.online.redis.script import LOAD_ONE, batches, pack_each
from noskew.stores.online.redis.server import ASK_RUN, check_server, run_of, scan_keys
from noskew.stores.online.redis.silence import Silence

#: Redirections and reloads of one request: one of each, and room for a cluster that is moving.
_MAX_ROUNDS = 8
_MAX_SCANS = 5
#: Keys of one request to the nodes, which bounds what they must buffer.
_KEYS_PER_ROUND = 20_000
#: Who asks for the layout waits so much of the time-out: most nodes answer at once or never.
_QUICK = 0.25
#: How often it is looked who took the place of a node that does not answer.
_LOOK_S = 0.1


class ClusterRedis:
    """See :class:`noskew.stores.online.redis.server.RedisServer`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._seed = (address.host, address.port)
        self._quick = replace(address, timeout_s=address.timeout_s * _QUICK)
        self._pools: dict[Endpoint, Pool] = {}
        self._quick_pools: dict[Endpoint, Pool] = {}
        self._nodes: dict[Endpoint, AsyncNode] = {}
        #: The primary of each slot; replaced as a whole, so that a reader needs no lock.
        self._owners: list[Endpoint] = []
        #: Whom to ask for the layout; who knew it the last time comes first.
        self._known: list[Endpoint] = [self._seed]
        self._silence = Silence(pause_s=address.timeout_s)
        self._looked = monotonic()
        seed = self._pool(self._seed)
        try:
            check_server(seed, cluster=True)
            layout = Layout(seed.call(ASK_SLOTS)[0], self._seed)
            self._owners, self._known = layout.owners, self._nodes_of(layout, self._seed)
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
            self._call(endpoint, pack(b"PING"))

    def generation(self) -> bytes:
        self._refresh()
        servers = sorted(set(self._owners) - {NOBODY})
        return b" ".join(run_of(self._call(endpoint, ASK_RUN)) for endpoint in servers)

    def close(self) -> None:
        for pool in (*self._pools.values(), *self._quick_pools.values()):
            pool.drop_idle()
        for node in self._nodes.values():
            node.close()

    def _run(self, keys: Sequence[bytes], commands: list[bytes]) -> list[object]:
        """The reply to the command of each key, redirected as often as needed."""
        job = Job(keys, commands)
        for _ in range(_MAX_ROUNDS):
            if self._is_to_look(job):
                self._refresh()
            parts = job.parts(self._owners)
            if not parts:
                return job.replies
            try:
                with self._waiting_for([part.endpoint for part in parts]):
                    answers = self._exchange(parts)
                job.absorb(parts, answers)
                for endpoint in job.take_unloaded():
                    self._call(endpoint, LOAD_ONE)
            except ConnectionLostError as error:
                job.lost(error, self._address)
            if job.misrouted:
                self._refresh()
                job.correct(self._owners)
        raise self._unsettled()

    async def _run_async(self, keys: Sequence[bytes], commands: list[bytes]) -> list[object]:
        """As ``_run``, for commands that are no script."""
        job = Job(keys, commands)
        for _ in range(_MAX_ROUNDS):
            if self._is_to_look(job):
                await self._refresh_async()
            parts = job.parts(self._owners)
            if not parts:
                return job.replies
            try:
                with self._waiting_for([part.endpoint for part in parts]):
                    asked = [self._node(p.endpoint).attempt(p.commands, p.count) for p in parts]
                    answers = await asyncio.gather(*asked) if len(asked) > 1 else [await asked[0]]
                job.absorb(parts, answers)
            except ConnectionLostError as error:
                job.lost(error, self._address)
            if job.misrouted:
                await self._refresh_async()
                job.correct(self._owners)
        raise self._unsettled()

    def _call(self, endpoint: Endpoint, command: bytes) -> list[object]:
        """The reply of one node, in a list. Raises StoreUnavailableError without one."""
        pool = self._pool(endpoint)
        try:
            with self._waiting_for([endpoint]):
                replies = pool.attempt(command, 1)
        except ConnectionLostError as error:
            raise unreachable(pool.address, error) from error
        raise_errors(replies, pool.address)
        return replies

    @contextmanager
    def _waiting_for(self, endpoints: Collection[Endpoint]) -> Iterator[None]:
        """Take note of which of some nodes answer.

        Raises StoreUnavailableError when one does not, and at once when it did not a moment ago.
        """
        resting = self._silence.admit(endpoints)
        if resting is not None:
            raise silent(self._address.at(*resting))
        try:
            yield
        except LateAnswerError as error:
            self._silence.begin((error.address.host, error.address.port))
            raise too_late(error.address) from error
        except ConnectionLostError:
            self._silence.end(endpoints)
            raise
        self._silence.end(endpoints)

    def _is_to_look(self, job: Job) -> bool:
        """Whether another node may have taken the place of one that is needed and silent."""
        return (
            bool(self._silence)
            and monotonic() - self._looked >= _LOOK_S
            and any(endpoint in self._silence for endpoint in job.needed(self._owners))
        )

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
        """Learn from a node that answers which node has which slot."""
        survey = self._survey()
        for endpoint, is_quick in survey.questions():
            pool = self._quick_pool(endpoint) if is_quick else self._pool(endpoint)
            try:
                replies = pool.attempt(ASK_LAYOUT, 2)
                raise_errors(replies, pool.address)
            except (ConnectionLostError, LateAnswerError, StoreUnavailableError) as error:
                survey.miss(endpoint, error)
            else:
                survey.take(endpoint, replies)
        self._learn(survey)

    async def _refresh_async(self) -> None:
        survey = self._survey()
        for endpoint, is_quick in survey.questions():
            node = self._node(endpoint)
            try:
                async with asyncio.timeout((self._quick if is_quick else self._address).timeout_s):
                    replies = await node.attempt(ASK_LAYOUT, 2)
                raise_errors(replies, node.address)
            except (
                ConnectionLostError, LateAnswerError, StoreUnavailableError, TimeoutError,
            ) as error:  # fmt: skip
                survey.miss(endpoint, error)
            else:
                survey.take(endpoint, replies)
        self._learn(survey)

    def _survey(self) -> Survey:
        self._looked = monotonic()
        return Survey(self._known, self._silence, self._address.timeout_s)

    def _learn(self, survey: Survey) -> None:
        """Raises StoreUnavailableError if no node answered."""
        self._known = survey.known()
        layout = survey.result(self._address)
        self._owners = layout.owners
        if survey.guide is not None:
            self._known = self._nodes_of(layout, survey.guide)
            self._silence.keep(layout.primaries)
        if NOBODY in layout.owners:
            # Whoever needs it is to look whether somebody serves its slots by then.
            self._silence.begin(NOBODY)

    def _nodes_of(self, layout: Layout, guide: Endpoint) -> list[Endpoint]:
        """All nodes: of the replicas one may be the last that can be asked."""
        return [*dict.fromkeys([guide, *layout.primaries, self._seed, *layout.replicas])]

    def _layout(self) -> dict[Endpoint, str]:
        """What each primary says of its own slots; one on the move is in brackets."""
        layout = {}
        for endpoint in sorted(set(self._owners) - {NOBODY}):
            text = cast(bytes, self._call(endpoint, pack(b"CLUSTER", b"NODES"))[0]).decode()
            own = next(line for line in text.splitlines() if "myself" in line.split()[2])
            layout[endpoint] = " ".join(own.split()[8:])
        return layout

    def _pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        return pool or self._pools.setdefault(endpoint, Pool(self._address.at(*endpoint)))

    def _quick_pool(self, endpoint: Endpoint) -> Pool:
        pool = self._quick_pools.get(endpoint)
        return pool or self._quick_pools.setdefault(endpoint, Pool(self._quick.at(*endpoint)))

    def _node(self, endpoint: Endpoint) -> AsyncNode:
        node = self._nodes.get(endpoint)
        return node or self._nodes.setdefault(endpoint, AsyncNode(self._address.at(*endpoint)))

    def _unsettled(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"the cluster of {self._address} redirected a request {_MAX_ROUNDS} times; "
            f"it is being changed: try again"
        )


def _pack_gets(keys: Sequence[bytes]) -> list[bytes]:
    return [b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys]


def _parts(values: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [values[at : at + _KEYS_PER_ROUND] for at in range(0, len(values), _KEYS_PER_ROUND)]
