"""What DynamoDB's errors mean, and what those of the way there do."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from noskew.errors import StoreConfigError, StoreError, StoreUnavailableError
from noskew.stores.online.dynamodb.place import Place

#: The condition of a write was not met.
CONDITION = "ConditionalCheckFailedException"
#: The table is not there.
ABSENT = "ResourceNotFoundException"
#: The table that is to be made is there, or is being changed.
IN_USE = "ResourceInUseException"
#: It will answer if the request is repeated a little later.
_THROTTLED = frozenset(
    "ProvisionedThroughputExceededException ThrottlingException Throttling RequestLimitExceeded "
    "LimitExceededException TooManyRequestsException SlowDown".split()
)
_PASSING = frozenset(
    "InternalServerError InternalFailure ServiceUnavailable ServiceUnavailableException "
    "TransactionInProgressException".split()
)
#: Their texts repeat what was signed, session tokens among it.
_UNTOLD = frozenset(
    "InvalidSignatureException IncompleteSignatureException SignatureDoesNotMatch "
    "UnrecognizedClientException InvalidClientTokenId ExpiredTokenException ExpiredToken "
    "MissingAuthenticationTokenException MissingAuthenticationToken RequestTimeTooSkewed "
    "RequestExpired InvalidAccessKeyId".split()
)
_DENIED = frozenset("AccessDeniedException AccessDenied OptInRequired".split())


class _Body(msgspec.Struct):
    type: str = msgspec.field(name="__type", default="")
    lower: str = msgspec.field(name="message", default="")
    upper: str = msgspec.field(name="Message", default="")


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is an error."""

    status: int
    code: str
    text: str

    @classmethod
    def of(cls, status: int, content: bytes) -> Fault:
        """From an answer's status and body, whatever it is."""
        try:
            body = msgspec.json.decode(content, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return cls(status, "", "")
        return cls(status, body.type.rpartition("#")[2], body.lower or body.upper)

    @property
    def is_passing(self) -> bool:
        """Whether the same request may be answered a little later."""
        return self.is_throttling or self.code in _PASSING or self.status >= 500

    @property
    def is_throttling(self) -> bool:
        """Whether it was refused for there being too many."""
        return self.code in _THROTTLED or self.status == 429

    def error(self, place: Place) -> StoreError:
        """Our error for it."""
        if self.is_throttling:
            return throttled(place)
        if self.is_passing:
            return StoreUnavailableError(
                f"{place} cannot serve now ({self.code or self.status}); try again"
            )
        if self.code == ABSENT:
            return absent(place)
        if self.code in _UNTOLD:
            return StoreConfigError(
                f"{place} does not accept the AWS credentials of this process ({self.code}); check "
                f"them, their region and the clock of this machine"
            )
        if self.code in _DENIED:
            return StoreConfigError(
                f"{place} refused this user ({self.text or self.code}); it needs the rights "
                f"dynamodb:DescribeTable, BatchGetItem, PutItem, DeleteItem and Scan"
            )
        if not self.code:
            return StoreError(
                f"{place} answered {self.status} and no error of DynamoDB; is it one?"
            )
        return StoreError(f"{place} refused a request: {self.code}: {self.text}")


def throttled(place: Place) -> StoreUnavailableError:
    """The error for requests that were refused, for there being too many, until time was up."""
    return StoreUnavailableError(
        f"{place} is throttled and did not take everything within {place.timeout_s} s; try again, "
        f"send less, or raise its capacity or timeout_s"
    )


def absent(place: Place) -> StoreConfigError:
    """The error for a table that is not there."""
    return StoreConfigError(
        f"{place} does not exist; create it, with on-demand capacity: "
        f"python -c 'from noskew.stores.online.dynamodb import create_table; "
        f'create_table("{place.url}")\''
    )


def unreachable(place: Place, why: object) -> StoreUnavailableError:
    """The error for a connection that cannot be made or was lost."""
    return StoreUnavailableError(
        f"{place} cannot be reached: {why}; check the network, the region and the endpoint"
    )


def too_late(place: Place) -> StoreUnavailableError:
    """The error for an answer that did not come in time."""
    return StoreUnavailableError(
        f"{place} did not answer within {place.timeout_s} s; raise timeout_s, or find what keeps "
        f"it busy"
    )
