"""Exchanges: one request on its way to its answer. Every route has a kind of its own.

Each goes the same way, which :class:`noskew.serving.http.app.App` leads: its head is judged
(:meth:`Exchange.open`), its body is read within its bounds and parsed (:meth:`Exchange.parse`), it
is answered (:meth:`Exchange.answer`) and counted (:meth:`Exchange.count`). Whatever raises on the
way becomes a problem (:meth:`Exchange.problem`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from noskew.config import ServeConfig
from noskew.errors import NoskewError, NotFoundError
from noskew.intake.shared_poll import SharedPoll
from noskew.request import Request
from noskew.serving.http.appends import Appends
from noskew.serving.http.backend import Backend
from noskew.serving.http.metrics import Metrics
from noskew.serving.http.problem import Answer, problem
from noskew.wire.media_types import JSON

JSON_HEADERS: Final = [("content-type", JSON)]


@dataclass(frozen=True)
class Shared:
    """What all requests to a worker share."""

    backend: Backend
    metrics: Metrics
    limits: ServeConfig
    appends: Appends
    poll: SharedPoll


class Exchange(ABC):
    """One request. A new one may look at ``request`` and ``shared`` only when it is opened.

    Attributes
    ----------
    label
        The name of its route in the metrics.
    method
        What the route takes; GET includes HEAD, and None is any.
    takes
        Media types of its body, first that of a body that says none; empty: it has no body.
    must_load
        Whether something has to be loaded first, when it was opened (:meth:`load`).
    """

    label: str
    method: ClassVar[str | None] = "GET"
    takes: ClassVar[tuple[str, ...]] = ()
    must_load = False

    def __init__(self, shared: Shared, request: Request) -> None:
        self.shared, self.request = shared, request

    def open(self, headers: Any, query: str) -> None:
        """Judge everything that is known before the body."""

    async def load(self) -> None:
        """Load what is seldom absent, without blocking the event loop."""

    def parse(self, kind: str, body: bytes) -> None:
        """Take the body, of one of the media types that the route takes."""

    @abstractmethod
    async def answer(self) -> Answer:
        """The answer to what was asked."""

    def count(self, status: int) -> None:
        """Count the request, which was answered so."""
        self.shared.metrics.answered(self.label, "", status, self.request.arrived)

    def problem(self, error: NoskewError) -> Answer:
        """The answer that tells of an error."""
        self.shared.metrics.failed(error)
        return problem(error, self.valid(error))

    def valid(self, error: NoskewError) -> Iterable[str] | None:
        """The names that would have been right, where the fault may be a name."""
        backend = self.shared.backend
        if isinstance(error, NotFoundError) and backend.is_compiled:
            return backend.snapshot().services
        return None
