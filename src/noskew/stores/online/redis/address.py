"""Where a Redis is, how to greet it, and what its errors mean."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from noskew.errors import (
    ConfigError,
    CorruptDataError,
    StoreConfigError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    missing_extra,
)

try:
    import hiredis
except ImportError as _error:
    raise missing_extra("hiredis", "redis", "a Redis online store") from _error

DEFAULT_PORT = 6379
#: What hiredis gives while a reply is incomplete; no reply is equal to it.
MORE = object()
_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster")
#: First words of errors of a server that will answer again without a change by anyone.
_PASSING = frozenset(
    "LOADING MASTERDOWN CLUSTERDOWN READONLY BUSY MISCONF TRYAGAIN NOREPLICAS UNKILLABLE".split()
)
_REFUSED = frozenset("NOAUTH WRONGPASS NOPERM".split())


@dataclass(frozen=True, slots=True)
class Address:
    """One server and what is needed to talk to it. Its text never shows the password."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 2.0

    def at(self, host: str, port: int) -> Address:
        """Another server of the same cluster."""
        return replace(self, host=host or self.host, port=port)

    def greeting(self) -> list[bytes]:
        """The packed commands that a new connection starts with."""
        commands: list[tuple[str, ...]] = []
        if self.password is not None:
            user = () if self.username is None else (self.username,)
            commands.append(("AUTH", *user, self.password))
        if self.database:
            commands.append(("SELECT", str(self.database)))
        return [pack(*command) for command in commands]

    def __str__(self) -> str:
        return f"Redis at {self.host}:{self.port}"


def parse_address(url: str, timeout_s: float) -> tuple[Address, bool]:
    """The address of ``redis[s][+cluster]://[[user]:password@]host[:port][/database]``.

    Returns it, and whether it names a cluster. Raises ConfigError for another form.
    """
    parts = urlsplit(url)
    # The URL is not repeated in the messages: it may hold a password.
    if parts.scheme not in _SCHEMES:
        raise ConfigError(f"expected a Redis address of scheme {_SCHEMES}, got {parts.scheme!r}")
    if parts.query or parts.fragment:
        raise ConfigError(
            f"a Redis address takes no such option: {parts.query or parts.fragment!r}"
        )
    if not timeout_s > 0:
        raise ConfigError(f"timeout_s is a positive number of seconds, got {timeout_s!r}")
    database = parts.path.strip("/")
    try:
        port = parts.port or DEFAULT_PORT
        number = int(database or "0")
    except ValueError as error:
        raise ConfigError(
            f"a Redis address ends in ':port/database', two numbers; got {parts.path!r} after "
            f"host {parts.hostname!r}"
        ) from error
    cluster = parts.scheme.endswith("+cluster")
    if cluster and number:
        raise ConfigError(f"a Redis Cluster has only database 0, got {number}")
    address = Address(
        host=parts.hostname or "localhost",
        port=port,
        database=number,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=ssl.create_default_context() if parts.scheme.startswith("rediss") else None,
        timeout_s=timeout_s,
    )
    return address, cluster


def pack(*words: bytes | str | int) -> bytes:
    """One command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed


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
