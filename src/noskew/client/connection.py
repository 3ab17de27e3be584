"""Connections to a server: calls sent by httpx, from a thread or in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from noskew.client.calls import Call
from noskew.errors import ConfigError, missing_extra

try:
    import httpx
except ImportError as error:
    raise missing_extra("httpx", "client", "noskew.Client") from error

T = TypeVar("T")
#: What says who asks: a bearer token, what gives one for each request, or anything of httpx.
Auth = str | Callable[[], str] | httpx.Auth
#: What happens to a request before anything of it is sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Bearer(httpx.Auth):
    """Sends a token with every request. ``token``: it, or what gives it each time."""

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["authorization"] = f"Bearer {token}"
        yield request


class Connection:
    """Sends calls, one after the other in each thread."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        auth: Auth | None,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            base_url=url, timeout=timeout_s, auth=_auth(auth), transport=transport
        )

    def send(self, call: Call[T]) -> T:
        """What the server answers. Raises the error that the call ends with."""
        while not call.is_done:
            if call.pause_s:
                threading.Event().wait(call.pause_s)
            try:
                answer = self._http.request(**_arguments(call, self._timeout_s))
            except httpx.TransportError as error:
                call.failed(error, is_sent=not isinstance(error, _NOT_SENT))
            else:
                call.answered(answer.status_code, answer.headers, answer.content)
        return call.value

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncConnection:
    """As :class:`Connection`, in an event loop."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        auth: Auth | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout_s, auth=_auth(auth), transport=transport
        )

    async def send(self, call: Call[T]) -> T:
        """As :meth:`Connection.send`."""
        while not call.is_done:
            if call.pause_s:
                await asyncio.sleep(call.pause_s)
            try:
                answer = await self._http.request(**_arguments(call, self._timeout_s))
            except httpx.TransportError as error:
                call.failed(error, is_sent=not isinstance(error, _NOT_SENT))
            else:
                call.answered(answer.status_code, answer.headers, answer.content)
        return call.value

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _arguments(call: Call[Any], timeout_s: float) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.url,
        "params": call.query,
        "headers": call.headers,
        "content": call.body,
        "timeout": timeout_s + call.extra_s,
    }


def _auth(auth: Auth | None) -> httpx.Auth | None:
    if auth is None or isinstance(auth, httpx.Auth):
        return auth
    if isinstance(auth, str) or callable(auth):
        return Bearer(auth)
    raise ConfigError(
        f"auth is a bearer token, a function that gives one, or an httpx.Auth; got "
        f"{type(auth).__name__}"
    )
