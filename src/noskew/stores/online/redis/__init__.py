"""Rows in Redis, one server or a cluster."""

from __future__ import annotations

from noskew.stores.online.redis.opening import open_address
from noskew.stores.online.redis.store import DEFAULT_TIMEOUT_S, RedisStore

__all__ = ["DEFAULT_TIMEOUT_S", "RedisStore", "open_address"]
