"""Reads: ``POST /features/{service}`` and Feast's ``POST /get-online-features``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from noskew.errors import InputError, NoskewError, shown
from noskew.reading.response import OnlineResponse
from noskew.serving.http import arrow_rows, feast, json_rows
from noskew.serving.http.compiled import CompiledService
from noskew.serving.http.exchange import JSON_HEADERS, Exchange
from noskew.serving.http.negotiation import wants_arrow
from noskew.serving.http.problem import Answer, Refusal
from noskew.wire.media_types import ARROW, FORM, JSON

_ARROW_HEADERS: Final = [("content-type", ARROW)]


class Read(Exchange):
    """Reads features of a service. When parsed, it has the service and rows that fit its plan."""

    method: ClassVar = "POST"
    service: CompiledService | None = None
    _rows: Any
    _n = 0

    async def answer(self) -> Answer:
        service = self.service
        assert service is not None
        reader, rows = service.reader, self._rows
        # A local store answers in microseconds, less than a switch of tasks would take.
        response = await reader.get_async(rows) if service.is_remote else reader.get(rows)
        answer = self._encode(service, response)
        if service.served is not None:
            service.served.add(response, self.request.arrived)
        self._n = len(response)
        return answer

    @abstractmethod
    def _encode(self, service: CompiledService, response: OnlineResponse) -> Answer:
        """The answer in the form that was asked for."""

    def count(self, status: int) -> None:
        if status == 200 and self.service is not None:
            self.service.meter.add(self._n, self.request.arrived)
        else:
            # A name that no service has would be a label of its own.
            known = "" if self.service is None else self.request.service
            self.shared.metrics.answered(self.label, known, status, self.request.arrived)

    def valid(self, error: NoskewError) -> Iterable[str] | None:
        if self.service is None:
            return super().valid(error)
        return self.service.plan.accepted if isinstance(error, InputError) else None


class FeatureRead(Read):
    """``POST /features/{service}``, in JSON or Arrow."""

    label = "features"
    takes: ClassVar = (JSON, ARROW)

    def open(self, headers: Any, query: str) -> None:
        self._snapshot = self.shared.backend.snapshot()
        self.service = self._snapshot.ready(self.request.service)
        self.must_load = self.service is None
        accept = headers.get("accept")
        self._as_arrow = accept is not None and wants_arrow(accept)
        self._full = bool(query) and _metadata(query)

    async def load(self) -> None:
        self.service = await self._snapshot.service_async(self.request.service)

    def parse(self, kind: str, body: bytes) -> None:
        service = self.service
        assert service is not None
        if kind == ARROW:
            table = arrow_rows.parse(body, self.shared.limits.max_rows, service.plan.takes)
            self._rows = table.to_pydict()
        else:
            self._rows = service.json_rows.columns(json_rows.rows_of(body, service.plan.accepted))

    def _encode(self, service: CompiledService, response: OnlineResponse) -> Answer:
        if self._as_arrow:
            return 200, _ARROW_HEADERS, service.arrow.encode(response)
        return 200, JSON_HEADERS, service.json.encode(response, full=self._full)


class FeastRead(Read):
    """``POST /get-online-features``: its body names the service."""

    label = "get-online-features"
    takes: ClassVar = (JSON, FORM)

    def parse(self, kind: str, body: bytes) -> None:
        self._asked = feast.parse(body)

    async def answer(self) -> Answer:
        asked = self._asked
        self.service = await feast.service_of(asked, self.shared.backend.snapshot())
        self._rows = self.service.json_rows.columns(asked.entities)
        return await super().answer()

    def _encode(self, service: CompiledService, response: OnlineResponse) -> Answer:
        return 200, JSON_HEADERS, feast.encode_answer(response, service.plan, self._asked.features)


def _metadata(query: str) -> bool:
    """Whether ``?metadata=full`` was asked for. Raises Refusal (422) for other parameters."""
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
