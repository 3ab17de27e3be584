"""Where a Redis is, and how to greet it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from noskew.errors import ConfigError, missing_extra

try:
    import hiredis
except ImportError as _error:
    raise missing_extra("hiredis", "redis", "a Redis online store") from _error

DEFAULT_PORT = 6379
#: What hiredis gives while a reply is incomplete; no reply is equal to it.
MORE = object()
_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster")


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
