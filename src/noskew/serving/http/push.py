"""``POST /push/{source}``: append events to the log of a streaming source.

Takes ``{"rows": …}``, as columns or as a list of rows in the forms of
:mod:`noskew.wire.json_values`, or an Arrow IPC stream; with every column of the source's
schema (other columns are left out). Answers ``202`` as soon as the events are durable::

    {"appended": 2, "offsets": {"0": 17}}

``offsets`` has, for each partition of the log that got some, the offset that comes after them.
With ``?wait=online`` it answers when every online view of the source has the events, so that a
read that follows sees them: ``200`` and ``"readable": true``. If that takes longer than ``wait_s``
seconds (5 if not given, 20 at most), it answers ``202`` and ``"readable": false``, and ``behind``
names the views that did not have them yet::

    {"appended": 2, "offsets": {"0": 17}, "readable": false, "behind": ["spending"]}

A status of 2xx always says that the events are in the log, once, for good: never push them again.
After any other answer none of them is, unless its message says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import pyarrow as pa

from noskew.config import ServeConfig
from noskew.definitions import connectors
from noskew.definitions.project import Project
from noskew.definitions.source import Source
from noskew.errors import InputError, NoskewError, NotFoundError, StoreError, shown, unknown
from noskew.intake.logs import local_log
from noskew.intake.shared_poll import SharedPoll
from noskew.intake.waiting import online_views
from noskew.serving.http import arrow_rows, feast_push, json_rows, source_rows
from noskew.serving.http.appends import Appends
from noskew.serving.http.backend import Backend
from noskew.serving.http.body import Bodies
from noskew.serving.http.negotiation import body_kind, expect_method, refuse_other_sites
from noskew.serving.http.problem import Answer, Refusal, problem
from noskew.wire.media_types import ARROW, FORM, JSON
from noskew.wire.pushed import pushed_body

PushedRows = Callable[[], pa.Table]
#: Reads a body of a media type: the source it is for, and what makes its rows.
Parse = Callable[[str, bytes, Project], tuple[Source, PushedRows]]
#: Seconds to wait until pushed events can be read, if a request does not say.
WAIT_S = 5.0
#: The longest wait. A server that is told to stop gives requests under way some more than that.
MOST_WAIT_S = 20.0


class Pushes:
    """The routes that append events. One for each worker."""

    def __init__(self, backend: Backend, bodies: Bodies, limits: ServeConfig) -> None:
        self._backend, self._bodies, self._limits = backend, bodies, limits
        self._metrics = backend.metrics
        self._appends = Appends(backend.open_logs(), backend.clock)
        self._poll = SharedPoll(backend.online)

    async def native(self, scope: Any, proto: Any, name: str, start: float) -> Answer:
        """``POST /push/{source}``."""

        def parse(kind: str, body: bytes, project: Project) -> tuple[Source, PushedRows]:
            source = _source(project, name)
            return source, partial(self._rows, kind, body, source)

        return await self._answer(scope, proto, start, (JSON, ARROW), parse)

    async def feast(self, scope: Any, proto: Any, start: float) -> Answer:
        """``POST /push``, as Feast has it."""

        def parse(kind: str, body: bytes, project: Project) -> tuple[Source, PushedRows]:
            request = feast_push.parse(body)
            source = _source(project, request.push_source_name)
            return source, partial(source_rows.table, source, request.df, self._limits.max_rows)

        return await self._answer(scope, proto, start, (JSON, FORM), parse, accepted=200)

    async def close(self) -> None:
        """Close the logs. Only when no request is under way."""
        await self._poll.close()
        self._appends.close()

    async def _answer(
        self,
        scope: Any,
        proto: Any,
        start: float,
        kinds: tuple[str, ...],
        parse: Parse,
        *,
        accepted: int = 202,
    ) -> Answer:
        """One request. ``accepted``: the status while the events may not be readable yet."""
        source, route = None, "push"
        try:
            expect_method(scope, "POST")
            refuse_other_sites(scope.headers)
            wait_s = waiting(scope.query_string)
            route = "push" if wait_s is None else "push-wait"
            project = self._backend.snapshot().definitions
            kind = body_kind(scope.headers, kinds)
            body = await self._bodies.read(scope.headers, proto)
            source, rows = parse(kind, body, project)
            views = None if wait_s is None else self._views(source, project)
            count, pushed = await self._appends.append(source, len(body), rows)
            self._metrics.pushed_rows.labels(source.name).inc(count)
            if wait_s is not None and views is not None:
                pushed = await self._poll.until_readable(views, pushed, wait_s)
            status = 200 if pushed.readable else accepted
            answer: Answer = (status, [("content-type", JSON)], pushed_body(count, pushed))
        except NoskewError as error:
            answer = self._problem(error, source)
        self._metrics.answered(route, "", answer[0], start)
        return answer

    def _views(self, source: Source, project: Project) -> dict[str, bytes]:
        return online_views(self._backend.project, source, project.views.values())

    def _rows(self, kind: str, body: bytes, source: Source) -> pa.Table:
        if kind == ARROW:
            return arrow_rows.parse(body, self._limits.max_rows)
        data = json_rows.parse(body)
        if len(data) != 1 or "rows" not in data:
            columns = ", ".join(f'"{name}": […]' for name in source.schema)
            raise InputError(
                f"the body must have the one member 'rows', such as {{\"rows\": {{{columns}}}}}; "
                f"got {', '.join(shown(n) for n in list(data)[:5]) or 'none'}"
            )
        return source_rows.table(source, data["rows"], self._limits.max_rows)

    def _problem(self, error: NoskewError, source: Source | None) -> Answer:
        if isinstance(error, StoreError):
            self._metrics.push_errors.labels(type(error).__name__).inc()
        valid: Iterable[str] | None = None
        if isinstance(error, NotFoundError):
            valid = pushable(self._backend.snapshot().definitions)
        elif source is not None and isinstance(error, InputError):
            valid = source.schema
        return problem(error, valid)


def pushable(project: Project) -> dict[str, Source]:
    """The sources whose log is written here, by name."""
    return {
        name: source
        for name, source in sorted(project.sources.items())
        if isinstance(source.stream, connectors.LocalLog)
    }


def waiting(query: str) -> float | None:
    """How many seconds a query asks to wait; None: not at all. Raises Refusal for other queries."""
    given = parse_qsl(query, keep_blank_values=True)
    asked = dict(given)
    names = sorted(asked)
    if not given:
        return None
    if len(asked) < len(given) or names not in (["wait"], ["wait", "wait_s"]):
        raise _unknown(query)
    if asked["wait"] != "online":
        raise _unknown(query)
    try:
        seconds = float(asked.get("wait_s", WAIT_S))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MOST_WAIT_S:
        raise Refusal(
            422,
            f"wait_s is a number of seconds from 0 to {MOST_WAIT_S:g}, got "
            f"{shown(asked['wait_s'])}",
        )
    return seconds


def _unknown(query: str) -> Refusal:
    return Refusal(
        422,
        f"the query {shown(query)} is unknown; it is wait=online, and wait_s=5 with it",
        valid=["wait=online", "wait=online&wait_s=5"],
    )


def _source(project: Project, name: str) -> Source:
    """The source to push to. Raises NotFoundError, or InputError for one that takes no pushes."""
    source = project.sources.get(name)
    if source is None:
        told = name if len(name) <= 128 else shown(name)
        raise unknown("source to push to", told, pushable(project))
    local_log(source)
    return source
