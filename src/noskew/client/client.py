"""Clients of the HTTP server: what a reader in process gives, from elsewhere, bit for bit."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from noskew.client.calls import Calls
from noskew.resources import Closing
from noskew.wire.pushed import Pushed

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from noskew.wire.arrow_answer import RemoteResponse

DEFAULT_TIMEOUT_S = 5.0
#: How often a request is made in all, where a retry can help.
DEFAULT_ATTEMPTS = 3


class Client(Closing):
    """Reads features from a server, as :meth:`FeatureStore.get_online_features` does in process.

    It keeps connections open and may be shared by threads. Close it, or use it in a ``with``.

    Parameters
    ----------
    url
        The server's address: ``http://127.0.0.1:6580``.
    timeout_s
        How long to wait for a connection, and for each answer.
    attempts
        How often a read is tried in all when the server, or its store, is not available.
    auth
        Who asks, for a gateway in front of the server: a bearer token, a function that gives one
        and is called for each request, or an ``httpx.Auth``.
    transport
        How requests are sent, in place of connections of its own: an ``httpx.BaseTransport``.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        attempts: int = DEFAULT_ATTEMPTS,
        auth: str | Callable[[], str] | httpx.Auth | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        # httpx takes longer to load than all that a program needs which only names the client.
        from noskew.client.connection import Connection

        self._calls = Calls(attempts)
        self._connection = Connection(url, timeout_s, auth, transport)

    def get_online_features(self, service: str, rows: Any) -> RemoteResponse:
        """The features of a service now, for ``{"origin": ["JFK"]}``, a list of rows or a frame.

        Raises what the reader in process does: NotFoundError, InputError and its children,
        StoreUnavailableError (also when the server cannot be reached).
        """
        return self._connection.send(self._calls.get_online_features(service, rows))

    def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """Append events to the log of a streaming source, as :meth:`FeatureStore.push` does.

        ``rows``: columns, a list of rows, or a frame, with the source's columns. ``wait``: answer
        when reads see them, or after so many seconds (20 at most). What it returns says how that
        ended, and that they are in the log: it must not be repeated.

        It is made once: another attempt follows only where no connection was made. Raises
        NotFoundError, or InputError and its children, for what is not taken; StoreUnavailableError
        also when no answer came, and then says that nobody knows whether the rows were appended.
        """
        return self._connection.send(self._calls.push(source, rows, wait))

    def services(self) -> list[dict[str, Any]]:
        """What is served: name, description, join keys, and so on."""
        return self._connection.send(self._calls.services())

    def service(self, name: str) -> dict[str, Any]:
        """A service's join keys, request fields, features and views."""
        return self._connection.send(self._calls.service(name))

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()


class AsyncClient:
    """As :class:`Client`, for ``async`` code: ``async with AsyncClient(url) as client: …``.

    ``transport`` is an ``httpx.AsyncBaseTransport``. A function that gives a token is called in
    the event loop; for one that has to wait, pass an ``httpx.Auth`` with ``async_auth_flow``.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        attempts: int = DEFAULT_ATTEMPTS,
        auth: str | Callable[[], str] | httpx.Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        from noskew.client.connection import AsyncConnection  # as above

        self._calls = Calls(attempts)
        self._connection = AsyncConnection(url, timeout_s, auth, transport)

    async def get_online_features(self, service: str, rows: Any) -> RemoteResponse:
        """As :meth:`Client.get_online_features`."""
        return await self._connection.send(self._calls.get_online_features(service, rows))

    async def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """As :meth:`Client.push`."""
        return await self._connection.send(self._calls.push(source, rows, wait))

    async def services(self) -> list[dict[str, Any]]:
        """As :meth:`Client.services`."""
        return await self._connection.send(self._calls.services())

    async def service(self, name: str) -> dict[str, Any]:
        """As :meth:`Client.service`."""
        return await self._connection.send(self._calls.service(name))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
