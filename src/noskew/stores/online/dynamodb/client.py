"""Requests to one table, repeated while it is throttled."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from noskew.clock import SystemClock
from noskew.stores.online.dynamodb.account import Account
from noskew.stores.online.dynamodb.backoff import Backoff
from noskew.stores.online.dynamodb.connections import Connections
from noskew.stores.online.dynamodb.faults import Fault, too_late
from noskew.stores.online.dynamodb.place import Place
from noskew.stores.online.dynamodb.signature import Signer


class RefusedError(Exception):
    """An answer that is an error and that no repeat can change; inside this package only."""

    def __init__(self, fault: Fault, content: bytes) -> None:
        super().__init__(fault.code)
        self.fault, self.content = fault, content


class Client:
    """Sends requests as an account. May be shared by threads."""

    def __init__(self, place: Place, account: Account) -> None:
        self.place = place
        self._account = account
        self._connections = Connections(account.endpoint, place)
        self._signer = Signer(self._connections.host, account.region)
        self._clock = SystemClock()
        self._random = Random()

    def backoff(self) -> Backoff:
        """The repeats of a call that begins now."""
        return Backoff(self.place.timeout_s, self._random)

    def call(self, operation: str, body: Any, backoff: Backoff | None = None) -> bytes:
        """The answer to a request, repeated while the table is throttled or the server ails.

        Raises RefusedError for an answer that no repeat can change, and StoreUnavailableError
        when there is none within the time-out.
        """
        backoff = backoff or self.backoff()
        packed = msgspec.json.encode(body)
        while True:
            # Signed anew each time: a signature is good for a few minutes only.
            headers = self._signer.headers(
                operation, packed, self._account.keys(), self._clock.now()
            )
            status, content = self._connections.post(headers, packed, backoff.left_s)
            if status == 200:
                return content
            fault = Fault.of(status, content)
            if not fault.is_passing:
                raise RefusedError(fault, content)
            if not backoff.wait():
                raise fault.error(self.place) if fault.is_throttling else too_late(self.place)

    def ask(self, operation: str, body: Any, backoff: Backoff | None = None) -> bytes:
        """As :meth:`call`, and raises our error for an answer that is one."""
        try:
            return self.call(operation, body, backoff)
        except RefusedError as refused:
            raise refused.fault.error(self.place) from refused

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.drop_idle()
