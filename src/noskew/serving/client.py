"""Clients of the HTTP server: what a reader in process gives, from elsewhere, bit for bit."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import orjson
import pyarrow as pa

from noskew.errors import NoskewError, StoreUnavailableError, missing_extra
from noskew.intake.pushed import Pushed
from noskew.reading.request_plan import as_columns, as_list
from noskew.resources import Closing
from noskew.serving.http import arrow_rows
from noskew.serving.http.arrow_answer import MEDIA_TYPE, RemoteResponse
from noskew.serving.http.problem import JSON, raised

try:
    import httpx
except ImportError as error:
    raise missing_extra("httpx", "client", "noskew.Client") from error

DEFAULT_TIMEOUT_S = 5.0
#: How often a request is made in all, where a retry can help.
DEFAULT_ATTEMPTS = 3
#: Seconds before the second attempt; twice as many before each one after it.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
#: What happens to a request before anything of it is sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Base:
    """What both clients do: make a request, judge an answer, say when to try again."""

    def __init__(self, attempts: int) -> None:
        self._attempts = max(1, attempts)

    @staticmethod
    def _request(service: str, rows: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The columns asked for, and the arguments of the request that asks for them."""
        columns = as_columns(rows)
        columns = {n: v if type(v) is list else as_list(n, v) for n, v in columns.items()}
        body, kind = _encode(rows, columns)
        return columns, {
            "method": "POST",
            "url": f"/features/{_segment(service)}",
            "content": body,
            "headers": {"content-type": kind, "accept": f"{MEDIA_TYPE}, {JSON};q=0.1"},
        }

    @staticmethod
    def _push(source: str, rows: Any, wait: float | None, timeout_s: float) -> dict[str, Any]:
        """The arguments of the request that pushes rows."""
        body, kind = _encode_rows(rows)
        query = {} if wait is None else {"wait": "online", "wait_s": repr(float(wait))}
        return {
            "method": "POST",
            "url": f"/push/{_segment(source)}",
            "params": query,
            "content": body,
            "headers": {"content-type": kind},
            "timeout": timeout_s + (wait or 0.0),
        }

    @staticmethod
    def _judge(answer: httpx.Response) -> bytes:
        """The body of a good answer; the error that another one tells of is raised."""
        if answer.status_code in (200, 202):
            return answer.content
        raise raised(answer.status_code, answer.content)

    def _pause(self, error: Exception, attempt: int, answer: httpx.Response | None) -> float:
        """How long to wait before another attempt; raises where none can help."""
        if isinstance(error, httpx.TransportError):
            failed: NoskewError = StoreUnavailableError(
                f"the feature server cannot be reached: {type(error).__name__}: {error}"
            )
            cause: Exception | None = error
        else:
            assert isinstance(error, NoskewError)
            failed, cause = error, None
        if attempt >= self._attempts or not failed.retryable:
            raise failed from cause
        pause: float = _FIRST_PAUSE_S * 2.0 ** (attempt - 1)
        if answer is not None:
            pause = max(pause, _seconds(answer.headers.get("retry-after")))
        return min(pause, _LONGEST_PAUSE_S)

    def _pause_push(self, error: Exception, attempt: int) -> float:
        """As :meth:`_pause`, for a request that must not be made twice once it was sent."""
        if isinstance(error, httpx.TransportError) and not isinstance(error, _NOT_SENT):
            raise StoreUnavailableError(
                f"the feature server did not answer: {type(error).__name__}: {error}. Whether the "
                f"rows were appended is not known; only a source with an event_id may be pushed "
                f"the same rows again"
            ) from error
        if isinstance(error, NoskewError):
            raise error
        return self._pause(error, attempt, None)


class Client(Closing, _Base):
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
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        attempts: int = DEFAULT_ATTEMPTS,
    ) -> None:
        super().__init__(attempts)
        self._timeout_s = timeout_s
        self._http = httpx.Client(base_url=url, timeout=timeout_s)

    def get_online_features(self, service: str, rows: Any) -> RemoteResponse:
        """The features of a service now, for ``{"origin": ["JFK"]}``, a list of rows or a frame.

        Raises what the reader in process does: NotFoundError, InputError and its children,
        StoreUnavailableError (also when the server cannot be reached).
        """
        columns, request = self._request(service, rows)
        return RemoteResponse(self._send(request), columns)

    def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """Append events to the log of a streaming source, as :meth:`FeatureStore.push` does.

        ``rows``: columns, a list of rows, or a frame, with the source's columns. ``wait``: answer
        when reads see them, or after so many seconds (20 at most). What it returns says how that
        ended, and that they are in the log: it must not be repeated.

        It is made once: another attempt follows only where no connection was made. Raises
        NotFoundError, or InputError and its children, for what is not taken; StoreUnavailableError
        also when no answer came, and then says that nobody knows whether the rows were appended.
        """
        request, attempt = self._push(source, rows, wait, self._timeout_s), 0
        while True:
            attempt += 1
            try:
                return _pushed(self._judge(self._http.request(**request)))
            except (httpx.TransportError, NoskewError) as error:
                pause = self._pause_push(error, attempt)
            threading.Event().wait(pause)

    def services(self) -> list[dict[str, Any]]:
        """What is served: name, description, join keys, and so on."""
        listed: list[dict[str, Any]] = orjson.loads(self._send(_get("/services")))["services"]
        return listed

    def service(self, name: str) -> dict[str, Any]:
        """A service's join keys, request fields, features and views."""
        told: dict[str, Any] = orjson.loads(self._send(_get(f"/services/{_segment(name)}")))
        return told

    def _send(self, request: Mapping[str, Any]) -> bytes:
        attempt = 0
        while True:
            attempt, answer = attempt + 1, None
            try:
                answer = self._http.request(**request)
                return self._judge(answer)
            except (httpx.TransportError, NoskewError) as error:
                pause = self._pause(error, attempt, answer)
            threading.Event().wait(pause)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient(_Base):
    """As :class:`Client`, for ``async`` code: ``async with AsyncClient(url) as client: …``."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        attempts: int = DEFAULT_ATTEMPTS,
    ) -> None:
        super().__init__(attempts)
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s)

    async def get_online_features(self, service: str, rows: Any) -> RemoteResponse:
        """As :meth:`Client.get_online_features`."""
        columns, request = self._request(service, rows)
        return RemoteResponse(await self._send(request), columns)

    async def push(self, source: str, rows: Any, *, wait: float | None = None) -> Pushed:
        """As :meth:`Client.push`."""
        request, attempt = self._push(source, rows, wait, self._timeout_s), 0
        while True:
            attempt += 1
            try:
                return _pushed(self._judge(await self._http.request(**request)))
            except (httpx.TransportError, NoskewError) as error:
                pause = self._pause_push(error, attempt)
            await asyncio.sleep(pause)

    async def services(self) -> list[dict[str, Any]]:
        """As :meth:`Client.services`."""
        answer = orjson.loads(await self._send(_get("/services")))
        listed: list[dict[str, Any]] = answer["services"]
        return listed

    async def service(self, name: str) -> dict[str, Any]:
        """As :meth:`Client.service`."""
        told: dict[str, Any] = orjson.loads(await self._send(_get(f"/services/{_segment(name)}")))
        return told

    async def _send(self, request: Mapping[str, Any]) -> bytes:
        attempt = 0
        while True:
            attempt, answer = attempt + 1, None
            try:
                answer = await self._http.request(**request)
                return self._judge(answer)
            except (httpx.TransportError, NoskewError) as error:
                pause = self._pause(error, attempt, answer)
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _get(url: str) -> dict[str, Any]:
    return {"method": "GET", "url": url}


def _segment(name: str) -> str:
    """A name as one segment of a path; what is no name must not become another route."""
    return quote(str(name), safe="")


def _pushed(body: bytes) -> Pushed:
    """What the server says of a push."""
    told = orjson.loads(body)
    return Pushed(
        {int(partition): offset for partition, offset in told["offsets"].items()},
        readable=told.get("readable"),
        behind=tuple(told.get("behind", ())),
    )


def _encode_rows(rows: Any) -> tuple[bytes, str]:
    """Rows to push as an Arrow stream; a frame as it is, whatever else by way of columns."""
    if isinstance(rows, pa.RecordBatch):
        rows = pa.Table.from_batches([rows])
    if type(rows).__module__.partition(".")[0] == "pandas":
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if not isinstance(rows, pa.Table) and not hasattr(rows, "__arrow_c_stream__"):
        columns = as_columns(rows)
        return _encode(rows, {n: as_list(n, v) for n, v in columns.items()})
    table = pa.table(rows)
    plain = [_plain(column.combine_chunks()) for column in table.columns]
    return _arrow(pa.table(plain, names=table.column_names)), MEDIA_TYPE


#: Types whose values take other bytes than a column's own, and those that stand for them.
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _plain(array: pa.Array) -> pa.Array:
    """A column in a layout that the server takes: neither a dictionary nor views."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary).take(array.indices)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type in _VIEWS:
        return array.cast(pa.large_list(_VIEWS[kind.value_type]))
    return array.cast(_VIEWS[kind]) if kind in _VIEWS else array


def _encode(rows: Any, columns: Mapping[str, list[Any]]) -> tuple[bytes, str]:
    """Columns as an Arrow stream; as JSON where a column is of no one type.

    No service takes such a column: JSON lets the server say so, as the reader in process would.
    """
    if not columns:
        return orjson.dumps({"rows": {} if isinstance(rows, Mapping) else []}), JSON
    try:
        table = pa.table({name: _array(values) for name, values in columns.items()})
    except (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError):
        return orjson.dumps({"rows": {n: _as_json(v) for n, v in columns.items()}}), JSON
    return _arrow(table), MEDIA_TYPE


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


#: The first that a value is an instance of is its kind; Arrow would turn some into others.
_KINDS: tuple[tuple[type, ...], ...] = (
    (bool, np.bool_),
    (int, float, np.integer, np.floating),
    (str,),
    (bytes,),
    (datetime,),
    (date,),
    (Decimal,),
    (list, tuple, np.ndarray),
)


def _array(values: list[Any]) -> pa.Array:
    """A column in Arrow. Raises TypeError if its values are not of one kind that is taken."""
    if len({_kind(v) for v in values if v is not None}) > 1:
        raise TypeError("values of several kinds")
    array = pa.array(values)
    if not arrow_rows.is_accepted(array.type):
        raise TypeError(f"values of the Arrow type {array.type}")
    return array


def _as_json(value: Any) -> Any:
    """The same, if JSON has it; else an object, which is no value of any type."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_as_json(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    try:
        if value is None or isinstance(value, (bool, str, int)):
            orjson.dumps(value)  # not so integers of more than 64 bits, and lone surrogates
            return value
    except orjson.JSONEncodeError:
        pass
    if isinstance(value, float) and math.isfinite(value):
        return value
    return {type(value).__name__: ascii(value)[:80]}


def _kind(value: Any) -> int:
    return next((i for i, kinds in enumerate(_KINDS) if isinstance(value, kinds)), len(_KINDS))


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
