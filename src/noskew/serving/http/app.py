"""The RSGI application: the way of every request from the door to its answer."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from time import perf_counter
from typing import Any

from noskew.config import ServeConfig
from noskew.errors import NoskewError, StoreError
from noskew.intake.shared_poll import SharedPoll
from noskew.principal import Principal
from noskew.request import Request
from noskew.serving.http.appends import Appends
from noskew.serving.http.backend import Backend
from noskew.serving.http.body import Bodies
from noskew.serving.http.exchange import Shared
from noskew.serving.http.negotiation import body_kind, expect_method
from noskew.serving.http.problem import problem
from noskew.serving.http.routes import route

log = logging.getLogger("noskew.serving")


class App:
    """Answers requests from what the backend has compiled. One for each worker."""

    def __init__(self, backend: Backend, limits: ServeConfig) -> None:
        self._backend, self._metrics = backend, backend.metrics
        self._bodies = Bodies(limits.max_body_bytes, limits.body_timeout_s)
        self._appends = Appends(backend.open_logs(), backend.clock)
        self._poll = SharedPoll(backend.online)
        self._shared = Shared(backend, backend.metrics, limits, self._appends, self._poll)
        # The server asks nobody who they are: whoever reaches it acts as the user who runs it.
        self._principal = Principal.local()
        self._numbers = count()
        self._tasks: list[asyncio.Task[None]] = []

    # ---------------------------------------------------------------- called by granian

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Before the first request: open stores and compile services, and begin to follow them.

        The socket is not there yet, so that no request meets a worker that is still starting;
        what cannot be opened now is tried again while it answers that it is not ready.
        """
        self._backend.start()
        self._tasks = [
            loop.create_task(self._backend.follow()),
            loop.create_task(self._bodies.watch()),
        ]

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """After the last request was answered: let go of the stores."""
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.run_until_complete(self._poll.close())
        self._appends.close()
        self._metrics.flush()
        self._backend.close()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """One request: the way of all, whose steps are those of its exchange.

        Whatever happens, it is answered.
        """
        arrived, method, headers = perf_counter(), scope.method, scope.headers
        kind, name = route(scope.path)
        number, given_id = next(self._numbers), headers.get("x-request-id")
        request = Request(self._principal, name, None, scope.client, arrived, number, given_id)
        exchange = kind(self._shared, request)
        try:
            try:
                expect_method(method, exchange.method)
                exchange.open(headers, scope.query_string)
                if exchange.must_load:
                    await exchange.load()
                if exchange.takes:
                    media_type = body_kind(headers, exchange.takes)
                    exchange.parse(media_type, await self._bodies.read(headers, proto))
                status, head, body = await exchange.answer()
            except NoskewError as error:
                status, head, body = exchange.problem(error)
            exchange.count(status)
        except Exception as error:  # the last resort: a fault of ours, told as such
            log.exception("%s %s failed (request %s)", method, scope.path[:200], request.id)
            status, head, body = problem(StoreError(f"internal error: {type(error).__name__}"))
            self._metrics.answered("unexpected", "", status, arrived)
        if method == "HEAD":
            proto.response_empty(status, [*head, ("content-length", str(len(body)))])
        else:
            proto.response_bytes(status, head, body)
