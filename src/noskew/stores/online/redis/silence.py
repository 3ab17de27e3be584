"""Nodes of a Redis Cluster that do not answer, so that not every request waits for them in vain."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic

from noskew.stores.online.redis.routing import Endpoint


class Silence:
    """Which nodes did not answer the last time, and until when nobody waits for them again.

    A host that vanished refuses nothing: who asks it waits for the whole time-out. So its
    requests fail at once for ``pause_s``. Then one of them tries it, while the others go on to
    fail.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._until: dict[Endpoint, float] = {}

    def begin(self, endpoint: Endpoint) -> None:
        """A node did not answer in time."""
        self._until[endpoint] = monotonic() + self._pause_s

    def end(self, endpoints: Collection[Endpoint]) -> None:
        """Nodes answered."""
        if self._until:
            for endpoint in endpoints:
                self._until.pop(endpoint, None)

    def keep(self, endpoints: Collection[Endpoint]) -> None:
        """Forget all nodes but these."""
        for endpoint in set(self._until).difference(endpoints):
            self._until.pop(endpoint, None)

    def __contains__(self, endpoint: Endpoint) -> bool:
        return endpoint in self._until

    def __bool__(self) -> bool:
        return bool(self._until)

    def rests(self, endpoint: Endpoint) -> bool:
        """Whether nobody is to wait for a node now."""
        return self._until.get(endpoint, 0.0) > monotonic()

    def admit(self, endpoints: Collection[Endpoint]) -> Endpoint | None:
        """One of the nodes that rests. If none does, whoever called is to try them."""
        if not self._until:
            return None
        for endpoint in endpoints:
            if self.rests(endpoint):
                return endpoint
        for endpoint in endpoints:
            if endpoint in self._until:
                self.begin(endpoint)
        return None
