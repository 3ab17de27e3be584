"""Calls of the server: what is sent, what an answer means, and when to try again.

Nothing here sends anything, so that both clients do exactly the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from noskew.errors import NoskewError, StoreUnavailableError
from noskew.wire.media_types import ARROW, JSON
from noskew.wire.problem import read_problem
from noskew.wire.pushed import Pushed, read_pushed

if TYPE_CHECKING:
    from noskew.wire.arrow_answer import RemoteResponse

T = TypeVar("T")
#: Seconds before the second attempt; twice as many before each one after it.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


@dataclass
class Call(Generic[T]):
    """One call, which may take several attempts.

    Send the request until :attr:`is_done`, waiting for :attr:`pause_s` seconds before each
    attempt, and tell what came of it: :meth:`answered` or :meth:`failed`. Both raise the error
    that the call ends with.

    Attributes
    ----------
    method, url, query, headers, body
        What is sent.
    extra_s
        Seconds to wait for the answer, beside those of every call.
    """

    method: str
    url: str
    read: Callable[[bytes], T]
    attempts: int
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    extra_s: float = 0.0
    #: Whether it must not be made twice once it was sent.
    is_once: bool = False
    pause_s: float = 0.0
    is_done: bool = False
    _attempt: int = 0
    _value: T | None = None

    @property
    def value(self) -> T:
        """What the answer says, once the call is done."""
        assert self.is_done
        return self._value  # type: ignore[return-value]

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """An answer came."""
        self._attempt += 1
        if status in (200, 202):
            self._value, self.is_done = self.read(body), True
            return
        error = read_problem(status, body)
        if self.is_once:
            raise error
        self._try_again(error, None, _seconds(headers.get("retry-after")))

    def failed(self, error: Exception, *, is_sent: bool) -> None:
        """No answer came; ``is_sent``: but the server may have the request."""
        self._attempt += 1
        reason = f"{type(error).__name__}: {error}"
        if self.is_once and is_sent:
            raise StoreUnavailableError(
                f"the feature server did not answer: {reason}. Whether the rows were appended is "
                f"not known; only a source with an event_id may be pushed the same rows again"
            ) from error
        self._try_again(
            StoreUnavailableError(f"the feature server cannot be reached: {reason}"), error, 0.0
        )

    def _try_again(self, error: NoskewError, cause: Exception | None, least_s: float) -> None:
        """Choose the pause before another attempt; raise where none can help."""
        if self._attempt >= self.attempts or not error.retryable:
            raise error from cause
        pause_s = _FIRST_PAUSE_S * 2.0 ** (self._attempt - 1)
        self.pause_s = min(max(pause_s, least_s), _LONGEST_PAUSE_S)


class Calls:
    """The calls that both clients make. ``attempts``: how often each is tried in all."""

    def __init__(self, attempts: int) -> None:
        self._attempts = max(1, attempts)

    def get_online_features(self, service: str, rows: Any) -> Call[RemoteResponse]:
        """The features of a service for some rows."""
        # Arrow takes longer to load than all else together, so it is when it is needed.
        from noskew.client import rows as encoding
        from noskew.wire.arrow_answer import RemoteResponse

        columns = encoding.columns_of(rows)
        body, kind = encoding.encode_request_columns(rows, columns)
        return Call(
            "POST",
            f"/features/{_segment(service)}",
            lambda answer: RemoteResponse(answer, columns),
            self._attempts,
            headers={"content-type": kind, "accept": f"{ARROW}, {JSON};q=0.1"},
            body=body,
        )

    def push(self, source: str, rows: Any, wait: float | None) -> Call[Pushed]:
        """Rows for the log of a source."""
        from noskew.client.rows import encode_rows  # as above

        body, kind = encode_rows(rows)
        return Call(
            "POST",
            f"/push/{_segment(source)}",
            read_pushed,
            self._attempts,
            query={} if wait is None else {"wait": "online", "wait_s": repr(float(wait))},
            headers={"content-type": kind},
            body=body,
            extra_s=wait or 0.0,
            is_once=True,
        )

    def services(self) -> Call[list[dict[str, Any]]]:
        """What is served."""
        return Call("GET", "/services", _services, self._attempts)

    def service(self, name: str) -> Call[dict[str, Any]]:
        """What one service needs and gives."""
        return Call("GET", f"/services/{_segment(name)}", orjson.loads, self._attempts)


def _segment(name: str) -> str:
    """A name as one segment of a path; what is no name must not become another route."""
    return quote(str(name), safe="")


def _services(body: bytes) -> list[dict[str, Any]]:
    services: list[dict[str, Any]] = orjson.loads(body)["services"]
    return services


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
