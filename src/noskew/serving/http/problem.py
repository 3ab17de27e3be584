"""Problems: every refusal and failure of the HTTP server as JSON, with its status.

``{"error": {"type": "KeyTypeError", "message": "…", "valid": ["origin"]}}``: ``type`` is the name
of a class of :mod:`noskew.errors`, which the clients raise again. ``valid`` lists the names that
would have been right, where the fault may be a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from noskew import errors
from noskew.errors import InputError, NoskewError, StoreError, StoreUnavailableError, http_status

Headers = list[tuple[str, str]]
#: Status, headers and body.
Answer = tuple[int, Headers, bytes]
JSON = "application/json"
#: Messages quote what the caller sent, which can be as long as a body.
_LONGEST_MESSAGE = 2_000
#: Seconds until a store that is down is worth another try.
RETRY_AFTER_S = 1


class Refusal(InputError):
    """A request refused for how it is sent, with the status that says so."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        valid: Sequence[str] | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.valid, self.headers = status, valid, list(headers)


def problem(error: NoskewError, valid: Iterable[str] | None = None) -> Answer:
    """The answer to a request that ended in ``error``."""
    headers = [("content-type", JSON)]
    if isinstance(error, Refusal):
        status, valid = error.status, error.valid
        headers += error.headers
    else:
        status = http_status(error)
    if status == 503:
        headers.append(("retry-after", str(RETRY_AFTER_S)))
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + "…"
    # A lone surrogate, which no UTF-8 can hold, may have come in a header or a path.
    said: dict[str, Any] = {
        "type": _public_name(error),
        "message": message.encode(errors="replace").decode(),
    }
    if valid is not None:
        said["valid"] = sorted(valid)
    return status, headers, orjson.dumps({"error": said})


def _public_name(error: NoskewError) -> str:
    """The nearest class of the error's line that callers know."""
    return next(
        kind.__name__
        for kind in type(error).__mro__
        if getattr(errors, kind.__name__, None) is kind
    )


def raised(status: int, body: bytes) -> NoskewError:
    """The error that an answer of the server tells of; the inverse of :func:`problem`."""
    try:
        said = orjson.loads(body)["error"]
        name, message = str(said["type"]), str(said["message"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        name, message = "", f"the server answered {status}: {body[:200]!r}"
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, NoskewError):
        return kind(message)
    if status in (502, 503, 504):
        return StoreUnavailableError(message)
    return InputError(message) if 400 <= status < 500 else StoreError(message)
