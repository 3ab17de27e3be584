"""The Redis store at an address."""

from __future__ import annotations

from noskew.stores.online.address import StoreAddress
from noskew.stores.online.redis.store import DEFAULT_TIMEOUT_S, RedisStore


def open_address(address: StoreAddress) -> RedisStore:
    """The store at ``redis://host:port/0``; see :func:`noskew.stores.online.open_store`."""
    timeout_s = address.only("timeout_s").seconds("timeout_s", DEFAULT_TIMEOUT_S)
    return RedisStore(address.url, timeout_s=timeout_s)
