"""Online stores: for each key, the row of the greatest version.

The contract is :mod:`noskew.stores.online.base`. Each backend is a module or a folder that is
imported when an address of its scheme is opened, so that one never needs the libraries of another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from noskew.errors import ConfigError, nearest
from noskew.plugins import Plugins
from noskew.stores.online.address import StoreAddress

if TYPE_CHECKING:
    from noskew.stores.online.base import OnlineStore

__all__ = ["open_store"]

Opener: TypeAlias = "Callable[[StoreAddress], OnlineStore]"

_REDIS = "noskew.stores.online.redis:open_address"
_OPENERS: Plugins[Opener] = Plugins(
    "noskew.online_stores",
    {
        "memory": "noskew.stores.online.memory:open_address",
        "lmdb": "noskew.stores.online.lmdb:open_address",
        "redis": _REDIS,
        "rediss": _REDIS,
        "redis+cluster": _REDIS,
        "rediss+cluster": _REDIS,
        "dynamodb": "noskew.stores.online.dynamodb:open_address",
    },
)


def open_store(url: str, *, readonly: bool = False) -> OnlineStore:
    """The online store at an address.

    | address | store | options after ``?`` |
    |---|---|---|
    | ``memory://`` | a new, empty dict | |
    | ``lmdb:///path/to/directory`` | LMDB files | ``readonly=true``, ``map_size=<bytes>`` |
    | ``redis://[user:password@]host:port/0`` | one Redis | ``timeout_s=<seconds>`` |
    | ``redis+cluster://[user:password@]host:port`` | a Redis Cluster | ``timeout_s=<seconds>`` |
    | ``dynamodb://table`` | a DynamoDB table | see below |

    ``rediss`` in place of ``redis`` uses TLS. A DynamoDB table has ``region=<name>``,
    ``endpoint=<http://host:port>`` of a server of your own, ``consistent=false`` for reads at half
    the cost that may miss the writes of the last second, and ``timeout_s=<seconds>``; credentials
    are found as by boto3.

    Any other scheme is opened by the installed distribution that has an entry point of that name
    in the group ``noskew.online_stores``: a function that takes a
    :class:`noskew.stores.online.address.StoreAddress` and gives the store.

    ``readonly``: the caller only reads. Where a store can be opened so, it is; where none was
    written yet, an empty one is there to be read.

    Raises ConfigError for an address of another form, MissingExtraError when the library of the
    backend is not installed, and what the store raises on opening.
    """
    address = StoreAddress.of(url, readonly=readonly)
    opener = _OPENERS.get(address.scheme)
    if opener is None:
        raise ConfigError(
            f"the online store has an address of scheme {address.scheme!r}, expected for example "
            f"'lmdb:///var/lib/noskew/online' or 'redis://localhost:6379/0'; "
            f"{nearest(address.scheme, _OPENERS.names())}"
        )
    return opener(address)
