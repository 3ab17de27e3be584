"""What both kinds of Redis share: commands, their replies, and the check on opening."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from typing import Protocol, cast

import hiredis

from noskew.errors import StoreConfigError
from noskew.stores.online.redis.address import Address, pack
from noskew.stores.online.redis.connections import Pool
from noskew.stores.online.redis.faults import raise_errors

#: Keys that a scan asks for at once.
_SCAN_COUNT = 250
ASK_RUN = pack(b"INFO", b"server")
_INFO = (pack(b"INFO", b"memory"), pack(b"INFO", b"cluster"))


class RedisServer(Protocol):
    """One Redis or a cluster of them. Arguments are valid; keys to ``write`` are distinct."""

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def read_async(self, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]: ...

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int: ...

    def delete(self, keys: Sequence[bytes]) -> int: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]: ...

    def ping(self) -> None: ...

    def generation(self) -> bytes: ...

    def close(self) -> None: ...


def scan_keys(pool: Pool, prefix: bytes, seen: set[bytes]) -> Iterator[list[bytes]]:
    """The keys of one server that start with ``prefix``, a few at a time.

    Redis may give a key again while its table grows; ``seen`` holds what was given before.
    """
    pattern = b"".join(b"\\" + bytes([c]) if c in b"*?[]^-\\" else bytes([c]) for c in prefix)
    cursor = b"0"
    while True:
        reply = pool.call(pack(b"SCAN", cursor, b"MATCH", pattern + b"*", b"COUNT", _SCAN_COUNT))
        cursor, found = cast(tuple[bytes, list[bytes]], reply[0])
        keys = [key for key in dict.fromkeys(found) if key not in seen]
        if keys:
            seen.update(keys)
            yield keys
        if cursor == b"0":
            return


def run_of(replies: list[object]) -> bytes:
    """The identity of a server's run, another one after each start, from its reply to ASK_RUN."""
    return _facts(cast(list[bytes], replies)).get("run_id", "").encode()


def check_server(pool: Pool, *, cluster: bool) -> None:
    """Raise StoreConfigError for a server that would lose rows, or is of the other kind."""
    address = pool.address
    replies = pool.exchange(b"".join(_INFO), len(_INFO))
    if any(isinstance(reply, hiredis.ReplyError) and _is_refusal(reply) for reply in replies):
        raise StoreConfigError(
            f"{address} does not let this user run INFO, so it cannot be checked that it never "
            f"evicts rows (maxmemory-policy noeviction); allow it: ACL SETUSER <user> +info"
        )
    raise_errors(replies, address)
    facts = _facts(cast(list[bytes], replies))
    _check_kind(facts, address, cluster)
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
        raise StoreConfigError(
            f"{address} has maxmemory-policy {policy!r} and maxmemory {facts['maxmemory']}, so it "
            f"may drop rows; run CONFIG SET maxmemory-policy noeviction, and set it in redis.conf "
            f"or, where the service forbids CONFIG, in its parameter group"
        )


def _check_kind(facts: dict[str, str], address: Address, cluster: bool) -> None:
    is_cluster = facts.get("cluster_enabled", "0") == "1"
    if is_cluster and not cluster:
        raise StoreConfigError(
            f"{address} is a node of a cluster; open it as redis+cluster://{address.host}:"
            f"{address.port} or with cluster=True"
        )
    if cluster and not is_cluster:
        raise StoreConfigError(
            f"{address} is not a node of a cluster; open it as redis://{address.host}:"
            f"{address.port}/0 and without cluster=True"
        )


def _is_refusal(error: hiredis.ReplyError) -> bool:
    return str(error).startswith("NOPERM") or "unknown command" in str(error)


def _facts(texts: list[bytes]) -> dict[str, str]:
    lines = b"\n".join(texts).decode("utf-8", "replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines) if value}
