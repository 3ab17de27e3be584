"""Rows in Redis, one server or a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from noskew.stores.closed import closed
from noskew.stores.online.base import OnlineStore, lists
from noskew.stores.online.limits import check_keys, check_rows, greatest_by_key
from noskew.stores.online.redis.address import parse_address
from noskew.stores.online.redis.cluster import ClusterRedis
from noskew.stores.online.redis.server import RedisServer
from noskew.stores.online.redis.single import SingleRedis

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_TIMEOUT_S = 2.0


class RedisStore(OnlineStore):
    """An online store in Redis 5 or later; keys and rows are stored as they are given.

    A read is one command (in a cluster, one for each key, sent to all nodes at once); a write is
    a script that compares versions inside the server. How durable a write is, is set in the
    server (appendonly, appendfsync), so ``sync`` does nothing. The asynchronous read shares one
    connection in each event loop; everything else uses a pool of connections. A forked child
    opens its own.

    When a node of a cluster does not answer in time, requests that need it fail at once for as
    long again, unless another node took its place; then one of them tries it.

    Parameters
    ----------
    url : ``redis[s]://[[user]:password@]host[:port][/database]``, or with ``redis[s]+cluster``
        the address of any node of a cluster. ``rediss`` is TLS, checked against the system's
        authorities.
    cluster : the address names a node of a cluster, whatever its scheme says.
    timeout_s : how long to wait for a connection, and for each answer.

    Raises StoreUnavailableError if the server cannot be reached, and StoreConfigError if it may
    evict rows, is of the other kind, or refuses the user.
    """

    def __init__(
        self, url: str, *, cluster: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        address, is_cluster = parse_address(url, timeout_s)
        self._name = str(address)
        self._server: RedisServer | None
        self._server = ClusterRedis(address) if cluster or is_cluster else SingleRedis(address)

    @property
    def is_remote(self) -> bool:
        return True

    @property
    def may_lose_writes(self) -> bool:
        return True  # a primary answers before its replicas have the row

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        return self._opened().read(keys)

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        return await self._opened().read_async(keys)

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        check_rows(keys, rows)
        greatest = greatest_by_key(keys, rows)
        return self._opened().write(list(greatest), list(greatest.values()))

    def load(self, batches: Iterable[pa.RecordBatch]) -> int:
        """As the contract says. Rows are sent while the next ones are made."""
        with ThreadPoolExecutor(1, thread_name_prefix="noskew-redis") as sender:
            changed = 0
            under_way: Future[int] | None = None
            for keys, rows in lists(batches):
                if under_way is not None:
                    changed += under_way.result()
                under_way = sender.submit(self.write, keys, rows)
            return changed + (under_way.result() if under_way is not None else 0)

    def delete(self, keys: Sequence[bytes]) -> int:
        check_keys(keys)
        return self._opened().delete(keys)

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As the contract says; remembers every key it gave, to give none twice."""
        yield from self._opened().scan(prefix)

    def ping(self) -> None:
        self._opened().ping()

    def generation(self) -> bytes:
        """The servers that hold the rows now, each with the identity of its run."""
        return self._opened().generation()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _opened(self) -> RedisServer:
        if self._server is None:
            raise closed(f"the store in {self._name}")
        return self._server
