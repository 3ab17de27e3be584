"""Rows in a table of Amazon DynamoDB, or of what speaks its protocol."""

from __future__ import annotations

from noskew.stores.online.dynamodb.opening import open_address
from noskew.stores.online.dynamodb.store import DynamoDbStore
from noskew.stores.online.dynamodb.table import create_table

__all__ = ["DynamoDbStore", "create_table", "open_address"]
