"""Rows in a table of DynamoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from threading import Event
from typing import Any, TypeVar

from noskew.stores.closed import closed
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.dynamodb.account import find_account
from noskew.stores.online.dynamodb.client import Client, RefusedError
from noskew.stores.online.dynamodb.faults import CONDITION, throttled
from noskew.stores.online.dynamodb.items import (
    MAX_KEYS,
    MAX_ROW_BYTES,
    batch_answer,
    batch_request,
    check_refusal,
    delete_request,
    put_request,
    scan_answer,
    scan_request,
)
from noskew.stores.online.dynamodb.place import Place
from noskew.stores.online.dynamodb.table import check_table
from noskew.stores.online.dynamodb.workers import Workers
from noskew.stores.online.limits import check_keys, check_rows, greatest_by_key

#: Requests under way at a time; each has a thread and a connection.
_WORKERS = 16
#: Nothing has this key; asking for it shows whether the table answers.
_NO_KEY = b"\0ping"

_Item = TypeVar("_Item")


class DynamoDbStore(OnlineStore):
    """An online store in a table of DynamoDB that holds nothing else.

    Each row is an item. A write is a PutItem on the condition that the version is greater, so
    one request a row, many of them at a time; a read is a BatchGetItem of up to 100 keys.
    DynamoDB has no request for the rows of a prefix: a scan reads, and is charged for, all of
    the table. An acknowledged write is in several data centres and is never lost. Requests that
    are throttled are repeated, the later the more often, until the time-out.

    Parameters
    ----------
    place
        The table, and how to read it. Where reads are not consistent they cost half, and may
        miss what was written in the last second: for servers, not for whoever writes.

    Raises StoreUnavailableError if the server cannot be reached, and StoreConfigError if the
    table does not exist or is not one of ours, or the user is refused.
    """

    def __init__(self, place: Place) -> None:
        self._place, self._name = place, str(place)
        self._client: Client | None = Client(place, find_account(place))
        # Apart, so that a read does not wait for the end of a long write.
        self._readers, self._writers = Workers(_WORKERS), Workers(_WORKERS)
        try:
            check_table(self._client)
        except BaseException:
            self._client.close()
            raise

    @property
    def is_remote(self) -> bool:
        return True

    @property
    def may_lose_writes(self) -> bool:
        return False

    @property
    def max_row_bytes(self) -> int:
        return MAX_ROW_BYTES

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        client = self._opened()
        parts = _parts(keys)
        if len(parts) <= 1:
            found = [self._read_part(client, part) for part in parts]
        else:
            found = list(self._readers.pool().map(lambda p: self._read_part(client, p), parts))
        return _in_order(keys, found)

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        check_keys(keys)
        client = self._opened()
        loop, pool = asyncio.get_running_loop(), self._readers.pool()
        reads = [loop.run_in_executor(pool, self._read_part, client, p) for p in _parts(keys)]
        return _in_order(keys, await asyncio.gather(*reads))

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        check_rows(keys, rows, longest=MAX_ROW_BYTES)
        client, table = self._opened(), self._place.table
        return self._each(
            list(greatest_by_key(keys, rows).items()),
            lambda item: self._change(client, "PutItem", put_request(table, *item)),
        )

    def delete(self, keys: Sequence[bytes]) -> int:
        check_keys(keys)
        client, table = self._opened(), self._place.table
        return self._each(
            list(dict.fromkeys(keys)),
            lambda key: self._change(client, "DeleteItem", delete_request(table, key)),
        )

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As the contract says, a page of 1 MB at a time, of which the prefix may have nothing."""
        after: Mapping[str, Any] | None = None
        while True:
            request = scan_request(self._place.table, prefix, after)
            items, after = scan_answer(self._opened().ask("Scan", request), self._name)
            yield from items
            if after is None:
                return

    def ping(self) -> None:
        request = batch_request(self._place.table, [_NO_KEY], consistent=False)
        self._opened().ask("BatchGetItem", request)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
            self._readers.close()
            self._writers.close()

    def _read_part(self, client: Client, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The rows of up to MAX_KEYS different keys, asked for until none is left out."""
        rows: dict[bytes, bytes] = {}
        backoff = client.backoff()
        consistent = self._place.consistent
        while True:
            request = batch_request(self._place.table, keys, consistent=consistent)
            found, keys = batch_answer(client.ask("BatchGetItem", request, backoff), self._name)
            rows |= found
            if not keys:
                return rows
            if not backoff.wait():
                raise throttled(self._place)

    def _each(self, items: Sequence[_Item], change: Callable[[_Item], bool]) -> int:
        """Apply ``change`` to all items, several at a time; how many of them it changed.

        After a failure what was not begun is left.
        """
        failed = Event()

        def work(mine: Sequence[_Item]) -> int:
            changed = 0
            for item in mine:
                if failed.is_set():
                    break
                try:
                    changed += change(item)
                except BaseException:
                    failed.set()
                    raise
            return changed

        count = min(self._writers.count, len(items))
        if count <= 1:
            return work(items)
        pool = self._writers.pool()
        working = [pool.submit(work, items[at::count]) for at in range(count)]
        wait(working)  # so that nothing of this call is written after it raised
        return sum(future.result() for future in working)

    def _change(self, client: Client, operation: str, request: dict[str, Any]) -> bool:
        """Send a write with a condition; whether that was met."""
        try:
            client.call(operation, request)
        except RefusedError as refused:
            if refused.fault.code != CONDITION:
                raise refused.fault.error(self._place) from refused
            check_refusal(refused.content, self._name)
            return False
        return True

    def _opened(self) -> Client:
        if self._client is None:
            raise closed(f"the store in {self._name}")
        return self._client


def _parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    """The different keys, as many at a time as one request takes."""
    different = list(dict.fromkeys(keys))
    return [different[at : at + MAX_KEYS] for at in range(0, len(different), MAX_KEYS)]


def _in_order(keys: Sequence[bytes], parts: Sequence[Mapping[bytes, bytes]]) -> list[bytes | None]:
    rows: dict[bytes, bytes] = {}
    for part in parts:
        rows |= part
    return list(map(rows.get, keys))
