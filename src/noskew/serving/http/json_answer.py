"""Answers as JSON, columnar, so that every value can be had back bit for bit.

::

    {"service": "delay_model", "t": "2013-06-01T12:00:00Z",
     "features": {"delay_mean_1h": [3.5, null], "carrier": ["UA", null]},
     "statuses": {"delay_mean_1h": ["PRESENT", "MISSING"], "carrier": "PRESENT"},
     "event_times": {"airport_delays": ["2013-06-01T11:58:00Z", null]}}

The items of every list stand for the rows of the request, in its order. A feature whose rows
all have one status has that instead of a list of it. ``?metadata=full`` adds ``"versions"``: for
each view and row ``{"known_time": "…", "number": 3}`` or null.

Values have the forms of :mod:`noskew.wire.json_values`. ``null`` is null and nothing else:
NaN and the infinities are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``. Numbers are
the shortest that read back as the same float64 (float32 values are given as the float64 they
equal, integers in full), so -0.0 and the last bit survive any parser that reads doubles.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from noskew.clock import MICROS_PER_SECOND, to_text
from noskew.reading.request_plan import RequestPlan, Wanted
from noskew.reading.response import OnlineResponse
from noskew.reading.view_answer import ViewAnswer
from noskew.wire import status

#: From so many rows on, a column goes to the encoder as an array.
_MANY = 9
_MOMENT = np.dtype("datetime64[us]")
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
_EPOCH = datetime(1970, 1, 1)


class JsonAnswer:
    """Writes answers of one service; what does not depend on the request is made once."""

    def __init__(self, plan: RequestPlan) -> None:
        self._plan = plan
        self._head = b'{"service":' + orjson.dumps(plan.service.name) + b',"t":'
        self._present = orjson.dumps(dict.fromkeys(plan.names, status.NAMES[status.PRESENT]))
        self._stored = plan.stored
        self._computes = plan.computes
        self._whole_row = _whole_row(plan)
        self._second: tuple[int | None, bytes] = (
            None,
            b"",
        )  # of the last answer for one row, and how it is written

    def encode(self, response: OnlineResponse, *, full: bool = False) -> bytes:
        """The body of the answer."""
        if len(response) == 1 and not full and self._whole_row is not None:
            body = self._one_row(response, self._whole_row.copy())
            if body is not None:
                return body
        complete = not self._computes and all(a.is_complete for a in response.answers.values())
        parts = [
            self._head,
            orjson.dumps(_moment(response.t), option=_OPTIONS),
            b',"features":',
            self._features(response, complete),
            b',"statuses":',
            self._present if complete else orjson.dumps(self._status_names(response)),
            b',"event_times":',
            dumps_times(response.event_micros()),
        ]
        if full:
            versions = {n: _versions(v) for n, v in response.versions().items()}
            parts += [b',"versions":', orjson.dumps(versions)]
        parts.append(b"}")
        return b"".join(parts)

    def _features(self, response: OnlineResponse, complete: bool) -> bytes:
        columns: dict[str, Any] = {}
        many = len(response) >= _MANY
        sure = many and not self._computes
        for view, wanted in self._stored:
            answer = response.answers[view]
            finite = answer.finite_arrays(wanted) if many else None
            sure = sure and finite is not None
            if finite is not None:
                columns.update(finite)
            elif many:
                columns.update(_arrays(answer, wanted))
            else:
                answer.fill(columns, wanted)
        if self._computes:
            for c in self._plan.service.computed_columns:
                columns[c.name] = response.outputs[c.origin.name][c.feature].items()
        if not self._plan.in_order:
            columns = {n: columns[n] for n in self._plan.names}
        if sure:
            return orjson.dumps(columns, option=_OPTIONS)
        return dumps_values(columns, nulls=0 if complete else None)

    def _one_row(self, response: OnlineResponse, parts: list[bytes]) -> bytes | None:
        """The answer for one row of finite numbers, all of them present; None for another.

        The commonest request: its values are put between the ``parts`` made ready, which takes
        half the time of going through the columns.
        """
        values: tuple[Any, ...] = ()
        times = []
        for view, wanted in self._stored:
            row = response.answers[view].whole_row(wanted)
            if row is None or row[0] == 0:
                return None
            times.append(orjson.dumps(_moment(row[0]), option=_OPTIONS))
            values += row[1]
        if not math.isfinite(sum(values)):  # as it is with any NaN or infinity among them
            return None
        numbers = orjson.dumps(values)[1:-1].split(b",")
        parts[1::2] = [self._time(response.t), *numbers, *times]
        return b"".join(parts)

    def _time(self, t: int) -> bytes:
        """``t`` as JSON. Thousands of answers share a second, and what stands before its dot."""
        second, micros = divmod(t, MICROS_PER_SECOND)
        known, text = self._second
        if second != known:
            text = orjson.dumps(_moment(t - micros), option=_OPTIONS).removesuffix(b'Z"')
            self._second = (second, text)
        return b'%b.%06dZ"' % (text, micros) if micros else text + b'Z"'

    def _status_names(self, response: OnlineResponse) -> dict[str, Any]:
        named: dict[int, Any] = {}  # columns often share one array of codes
        out = {}
        for name, codes in response.status_codes().items():
            if id(codes) not in named:
                named[id(codes)] = _names(codes)
            out[name] = named[id(codes)]
        return out


def _whole_row(plan: RequestPlan) -> list[bytes] | None:
    """The parts of an answer for one row, all present: at odd places stand, in this order, its
    time, its values and its event times.

    None for a service whose columns do not stand view after view, or are computed.
    """
    views = [view for view, _ in plan.stored]
    if plan.computes or not plan.in_order or views != [v.view.name for v in plan.views]:
        return None
    mark = "\0"  # in no name
    example = {
        "service": plan.service.name,
        "t": mark,
        "features": {name: [mark] for name in plan.names},
        "statuses": dict.fromkeys(plan.names, status.NAMES[status.PRESENT]),
        "event_times": {view: [mark] for view in views},
    }
    pieces = orjson.dumps(example).split(orjson.dumps(mark))
    return [part for piece in pieces for part in (piece, b"")][:-1]


def dumps_values(columns: Mapping[str, Any], nulls: int | None = None) -> bytes:
    """Columns (lists, or arrays without nulls) as a JSON object; see the module's text.

    ``nulls``: how many of the values are null; counted if not given.
    """
    out = orjson.dumps(columns, default=_other, option=_OPTIONS)
    # The encoder writes NaN and infinities as null too. Where there are as many nulls as there
    # should be, there were none (and no string with "null" in it); else each is looked at.
    if nulls is None:
        nulls = sum([c.count(None) for c in columns.values() if type(c) is list])
    if out.count(b"null") == nulls:
        return out
    exact = {name: _exact(column) for name, column in columns.items()}
    return orjson.dumps(exact, default=_other, option=_OPTIONS)


def _arrays(answer: ViewAnswer, wanted: Wanted) -> dict[str, Any]:
    """As :meth:`ViewAnswer.lists`, with arrays where no value is null."""
    out: dict[str, Any] = {}
    for name, feature in wanted:
        array = answer.array(feature)
        if array is None:
            out[name] = answer.items(feature)
        elif array.dtype == np.float32:
            out[name] = array.astype(np.float64)
        else:
            out[name] = array
    return out


def _exact(value: Any) -> Any:
    """The same with strings in place of floats that JSON has no literal for."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, np.ndarray):
        return value if np.isfinite(value).all() else [_exact(v) for v in value.tolist()]
    if isinstance(value, list):
        return [_exact(v) for v in value]
    return value


def _other(value: Any) -> str:
    """Values of types that the encoder does not know."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _names(codes: NDArray[np.uint8]) -> str | list[str]:
    listed = codes.tolist()
    if listed and listed.count(listed[0]) == len(listed):
        return status.NAMES[listed[0]]
    return [status.NAMES[c] for c in listed]


def dumps_times(times: Mapping[str, NDArray[np.int64]]) -> bytes:
    """Times (µs) by view as ISO 8601 with ``Z``; null where unknown (0)."""
    try:
        if all(len(micros) >= _MANY and micros.all() for micros in times.values()):
            moments = {n: np.ascontiguousarray(m).view(_MOMENT) for n, m in times.items()}
            return orjson.dumps(moments, option=_OPTIONS)
    except orjson.JSONEncodeError:
        pass  # before 1677 or after 2262: more than the encoder can hold in an array
    listed = {n: [_moment(m) if m else None for m in ms.tolist()] for n, ms in times.items()}
    return orjson.dumps(listed, option=_OPTIONS)


def _moment(micros: int) -> datetime:
    """A time as what the encoder writes as ISO 8601 with ``Z``; years 1 to 9999."""
    return _EPOCH + timedelta(0, 0, micros)


def _versions(versions: list[tuple[int, int] | None]) -> list[dict[str, Any] | None]:
    return [None if v is None else {"known_time": to_text(v[0]), "number": v[1]} for v in versions]
