"""Routes: which kind of exchange a path leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from noskew.errors import shown
from noskew.serving.http.exchange import Exchange
from noskew.serving.http.pages import Alive, Docs, OpenApi, Ready, Scrape, Service, Services
from noskew.serving.http.problem import Answer, Refusal
from noskew.serving.http.push import FeastPush, Push
from noskew.serving.http.reads import FeastRead, FeatureRead

#: By the whole path.
_FIXED: Final[Mapping[str, type[Exchange]]] = {
    "/get-online-features": FeastRead,
    "/push": FeastPush,
    "/services": Services,
    "/healthz": Alive,
    "/readyz": Ready,
    "/metrics": Scrape,
    "/openapi.json": OpenApi,
    "/docs": Docs,
}
#: By the first part of a path; the rest is a name.
_NAMED: Final[tuple[tuple[str, type[Exchange], str], ...]] = (
    ("/features/", FeatureRead, "{service}"),  # the commonest
    ("/push/", Push, "{source}"),
    ("/services/", Service, "{service}"),
)
#: All of them, as messages list them.
TEMPLATES: Final = sorted([*_FIXED, *(first + name for first, _, name in _NAMED)])


class NoRoute(Exchange):
    """What a path that is none of ours leads to."""

    label = "unknown"
    method: ClassVar = None

    def open(self, headers: Any, query: str) -> None:
        path = shown(unquote(self.request.service[:200]))
        raise Refusal(404, f"no route {path}", valid=TEMPLATES)

    async def answer(self) -> Answer:
        raise AssertionError("it is refused when it is opened")


def route(path: str) -> tuple[type[Exchange], str]:
    """The kind of exchange, and the name that the path ends with; the path itself if unknown."""
    for first, kind, _ in _NAMED:
        if path.startswith(first):
            return kind, path[len(first) :]
    fixed = _FIXED.get(path)
    return (fixed, "") if fixed is not None else (NoRoute, path)
