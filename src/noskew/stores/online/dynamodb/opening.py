"""The DynamoDB store at an address."""

from __future__ import annotations

from noskew.stores.online.address import StoreAddress
from noskew.stores.online.dynamodb.place import Place
from noskew.stores.online.dynamodb.store import DynamoDbStore


def open_address(address: StoreAddress) -> DynamoDbStore:
    """The store at ``dynamodb://table``; see :func:`noskew.stores.online.open_store`."""
    return DynamoDbStore(Place.of(address))
