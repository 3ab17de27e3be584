"""``POST /get-online-features``: the request and the answer of Feast's Python feature server.

Takes ``{"feature_service": "name"}`` or ``{"features": ["view:feature", …]}``, with ``entities`` (a
list for each join key and request field) and ``full_feature_names``. Answers, one result for each
name, join keys first::

    {"metadata": {"feature_names": ["origin", "delay"]},
     "results": [{"values": ["JFK"], "statuses": ["PRESENT"],
                  "event_timestamps": ["1970-01-01T00:00:00Z"]}, …]}

As there, what has no event time of its own (join keys, on-demand features, rows not found) has
that of the epoch, and request fields are not given back. Unlike there, a null has the status
``NULL_VALUE`` and a value older than its ``max_age`` ``OUTSIDE_MAX_AGE``; values have the forms of
:mod:`noskew.wire.json_values`, so timestamps are ISO 8601 and NaN is a string. Source:
Feast's ``feature_server.py``, ``utils.py`` and ``ServingService.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from noskew.clock import MICROS_PER_SECOND, to_text
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView, Selection
from noskew.errors import DefinitionError, InputError, nearest, shown, unknown
from noskew.reading.request_plan import RequestPlan
from noskew.reading.response import OnlineResponse
from noskew.serving.http.compiled import CompiledService
from noskew.serving.http.json_answer import dumps_values
from noskew.serving.http.problem import Refusal
from noskew.serving.http.snapshot import Snapshot
from noskew.wire import status

_EPOCH = "1970-01-01T00:00:00Z"
_STATUSES = {
    status.PRESENT: "PRESENT",
    status.STALE: "PRESENT",
    status.NULL: "NULL_VALUE",
    status.MISSING: "NOT_FOUND",
    status.EXPIRED: "OUTSIDE_MAX_AGE",
    status.MASKED: "NULL_VALUE",
}


class FeastRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    entities: dict[str, list[Any]]
    feature_service: str | None = None
    features: list[str] | None = None
    full_feature_names: bool = False


def parse(body: bytes) -> FeastRequest:
    """Read a body. Raises Refusal (400) if it is not JSON, InputError if it is of another shape."""
    try:
        request = msgspec.json.decode(body, type=FeastRequest)
    except msgspec.ValidationError as error:
        raise InputError(f"get-online-features: {str(error)[:300]}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refusal(400, f"the body is not JSON: {str(error)[:200]}") from error
    if (request.feature_service is None) == (request.features is None):
        raise InputError(
            "get-online-features: give 'feature_service' (a name) or 'features' (a list of "
            "'view:feature'), one of the two"
        )
    return request


async def service_of(request: FeastRequest, snapshot: Snapshot) -> CompiledService:
    """The service that answers a request, compiled beside the event loop if nobody asked before.

    Raises NotFoundError or InputError.
    """
    full = request.full_feature_names
    if request.feature_service is not None:
        service = await snapshot.service_async(request.feature_service)
        if full == service.service.full_names:
            return service
        return await snapshot.ad_hoc_async(
            (request.feature_service, str(full)), lambda _: _renamed(service.service, full)
        )
    chosen = tuple(request.features or ())
    return await snapshot.ad_hoc_async(
        ("", *chosen, str(full)), lambda project: _selected(chosen, full, project)
    )


def encode_answer(
    response: OnlineResponse, plan: RequestPlan, chosen: Sequence[str] | None
) -> bytes:
    """The body of the answer; ``chosen``: the features that were asked for, if by name."""
    keys = list(plan.keys)
    columns = plan.service.columns
    if chosen is not None:
        wanted = set(chosen)
        columns = tuple(c for c in columns if f"{c.origin.name}:{c.feature}" in wanted)
    n = len(response)
    given = {name: response.given[name] for name in keys}
    values = orjson.loads(dumps_values({**given, **_values(response)}))
    codes, times = response.status_codes(), _times(response)
    present, epoch = ["PRESENT"] * n, [_EPOCH] * n
    results = [
        {"values": values[name], "statuses": present, "event_timestamps": epoch} for name in keys
    ]
    results += [
        {
            "values": values[c.name],
            "statuses": [_STATUSES[code] for code in codes[c.name].tolist()],
            "event_timestamps": times.get(c.origin.name, epoch),
        }
        for c in columns
    ]
    names = [*keys, *(c.name for c in columns)]
    return orjson.dumps({"metadata": {"feature_names": names}, "results": results})


def _values(response: OnlineResponse) -> dict[str, list[Any]]:
    columns = response.to_dict()
    return {name: columns[name] for name in response.feature_names}


def _times(response: OnlineResponse) -> Mapping[str, list[str]]:
    return {
        view: [_time_text(m) for m in micros.tolist()]
        for view, micros in response.event_micros().items()
    }


def _time_text(micros: int) -> str:
    """As protobuf writes times: with no, three or six digits of a second."""
    text = to_text(micros)
    if micros % MICROS_PER_SECOND and micros % 1_000 == 0:
        return text[:-4] + "Z"
    return text


def _renamed(service: FeatureService, full: bool) -> FeatureService:
    return _service(service.name, [*service.selections, *service.on_demand], full)


def _selected(chosen: Sequence[str], full: bool, project: Project) -> FeatureService:
    """A service of ``view:feature`` references; on-demand functions are taken whole."""
    by_origin: dict[str, list[str]] = {}
    for reference in dict.fromkeys(chosen):
        origin, colon, feature = reference.partition(":")
        if not colon:
            raise InputError(
                f"a feature is named 'view:feature', got {shown(reference)}; "
                f"{nearest(reference[:128], project.views)}"
            )
        by_origin.setdefault(origin, []).append(feature)
    selected: list[Selection | OnDemand] = []
    for origin, features in by_origin.items():
        owner = project.views.get(origin) or project.on_demand.get(origin)
        if owner is None:
            known = [*project.views, *project.on_demand]
            raise unknown("feature view", origin if len(origin) <= 128 else shown(origin), known)
        offered = owner.features if isinstance(owner, FeatureView) else owner.outputs
        for feature in features:
            if feature not in offered:
                name = feature if len(feature) <= 128 else shown(feature)
                raise unknown("feature", name, offered, where=f"{origin!r}")
        selected.append(owner[tuple(features)] if isinstance(owner, FeatureView) else owner)
    return _service("get_online_features", selected, full)


def _service(name: str, features: Sequence[Any], full: bool) -> FeatureService:
    try:
        return FeatureService(name, features, full_names=full)
    except DefinitionError as error:
        raise InputError(str(error)) from error
