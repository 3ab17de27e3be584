"""Problems: every refusal and failure of the HTTP server as JSON, with its status.

``{"error": {"type": "KeyTypeError", "message": "…", "valid": ["origin"]}}``: ``type`` is the name
of a class of :mod:`noskew.errors`, which the clients raise again. ``valid`` lists the names that
would have been right, where the fault may be a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from noskew import errors
from noskew.errors import InputError, NoskewError, StoreError, StoreUnavailableError

#: Messages quote what the caller sent, which can be as long as a body.
_LONGEST_MESSAGE = 2_000


def problem_body(error: NoskewError, valid: Iterable[str] | None = None) -> bytes:
    """The body of the answer to a request that ended in ``error``."""
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + "…"
    # A lone surrogate, which no UTF-8 can hold, may have come in a header or a path.
    members: dict[str, Any] = {
        "type": _public_name(error),
        "message": message.encode(errors="replace").decode(),
    }
    if valid is not None:
        members["valid"] = sorted(valid)
    return orjson.dumps({"error": members})


def read_problem(status: int, body: bytes) -> NoskewError:
    """The error that an answer of the server tells of; the inverse of :func:`problem_body`."""
    try:
        members = orjson.loads(body)["error"]
        name, message = str(members["type"]), str(members["message"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        name, message = "", f"the server answered {status}: {body[:200]!r}"
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, NoskewError):
        return kind(message)
    if status in (502, 503, 504):
        return StoreUnavailableError(message)
    return InputError(message) if 400 <= status < 500 else StoreError(message)


def _public_name(error: NoskewError) -> str:
    """The nearest class of the error's line that callers know."""
    return next(
        kind.__name__
        for kind in type(error).__mro__
        if getattr(errors, kind.__name__, None) is kind
    )
