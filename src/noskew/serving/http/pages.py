"""Pages: what the server says of itself. Routes that take GET and have no body."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from typing import Final

import orjson

from noskew.config import ServeConfig
from noskew.definitions.outline import ServiceOutline
from noskew.errors import DefinitionError
from noskew.serving.http import metrics
from noskew.serving.http.description import description, summary
from noskew.serving.http.exchange import JSON_HEADERS, Exchange
from noskew.serving.http.openapi import openapi
from noskew.serving.http.problem import Answer
from noskew.serving.http.push import pushable
from noskew.serving.http.snapshot import Snapshot

_TEXT_HEADERS: Final = [("content-type", "text/plain; charset=utf-8")]
_HTML_HEADERS: Final = [
    ("content-type", "text/html; charset=utf-8"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]


class Services(Exchange):
    """``GET /services``: the services, a line each."""

    label = "services"

    async def answer(self) -> Answer:
        snapshot = self.shared.backend.snapshot()
        return 200, JSON_HEADERS, snapshot.document("services", lambda: _listing(snapshot))


class Service(Exchange):
    """``GET /services/{service}``: what one needs and gives."""

    label = "service"

    async def answer(self) -> Answer:
        service = self.shared.backend.snapshot().definition(self.request.service)
        return 200, JSON_HEADERS, orjson.dumps(description(service))


class Alive(Exchange):
    """``GET /healthz``: whether the process lives."""

    label = "healthz"

    async def answer(self) -> Answer:
        return 200, _TEXT_HEADERS, b"alive\n"


class Ready(Exchange):
    """``GET /readyz``: whether requests can be answered now."""

    label = "readyz"

    async def answer(self) -> Answer:
        await self.shared.backend.check()
        snapshot = self.shared.backend.snapshot()
        members = {
            "ready": True,
            "registry_version": snapshot.version,
            "services": len(snapshot.services),
            "broken": {name: str(error) for name, error in snapshot.broken.items()},
        }
        return 200, JSON_HEADERS, orjson.dumps(members)


class Scrape(Exchange):
    """``GET /metrics``: what was counted, for Prometheus."""

    label = "metrics"

    async def answer(self) -> Answer:
        return 200, [("content-type", metrics.CONTENT_TYPE)], self.shared.metrics.text()


class OpenApi(Exchange):
    """``GET /openapi.json``: what the server takes and gives."""

    label = "openapi.json"

    async def answer(self) -> Answer:
        snapshot, limits = self.shared.backend.snapshot(), self.shared.limits
        body = snapshot.document("openapi", lambda: _document(snapshot, limits))
        return 200, JSON_HEADERS, body


class Docs(Exchange):
    """``GET /docs``: a page to read that and try it."""

    label = "docs"

    async def answer(self) -> Answer:
        page = files("noskew.serving.http").joinpath("docs.html").read_bytes()
        return 200, _HTML_HEADERS, page


def _listing(snapshot: Snapshot) -> bytes:
    outlines = [ServiceOutline.of(snapshot.definitions, name) for name in sorted(snapshot.services)]
    services = [summary(outline, snapshot.hashes[outline.name]) for outline in outlines]
    broken = {name: str(error) for name, error in sorted(snapshot.broken.items())}
    members = {"registry_version": snapshot.version, "services": services, "broken": broken}
    return orjson.dumps(members)


def _document(snapshot: Snapshot, limits: ServeConfig) -> bytes:
    services = {}
    for name in snapshot.services:
        # One that can no longer be loaded must not take the others with it.
        with suppress(DefinitionError):
            services[name] = snapshot.definitions.services[name]
    return orjson.dumps(openapi(services, pushable(snapshot.definitions), limits))
