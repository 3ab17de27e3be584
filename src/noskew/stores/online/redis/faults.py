"""What errors of a Redis mean, and those of the way there."""

from __future__ import annotations

from collections.abc import Sequence

from noskew.errors import (
    CorruptDataError,
    StoreConfigError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.online.redis.address import Address

# After the module that says which extra is missing.
import hiredis  # isort: skip

#: First words of errors of a server that will answer again without a change by anyone.
_PASSING = frozenset(
    "LOADING MASTERDOWN CLUSTERDOWN READONLY BUSY MISCONF TRYAGAIN NOREPLICAS UNKILLABLE".split()
)
_REFUSED = frozenset("NOAUTH WRONGPASS NOPERM".split())


class ConnectionLostError(Exception):
    """The server closed the connection; inside this package only."""


class LateAnswerError(Exception):
    """A server did not answer in time; inside this package only."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"{address} did not answer within {address.timeout_s} s")
        self.address = address


def reply_error(error: hiredis.ReplyError, place: object) -> StoreError:
    """Our error for an error that the server gave as its reply."""
    text = str(error)
    word = text.partition(" ")[0]
    # A script repeats the error of the command inside it, under either spelling.
    if word == "OOM" or "OOM command not allowed" in text:
        return StoreFullError(
            f"{place} has reached its maxmemory ({text}); raise maxmemory or delete rows and "
            f"repeat, nothing was lost"
        )
    if word in {"WRONGTYPE", "SHORTROW"} or "WRONGTYPE" in text:
        return CorruptDataError(
            f"{place} holds a value that noskew did not write ({text}); give noskew a Redis "
            f"database of its own, or delete that key and materialize again"
        )
    if word in _REFUSED:
        return StoreConfigError(
            f"{place} refused this user ({text}); check the user and password of the address "
            f"and the rights of the user"
        )
    if "DB index" in text:
        return StoreConfigError(f"{place} has no such database ({text}); use a smaller number")
    if word in _PASSING or "max number of clients" in text:
        return StoreUnavailableError(f"{place} cannot serve now ({text}); try again")
    return StoreError(f"{place} refused a command: {text}")


def raise_errors(replies: Sequence[object], place: object) -> None:
    """Raise for the first reply that is an error."""
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise reply_error(reply, place) from reply


def unreachable(place: object, error: BaseException | None) -> StoreUnavailableError:
    """The error for a connection that cannot be made or was lost."""
    why = f": {error}" if error is not None and str(error) else ""
    return StoreUnavailableError(
        f"{place} cannot be reached{why}; check that it runs and that the address is right"
    )


def too_late(address: Address) -> StoreUnavailableError:
    """The error for a reply that did not come in time."""
    return StoreUnavailableError(
        f"{address} did not answer within {address.timeout_s} s; raise timeout_s, or find what "
        f"keeps it busy"
    )


def silent(address: Address) -> StoreUnavailableError:
    """The error for a server that is not asked, as its last reply did not come in time."""
    return StoreUnavailableError(
        f"{address} did not answer within {address.timeout_s} s a moment ago, and is left alone; "
        f"find out whether it is there, and try again"
    )


def unavailable(
    error: ConnectionLostError | LateAnswerError, address: Address
) -> StoreUnavailableError:
    """The error where no other server can take the place of one."""
    return too_late(address) if isinstance(error, LateAnswerError) else unreachable(address, error)
