"""What nodes of a Redis Cluster say of its layout: which primary has which slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TypeAlias, cast

from noskew.stores.online.redis.address import Address, pack
from noskew.stores.online.redis.faults import unreachable
from noskew.stores.online.redis.routing import NOBODY, SLOTS, Endpoint
from noskew.stores.online.redis.silence import Silence

ASK_SLOTS = pack(b"CLUSTER", b"SLOTS")
ASK_LAYOUT = pack(b"CLUSTER", b"INFO") + ASK_SLOTS

_Node: TypeAlias = list[object]


class Layout:
    """The primary of each slot, and every node that has a part of the rows."""

    def __init__(self, slots: object, asked: Endpoint) -> None:
        """From the reply of a node to CLUSTER SLOTS."""
        self.owners = [NOBODY] * SLOTS
        self.primaries: set[Endpoint] = set()
        self.replicas: set[Endpoint] = set()
        for first, last, *nodes in cast("list[tuple[int, int, *tuple[_Node, ...]]]", slots):
            primary, *replicas = [_endpoint(node, asked) for node in nodes]
            self.owners[first : last + 1] = [primary] * (last - first + 1)
            self.primaries.add(primary)
            self.replicas.update(replicas)


class Survey:
    """Questions to one node after another, until one knows the layout.

    One that is cut off from the others knows it from before, and is believed if nobody else
    answers. Nobody is waited for longer than a part of the time-out, unless all were that late.
    """

    def __init__(self, known: Sequence[Endpoint], silence: Silence, timeout_s: float) -> None:
        self.layout: Layout | None = None
        #: Who sees the whole cluster.
        self.guide: Endpoint | None = None
        self._known = known
        self._silence = silence
        self._timeout_s = timeout_s
        self._missed: dict[Endpoint, None] = {}
        self._failure: Exception | None = None

    def questions(self) -> Iterator[tuple[Endpoint, bool]]:
        """Whom to ask next, and whether to wait for a part of the time-out only.

        Each is to be followed by :meth:`take` or :meth:`miss`.
        """
        awake = [endpoint for endpoint in self._known if not self._silence.rests(endpoint)]
        awake.sort(key=self._silence.__contains__)
        for is_quick in (True, False):
            end = monotonic() + self._timeout_s
            for endpoint in awake:
                yield endpoint, is_quick
                if self.guide is not None:
                    return
                if monotonic() >= end:
                    break
            if self.layout is not None:
                return

    def take(self, asked: Endpoint, replies: list[object]) -> None:
        """What a node says to ASK_LAYOUT."""
        self._silence.end([asked])
        if b"cluster_state:ok" in cast(bytes, replies[0]):
            self.guide = asked
        if self.layout is None or self.guide is not None:
            self.layout = Layout(replies[1], asked)

    def miss(self, asked: Endpoint, error: Exception) -> None:
        """A node did not say anything."""
        self._missed[asked] = None
        self._failure = error

    def known(self) -> list[Endpoint]:
        """Whom to ask the next time: first who knew, last who did not answer."""
        others = [e for e in self._known if e not in self._missed]
        return [*others, *self._missed]

    def result(self, address: Address) -> Layout:
        """The layout. Raises StoreUnavailableError if no node answered."""
        if self.layout is None:
            raise unreachable(f"every known node of the cluster of {address}", self._failure)
        return self.layout


def _endpoint(node: _Node, asked: Endpoint) -> Endpoint:
    host, port = cast("tuple[bytes | None, int]", node[:2])
    # A node that does not know its own name leaves it out.
    return (host or b"").decode() or asked[0], port
