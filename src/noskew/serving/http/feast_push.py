"""``POST /push``: the request of Feast's Python feature server.

Takes ``{"push_source_name": "orders", "df": {"user": [1], …}}``: the name of a source, and a list
for each of its columns, in the forms of :mod:`noskew.wire.json_values`. Answers 200 and the
body of ``POST /push/{source}``, where Feast's server answers ``null``.

What is pushed goes online and offline alike, whatever ``to`` says, so ``"offline"`` is refused;
so are ``transform_on_write: false``, as views transform every event, and
``allow_registry_cache: false``, as the registry is followed within a second and never waited for.
Timestamps must carry an offset. Feast's server has written online when it answers; ask for
``?wait=online`` where callers count on that. Source: Feast's ``feature_server.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from noskew.errors import InputError, shown
from noskew.serving.http.problem import Refusal

_TO = ("online", "online_and_offline")


class FeastPushBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    push_source_name: str
    df: dict[str, list[Any]]
    to: str = "online"
    allow_registry_cache: bool = True
    transform_on_write: bool = True


def parse(body: bytes) -> FeastPushBody:
    """Read a body. Raises Refusal (400) if it is not JSON, InputError for what is not taken."""
    try:
        request = msgspec.json.decode(body, type=FeastPushBody)
    except msgspec.ValidationError as error:
        raise InputError(f"push: {str(error)[:300]}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refusal(400, f"the body is not JSON: {str(error)[:200]}") from error
    if request.to not in _TO:
        raise InputError(
            f"push: events go online and offline alike, so 'to' is {' or '.join(map(repr, _TO))}, "
            f"not {shown(request.to)}"
        )
    if not request.transform_on_write:
        raise InputError("push: the views transform every event; leave 'transform_on_write' out")
    if not request.allow_registry_cache:
        raise InputError(
            "push: the registry is followed, within a second; leave 'allow_registry_cache' out"
        )
    return request
