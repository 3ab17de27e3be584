"""Schemas: where those come from that messages were written with, unless a definition holds it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from noskew.definitions.connectors import Kafka
from noskew.errors import ConfigError, StoreUnavailableError, missing_extra
from noskew.redaction import masked

if TYPE_CHECKING:
    import httpx

#: How long the registry may take to answer, or to accept a connection.
TIMEOUT_S = 10.0
#: Ids are what registries give out: positive, and 32 bits with a sign.
MAX_ID = (1 << 31) - 1


@dataclass(frozen=True)
class WrittenSchema:
    """A schema as a registry holds it.

    Attributes
    ----------
    kind
        ``"AVRO"``, ``"PROTOBUF"`` or ``"JSON"``.
    text
        JSON for Avro; for Protobuf a serialized file descriptor in base64, or its source.
    references
        The schemas that the text speaks of, by the name it has for each.
    """

    kind: str
    text: str
    references: Mapping[str, WrittenSchema] = field(default_factory=dict)


class SchemaRegistry:
    """Reads schemas by the API that Confluent's registry, Redpanda, Karapace and others have.

    Nothing is kept: who asks keeps what an id means, which never changes.

    Parameters
    ----------
    address
        Its URL; several, separated by commas, are tried in turn while they cannot be reached.
    auth
        User and password.
    """

    def __init__(
        self, address: str, auth: tuple[str, str] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._addresses = [part.strip().rstrip("/") for part in address.split(",")]
        for part in self._addresses:
            if not part.startswith(("http://", "https://")):
                raise ConfigError(f"the schema registry's address {masked(part)!r} is no http URL")
        self._auth, self._timeout_s = auth, timeout_s

    def find(self, ids: Iterable[int], *, form: str = "") -> dict[int, WrittenSchema | None]:
        """The schemas of ids; None for one that the registry does not have.

        ``form``: how it shall write them; ``"serialized"`` makes descriptors of Protobuf's.
        Raises StoreUnavailableError if it cannot be asked, ConfigError if its address or the
        credentials are wrong.
        """
        import httpx

        with httpx.Client(auth=self._auth, timeout=self._timeout_s) as client:
            return {i: self._find(client, f"/schemas/ids/{i}", form) for i in ids}

    def _find(self, client: httpx.Client, path: str, form: str) -> WrittenSchema | None:
        answer = self._answer(client, path, form)
        if answer is None:
            return None
        references = {}
        for reference in answer.references or ():
            place = f"/subjects/{quote(reference.subject, safe='')}/versions/{reference.version}"
            schema = self._find(client, place, form)
            if schema is None:
                return None
            references[reference.name] = schema
        return WrittenSchema(answer.schema_type or "AVRO", answer.schema, references)

    def _answer(self, client: httpx.Client, path: str, form: str) -> _Answer | None:
        asked, response = self._ask(client, path, form)
        what = f"the schema registry at {masked(asked)}"
        if response.status_code == 404 and _is_unknown(response.content):
            return None
        if response.status_code in (401, 403):
            raise ConfigError(
                f"{what} refuses the credentials ({response.status_code}); set the environment "
                f"variable that registry_auth_env= names to 'user:password'"
            )
        if response.status_code == 429 or response.status_code >= 500:
            raise StoreUnavailableError(f"{what} answered {response.status_code} for {path}")
        try:
            if response.status_code == 200:
                return msgspec.json.decode(response.content, type=_Answer)
        except msgspec.MsgspecError:
            pass
        raise ConfigError(
            f"{what} answered {response.status_code} for {path}, not as a schema registry does; "
            f"check the address: the path of its API belongs to it"
        )

    def _ask(self, client: httpx.Client, path: str, form: str) -> tuple[str, httpx.Response]:
        import httpx

        for address in self._addresses:
            try:
                parameters = {"format": form} if form else {}
                return address, client.get(address + path, params=parameters)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                fault = error
        raise StoreUnavailableError(
            f"the schema registry at {masked(','.join(self._addresses))} cannot be asked: "
            f"{type(fault).__name__}: {masked(str(fault))}"
        ) from fault


def registry_of(stream: Kafka, what: str) -> SchemaRegistry:
    """The registry of a stream, from the environment. Raises ConfigError if it is not named."""
    if find_spec("httpx") is None:
        raise missing_extra("httpx", stream.format, "a schema registry")
    address = os.environ.get(stream.registry_env)
    if not address:
        raise ConfigError(
            f"{what}: set the environment variable {stream.registry_env} to the address of the "
            f"schema registry of its topic, such as http://127.0.0.1:8081, or give "
            f"ns.Kafka(…, schema=…)"
        )
    user, given, password = os.environ.get(stream.registry_auth_env, "").partition(":")
    if user and not given:
        raise ConfigError(f"{what}: {stream.registry_auth_env} must be 'user:password'")
    return SchemaRegistry(address, (user, password) if given else None)


class _Reference(msgspec.Struct):
    name: str
    subject: str
    version: int


class _Answer(msgspec.Struct, rename={"schema_type": "schemaType"}):
    """What is used of an answer. Avro is what goes without saying."""

    schema: str
    schema_type: str | None = None
    references: list[_Reference] | None = None


class _Fault(msgspec.Struct):
    error_code: int


def _is_unknown(content: bytes) -> bool:
    """Whether a 404 says that there is no such schema, rather than no such page.

    The registry's codes for that are 40401 (subject), 40402 (version) and 40403 (schema). A wrong
    address must not make every message a bad one.
    """
    try:
        return msgspec.json.decode(content, type=_Fault).error_code // 100 == 404
    except msgspec.MsgspecError:
        return False
