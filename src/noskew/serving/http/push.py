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
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import pyarrow as pa

from noskew.definitions import connectors
from noskew.definitions.project import Project
from noskew.definitions.source import Source
from noskew.errors import InputError, NoskewError, NotFoundError, StoreError, shown, unknown
from noskew.intake.logs import local_log
from noskew.intake.waiting import online_views
from noskew.serving.http import arrow_rows, feast_push, json_rows, source_rows
from noskew.serving.http.exchange import JSON_HEADERS, Exchange
from noskew.serving.http.negotiation import refuse_other_sites
from noskew.serving.http.problem import Answer, Refusal, problem
from noskew.wire.media_types import ARROW, FORM, JSON
from noskew.wire.pushed import pushed_body

#: Seconds to wait until pushed events can be read, if a request does not say.
WAIT_S = 5.0
#: The longest wait. A server that is told to stop gives requests under way some more than that.
MOST_WAIT_S = 20.0


class Push(Exchange):
    """``POST /push/{source}``: appends events to the log of a source."""

    label = "push"
    method: ClassVar = "POST"
    takes: ClassVar[tuple[str, ...]] = (JSON, ARROW)
    #: The status while the events may not be readable yet.
    accepted: ClassVar = 202
    source: Source | None = None
    _size: int
    _rows: Callable[[], pa.Table]

    def open(self, headers: Any, query: str) -> None:
        refuse_other_sites(headers)
        self._wait_s = waiting(query)
        if self._wait_s is not None:
            self.label = "push-wait"
        self._project = self.shared.backend.snapshot().definitions
        self._open_source()

    def _open_source(self) -> None:
        self.source = _source(self._project, self.request.service)

    def parse(self, kind: str, body: bytes) -> None:
        assert self.source is not None
        self._size = len(body)
        self._rows = partial(_table, kind, body, self.source, self.shared.limits.max_rows)

    async def answer(self) -> Answer:
        source, shared, wait_s = self.source, self.shared, self._wait_s
        assert source is not None
        views = None if wait_s is None else self._views(source)
        count, pushed = await shared.appends.append(source, self._size, self._rows)
        shared.metrics.pushed_rows.labels(source.name).inc(count)
        if wait_s is not None and views is not None:
            pushed = await shared.poll.until_readable(views, pushed, wait_s)
        status = 200 if pushed.readable else self.accepted
        return status, JSON_HEADERS, pushed_body(count, pushed)

    def _views(self, source: Source) -> dict[str, bytes]:
        return online_views(self.shared.backend.tenant, source, self._project.views.values())

    def problem(self, error: NoskewError) -> Answer:
        if isinstance(error, StoreError):
            self.shared.metrics.push_errors.labels(type(error).__name__).inc()
        return problem(error, self.valid(error))

    def valid(self, error: NoskewError) -> Iterable[str] | None:
        if isinstance(error, NotFoundError):
            return pushable(self._project)
        if self.source is not None and isinstance(error, InputError):
            return self.source.schema
        return None


class FeastPush(Push):
    """``POST /push``, as Feast has it: its body names the source."""

    takes: ClassVar = (JSON, FORM)
    accepted: ClassVar = 200

    def _open_source(self) -> None:
        pass

    def parse(self, kind: str, body: bytes) -> None:
        request = feast_push.parse(body)
        source = self.source = _source(self._project, request.push_source_name)
        self._size = len(body)
        self._rows = partial(source_rows.table, source, request.df, self.shared.limits.max_rows)


def _table(kind: str, body: bytes, source: Source, max_rows: int) -> pa.Table:
    """The rows of a body for a source."""
    if kind == ARROW:
        return arrow_rows.parse(body, max_rows)
    return source_rows.table(source, json_rows.rows_of(body, source.schema), max_rows)


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
        quoted = name if len(name) <= 128 else shown(name)
        raise unknown("source to push to", quoted, pushable(project))
    local_log(source)
    return source
