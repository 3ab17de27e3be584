"""The table that holds the rows: made once, and checked when it is opened."""

from __future__ import annotations

from threading import Event
from time import monotonic
from typing import Any

import msgspec

from noskew.errors import StoreConfigError, StoreUnavailableError
from noskew.stores.online.address import StoreAddress
from noskew.stores.online.dynamodb.account import find_account
from noskew.stores.online.dynamodb.client import Client, RefusedError
from noskew.stores.online.dynamodb.faults import ABSENT, IN_USE
from noskew.stores.online.dynamodb.items import KEY
from noskew.stores.online.dynamodb.place import Place

#: How long DynamoDB may take to make a table; it is usually seconds.
_MAKING_S = 300.0
_LOOK_S = 0.5
_SCHEMA = [{"AttributeName": KEY, "KeyType": "HASH"}]
_ATTRIBUTES = [{"AttributeName": KEY, "AttributeType": "B"}]


class _Attributes(msgspec.Struct):
    status: str = msgspec.field(name="TableStatus", default="")
    keys: list[dict[str, str]] = msgspec.field(name="KeySchema", default_factory=list)
    types: list[dict[str, str]] = msgspec.field(name="AttributeDefinitions", default_factory=list)


class _Description(msgspec.Struct):
    table: _Attributes = msgspec.field(name="Table")


def create_table(url: str) -> None:
    """Make the table of an address, with on-demand capacity, and wait until it can be used.

    Does nothing if it is there. Whoever needs more (other capacity, point-in-time recovery,
    encryption with a key of their own, tags) makes the table with their own tools instead: its
    only key is a partition key ``k`` of type binary.

    Raises ConfigError for an address of another form, StoreConfigError if a table of that name
    and another key is there or the user may not make it, and StoreUnavailableError.
    """
    place = Place.of(StoreAddress.of(url))
    client = Client(place, find_account(place))
    try:
        _create(client)
    finally:
        client.close()


def check_table(client: Client) -> str:
    """The status of the table. Raises StoreConfigError if it is not there, or not as ours are."""
    content = client.ask("DescribeTable", {"TableName": client.place.table})
    table = msgspec.json.decode(content, type=_Description).table
    types = {a.get("AttributeName"): a.get("AttributeType") for a in table.types}
    if table.keys != _SCHEMA or types.get(KEY) != "B":
        raise StoreConfigError(
            f"{client.place} has another key than a partition key {KEY!r} of type binary; name a "
            f"table of noskew's own"
        )
    return table.status


def _create(client: Client) -> None:
    request: dict[str, Any] = {
        "TableName": client.place.table,
        "KeySchema": _SCHEMA,
        "AttributeDefinitions": _ATTRIBUTES,
        "BillingMode": "PAY_PER_REQUEST",
    }
    try:
        client.call("CreateTable", request)
    except RefusedError as refused:
        if refused.fault.code != IN_USE:
            raise refused.fault.error(client.place) from refused
    deadline = monotonic() + _MAKING_S
    while not _is_ready(client):
        if monotonic() > deadline:
            raise StoreUnavailableError(f"{client.place} is still being made; look again later")
        Event().wait(_LOOK_S)  # it must poll: DynamoDB tells nobody


def _is_ready(client: Client) -> bool:
    try:
        return check_table(client) in ("ACTIVE", "UPDATING")
    except StoreConfigError as error:
        # What is being made may not be seen at once.
        cause = error.__cause__
        if isinstance(cause, RefusedError) and cause.fault.code == ABSENT:
            return False
        raise
