"""The RSGI application: routes, media types, and errors as answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from time import perf_counter
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import orjson

from noskew.config import ServeConfig
from noskew.errors import InputError, NoskewError, NotFoundError, StoreError, shown
from noskew.serving.http import arrow_rows, feast, json_rows, metrics
from noskew.serving.http.backend import Backend
from noskew.serving.http.body import Bodies
from noskew.serving.http.compiled import CompiledService, Snapshot
from noskew.serving.http.description import description, summary
from noskew.serving.http.negotiation import body_kind, expect_method, wants_arrow
from noskew.serving.http.openapi import openapi
from noskew.serving.http.problem import Answer, Refusal, problem
from noskew.serving.http.push import Pushes, pushable
from noskew.wire.media_types import ARROW, FORM, JSON

log = logging.getLogger("noskew.serving")

Handler = Callable[[Any, Any], Awaitable[Answer]]

_FEATURES: Final = "/features/"
_SERVICES: Final = "/services/"
_PUSH: Final = "/push"
_JSON_HEADERS: Final = [("content-type", JSON)]
_ARROW_HEADERS: Final = [("content-type", ARROW)]
_TEXT_HEADERS: Final = [("content-type", "text/plain; charset=utf-8")]
_HTML_HEADERS: Final = [
    ("content-type", "text/html; charset=utf-8"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
_NATIVE: Final = (JSON, ARROW)


class App:
    """Answers requests from what the backend has compiled. One for each worker."""

    def __init__(self, backend: Backend, limits: ServeConfig) -> None:
        self._backend, self._limits, self._metrics = backend, limits, backend.metrics
        self._bodies = Bodies(limits.max_body_bytes, limits.body_timeout_s)
        self._pushes = Pushes(backend, self._bodies, limits)
        self._tasks: list[asyncio.Task[None]] = []
        self._routes: dict[str, tuple[str, Handler]] = {
            "/get-online-features": ("POST", self._feast),
            "/services": ("GET", self._services),
            "/healthz": ("GET", self._alive),
            "/readyz": ("GET", self._ready),
            "/metrics": ("GET", self._scrape),
            "/openapi.json": ("GET", self._openapi),
            "/docs": ("GET", self._docs),
        }

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
        loop.run_until_complete(self._pushes.close())
        self._metrics.flush()
        self._backend.close()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """One request. Whatever happens, it is answered."""
        start = perf_counter()
        path = scope.path
        try:
            if path.startswith(_FEATURES):
                answer = await self._features(scope, proto, path[len(_FEATURES) :], start)
            elif path == _PUSH:
                answer = await self._pushes.feast(scope, proto, start)
            elif path.startswith(_PUSH + "/"):
                answer = await self._pushes.native(scope, proto, path[len(_PUSH) + 1 :], start)
            else:
                answer = await self._other(scope, proto, path, start)
        except Exception as error:  # the last resort: a fault of ours, told as such
            log.exception("%s %s failed", scope.method, path[:200])
            answer = problem(StoreError(f"internal error: {type(error).__name__}"))
            self._metrics.answered("unexpected", "", answer[0], start)
        status, headers, body = answer
        if scope.method == "HEAD":
            proto.response_empty(status, [*headers, ("content-length", str(len(body)))])
        else:
            proto.response_bytes(status, headers, body)

    # ---------------------------------------------------------------- features

    async def _features(self, scope: Any, proto: Any, name: str, start: float) -> Answer:
        service = None
        try:
            expect_method(scope, "POST")
            service = self._backend.snapshot().service(name)
            headers = scope.headers
            accept, query = headers.get("accept"), scope.query_string
            as_arrow = accept is not None and wants_arrow(accept)
            kind = body_kind(headers, _NATIVE)
            full = bool(query) and _metadata(query)
            body = await self._bodies.read(headers, proto)
            rows = self._rows(kind, body, service)
            # A local store answers in microseconds, less than a switch of tasks would take.
            reader = service.reader
            response = await reader.get_async(rows) if service.is_remote else reader.get(rows)
            if as_arrow:
                answer: Answer = (200, _ARROW_HEADERS, service.arrow.encode(response))
            else:
                answer = (200, _JSON_HEADERS, service.json.encode(response, full=full))
            if service.served is not None:
                service.served.add(response, start)
        except NoskewError as error:
            answer = self._problem(error, service)
            known = "" if service is None else name
            self._metrics.answered("features", known, answer[0], start)
        else:
            service.meter.add(len(response), start)
        return answer

    def _rows(self, kind: str, body: bytes, service: CompiledService) -> Any:
        """The rows of a request to the native route, in a form that a reader takes."""
        if kind == ARROW:
            return arrow_rows.parse(body, self._limits.max_rows).to_pydict()
        data = json_rows.parse(body)
        if len(data) != 1 or "rows" not in data:
            raise InputError(
                f"the body must have the one member 'rows', such as "
                f'{{"rows": {{"origin": ["JFK"]}}}}; got '
                f"{', '.join(shown(n) for n in list(data)[:5]) or 'none'}"
            )
        return service.json_rows.columns(data["rows"])

    async def _feast(self, scope: Any, proto: Any) -> Answer:
        start, service = perf_counter(), None
        try:
            body_kind(scope.headers, (JSON, FORM))
            body = await self._bodies.read(scope.headers, proto)
            request = feast.parse(body)
            service = feast.service_of(request, self._backend.snapshot())
            rows, reader = service.json_rows.columns(request.entities), service.reader
            response = await reader.get_async(rows) if service.is_remote else reader.get(rows)
            answer = (200, _JSON_HEADERS, feast.encode(response, service, request.features))
            if service.served is not None:
                service.served.add(response, start)
        except NoskewError as error:
            answer = self._problem(error, service)
            self._metrics.answered("get-online-features", "", answer[0], start)
        else:
            service.meter.add(len(response), start)
        return answer

    # ---------------------------------------------------------------- the other routes

    async def _other(self, scope: Any, proto: Any, path: str, start: float) -> Answer:
        if path == "/get-online-features" and scope.method == "POST":
            return await self._feast(scope, proto)
        label = "unknown"
        try:
            if path.startswith(_SERVICES):
                label = "service"
                expect_method(scope, "GET")
                answer = await self._service(path[len(_SERVICES) :])
            else:
                method, handler = self._route(path)
                label = path[1:]
                expect_method(scope, method)
                answer = await handler(scope, proto)
        except NoskewError as error:
            answer = self._problem(error, None)
        self._metrics.answered(label, "", answer[0], start)
        return answer

    def _route(self, path: str) -> tuple[str, Handler]:
        found = self._routes.get(path)
        if found is None:
            templates = ("/features/{service}", "/services/{service}", "/push", "/push/{source}")
            routes = [*self._routes, *templates]
            raise Refusal(404, f"no route {shown(unquote(path[:200]))}", valid=sorted(routes))
        return found

    async def _services(self, scope: Any, proto: Any) -> Answer:
        snapshot = self._backend.snapshot()
        return 200, _JSON_HEADERS, snapshot.document("services", lambda: _listing(snapshot))

    async def _service(self, name: str) -> Answer:
        service = self._backend.snapshot().service(name)
        return 200, _JSON_HEADERS, orjson.dumps(description(service.service))

    async def _alive(self, scope: Any, proto: Any) -> Answer:
        return 200, _TEXT_HEADERS, b"alive\n"

    async def _ready(self, scope: Any, proto: Any) -> Answer:
        await self._backend.check()
        snapshot = self._backend.snapshot()
        told = {
            "ready": True,
            "registry_version": snapshot.version,
            "services": len(snapshot.services),
            "broken": {name: str(error) for name, error in snapshot.broken.items()},
        }
        return 200, _JSON_HEADERS, orjson.dumps(told)

    async def _scrape(self, scope: Any, proto: Any) -> Answer:
        return 200, [("content-type", metrics.CONTENT_TYPE)], self._metrics.text()

    async def _openapi(self, scope: Any, proto: Any) -> Answer:
        snapshot = self._backend.snapshot()
        body = snapshot.document("openapi", lambda: _document(snapshot, self._limits))
        return 200, _JSON_HEADERS, body

    async def _docs(self, scope: Any, proto: Any) -> Answer:
        page = files("noskew.serving.http").joinpath("docs.html").read_bytes()
        return 200, _HTML_HEADERS, page

    # ---------------------------------------------------------------- errors

    def _problem(self, error: NoskewError, service: CompiledService | None) -> Answer:
        self._metrics.failed(error)
        valid: Iterable[str] | None = None
        if service is not None and isinstance(error, InputError):
            valid = service.plan.accepted
        elif service is None and isinstance(error, NotFoundError) and self._backend.is_compiled:
            valid = self._backend.snapshot().services
        return problem(error, valid)


def _metadata(query: str) -> bool:
    """Whether ``?metadata=full`` was asked for. Raises InputError for other parameters."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if pairs == [("metadata", "full")]:
        return True
    if pairs and pairs != [("metadata", "basic")]:
        raise Refusal(
            422,
            f"the query {shown(query)} is unknown; it is metadata=basic or metadata=full",
            valid=["metadata=basic", "metadata=full"],
        )
    return False


def _listing(snapshot: Snapshot) -> bytes:
    services = [summary(s.service) for _, s in sorted(snapshot.services.items())]
    broken = {name: str(error) for name, error in sorted(snapshot.broken.items())}
    told = {"registry_version": snapshot.version, "services": services, "broken": broken}
    return orjson.dumps(told)


def _document(snapshot: Snapshot, limits: ServeConfig) -> bytes:
    services = {name: s.service for name, s in snapshot.services.items()}
    return orjson.dumps(openapi(services, pushable(snapshot.definitions), limits))
