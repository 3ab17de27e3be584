"""Requests: what is known of one before its rows are looked at."""

from __future__ import annotations

from secrets import token_hex
from typing import NamedTuple

from noskew.principal import Principal

_LONGEST_ID = 128
#: This process, among those of a project.
_PROCESS = token_hex(6)


class Request(NamedTuple):
    """Who asks for what: made once where a request arrives, and passed down.

    Attributes
    ----------
    principal
        Who asks.
    service
        The name that is asked for (of a feature service, or of a source to push to); empty where
        the route has none, or its body says it.
    version
        The version of it; None: the one that is served.
    peer
        The address that it came from, such as ``127.0.0.1:54321``.
    arrived
        When: seconds of the performance counter.
    number
        How many requests came to this process before.
    given_id
        The id that the caller gave it; None: none.
    deadline
        Until when an answer is of use, by the performance counter; None: the caller did not say.
    """

    principal: Principal
    service: str
    version: int | None
    peer: str
    arrived: float
    number: int
    given_id: str | None = None
    deadline: float | None = None

    @property
    def id(self) -> str:
        """Names the request in logs: as the caller does, if that can stand in a log."""
        given = self.given_id
        if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
            return given
        return f"{_PROCESS}-{self.number}"
