"""Refusals, and the answers to requests that ended in an error: status, headers and body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from noskew.errors import InputError, NoskewError, http_status
from noskew.wire.media_types import JSON
from noskew.wire.problem import problem_body

Headers = list[tuple[str, str]]
#: Status, headers and body.
Answer = tuple[int, Headers, bytes]
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
    return status, headers, problem_body(error, valid)
