"""Which way rows are published, by what the online store can do."""

from __future__ import annotations

from collections.abc import Mapping

from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.online.base import OnlineStore
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.publish.lasting import Lasting
from noskew.streaming.publish.publisher import Embedded, Publishing, Remote


def publishing(
    online: OnlineStore, state: StateStore, generations: Mapping[bytes, StreamGeneration]
) -> Publishing:
    """What takes rows to ``online`` from the state that is kept for it.

    ``generations``: that of each view's rows, by their prefix.
    """
    if online.embedded_at is not None:
        return Embedded(online)
    return (Remote if online.may_lose_writes else Lasting)(online, state, generations)
