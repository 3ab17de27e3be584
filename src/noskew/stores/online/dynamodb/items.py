"""Rows as items of a table, in requests and answers; pure.

An item has the binary attributes ``k``, the key, by which the table is partitioned; ``v``, the
version; and ``r``, what follows the version in the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from noskew.errors import CorruptDataError
from noskew.stores.online.base import MAX_KEY_BYTES, VERSION_BYTES
from noskew.stores.online.limits import short_row

KEY = "k"
#: DynamoDB takes items of 400 KB: attributes and their names.
MAX_ROW_BYTES = 400 * 1024 - MAX_KEY_BYTES - len("kvr")
#: Keys of one BatchGetItem.
MAX_KEYS = 100

# Only the version of what is there decides. What has none of 16 bytes is foreign, and stays.
_CONDITION = "attribute_not_exists(k) OR (attribute_exists(r) AND size(v) = :n AND v < :v)"


class _Binary(msgspec.Struct):
    data: bytes = msgspec.field(name="B")


class _Item(msgspec.Struct):
    k: _Binary
    v: _Binary
    r: _Binary


class _Keys(msgspec.Struct):
    keys: list[dict[str, _Binary]] = msgspec.field(name="Keys", default_factory=list)


class _Batch(msgspec.Struct):
    found: dict[str, list[_Item]] = msgspec.field(name="Responses", default_factory=dict)
    unprocessed: dict[str, _Keys] = msgspec.field(name="UnprocessedKeys", default_factory=dict)


class _Page(msgspec.Struct):
    items: list[_Item] = msgspec.field(name="Items", default_factory=list)
    last: dict[str, _Binary] | None = msgspec.field(name="LastEvaluatedKey", default=None)


class _Refusal(msgspec.Struct):
    item: _Item | None = msgspec.field(name="Item", default=None)


_BATCH = msgspec.json.Decoder(_Batch)
_PAGE = msgspec.json.Decoder(_Page)
_REFUSAL = msgspec.json.Decoder(_Refusal)


def put_request(table: str, key: bytes, row: bytes) -> dict[str, Any]:
    """The PutItem that keeps the greater version."""
    version = {"B": row[:VERSION_BYTES]}
    return {
        "TableName": table,
        "Item": {KEY: {"B": key}, "v": version, "r": {"B": row[VERSION_BYTES:]}},
        "ConditionExpression": _CONDITION,
        "ExpressionAttributeValues": {":v": version, ":n": {"N": str(VERSION_BYTES)}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def check_refusal(content: bytes, place: str) -> None:
    """Raise CorruptDataError if a row was refused for something foreign that is in its place."""
    try:
        item = _REFUSAL.decode(content).item
    except msgspec.ValidationError as error:
        raise _foreign(place) from error
    if item is not None:
        _row(item, place)


def delete_request(table: str, key: bytes) -> dict[str, Any]:
    """The DeleteItem that is refused where there is nothing to delete."""
    return {
        "TableName": table,
        "Key": {KEY: {"B": key}},
        "ConditionExpression": "attribute_exists(k)",
    }


def batch_request(table: str, keys: Iterable[bytes], *, consistent: bool) -> dict[str, Any]:
    """The BatchGetItem of up to MAX_KEYS different keys."""
    return {
        "RequestItems": {
            table: {"Keys": [{KEY: {"B": key}} for key in keys], "ConsistentRead": consistent}
        }
    }


def batch_answer(content: bytes, place: str) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The rows that were found, by their keys, and the keys that have to be asked for again."""
    try:
        batch = _BATCH.decode(content)
    except msgspec.ValidationError as error:
        raise _foreign(place) from error
    rows = {i.k.data: _row(i, place) for items in batch.found.values() for i in items}
    again = [key[KEY].data for keys in batch.unprocessed.values() for key in keys.keys]
    return rows, again


def scan_request(table: str, prefix: bytes, after: Mapping[str, Any] | None) -> dict[str, Any]:
    """The Scan of one page, of the items whose key starts with ``prefix``."""
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if prefix:
        request["FilterExpression"] = "begins_with(k, :p)"
        request["ExpressionAttributeValues"] = {":p": {"B": prefix}}
    if after is not None:
        request["ExclusiveStartKey"] = after
    return request


def scan_answer(
    content: bytes, place: str
) -> tuple[Sequence[tuple[bytes, bytes]], Mapping[str, Any] | None]:
    """Keys and rows of a page, and where the next one starts; None: there is none."""
    try:
        page = _PAGE.decode(content)
    except msgspec.ValidationError as error:
        raise _foreign(place) from error
    return [(item.k.data, _row(item, place)) for item in page.items], page.last


def _row(item: _Item, place: str) -> bytes:
    if len(item.v.data) != VERSION_BYTES:
        raise short_row(place, len(item.v.data) + len(item.r.data))
    return item.v.data + item.r.data


def _foreign(place: str) -> CorruptDataError:
    return CorruptDataError(
        f"{place} holds an item that noskew did not write; give noskew a table of its own, or "
        f"delete that item and materialize again"
    )
