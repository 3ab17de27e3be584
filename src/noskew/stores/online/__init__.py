"""Online stores: for each key, the row of the greatest version.

The contract is :mod:`noskew.stores.online.base`. Each backend is a module that is imported
when an address of its scheme is opened, so that one never needs the libraries of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from noskew.errors import ConfigError, nearest

if TYPE_CHECKING:
    from noskew.stores.online.base import OnlineStore

__all__ = ["open_store"]


def open_store(url: str) -> OnlineStore:
    """The online store at an address.

    | address | store | options after ``?`` |
    |---|---|---|
    | ``memory://`` | a new, empty dict | |
    | ``lmdb:///path/to/directory`` | LMDB files | ``readonly=true``, ``map_size=<bytes>`` |
    | ``redis://[user:password@]host:port/0`` | one Redis | ``timeout_s=<seconds>`` |
    | ``redis+cluster://[user:password@]host:port`` | a Redis Cluster | ``timeout_s=<seconds>`` |

    ``rediss`` in place of ``redis`` uses TLS.

    Raises ConfigError for an address of another form, MissingExtraError when the library of the
    backend is not installed, and what the store raises on opening.
    """
    parts = urlsplit(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        raise ConfigError(
            f"the online store has an address of scheme {parts.scheme!r}, expected for example "
            f"'lmdb:///var/lib/noskew/online' or 'redis://localhost:6379/0'; "
            f"{nearest(parts.scheme, _OPENERS)}"
        )
    return opener(parts, _options(parts))


def _memory(parts: SplitResult, options: dict[str, str]) -> OnlineStore:
    from noskew.stores.online.memory import MemoryStore

    _refuse_others(options, ())
    if parts.netloc or parts.path:
        raise ConfigError("a memory store has no name: its address is 'memory://'")
    return MemoryStore()


def _lmdb(parts: SplitResult, options: dict[str, str]) -> OnlineStore:
    from noskew.stores.online.lmdb import DEFAULT_MAP_SIZE, LmdbStore

    _refuse_others(options, ("readonly", "map_size"))
    path = unquote(parts.netloc + parts.path)
    if not path:
        raise ConfigError("an LMDB address names a directory: 'lmdb:///path/to/directory'")
    readonly = options.get("readonly", "false")
    if readonly not in ("true", "false"):
        raise ConfigError(f"readonly is 'true' or 'false', got {readonly!r}")
    map_size = options.get("map_size", str(DEFAULT_MAP_SIZE))
    if not map_size.isdecimal():
        raise ConfigError(f"map_size is a number of bytes, got {map_size!r}")
    return LmdbStore(path, map_size=int(map_size), readonly=readonly == "true")


def _redis(parts: SplitResult, options: dict[str, str]) -> OnlineStore:
    from noskew.stores.online.redis import DEFAULT_TIMEOUT_S, RedisStore

    _refuse_others(options, ("timeout_s",))
    text = options.get("timeout_s", str(DEFAULT_TIMEOUT_S))
    try:
        timeout_s = float(text)
    except ValueError as error:
        raise ConfigError(f"timeout_s is a number of seconds, got {text!r}") from error
    return RedisStore(parts._replace(query="").geturl(), timeout_s=timeout_s)


_OPENERS = {
    "memory": _memory,
    "lmdb": _lmdb,
    "redis": _redis,
    "rediss": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
}


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs):
        raise ConfigError(f"the address repeats an option: {parts.query!r}")
    return options


def _refuse_others(options: dict[str, str], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(f"the address has an option {name!r}; {nearest(name, known)}")
