"""Merged rows: reads of views whose entities have a row for each partition of their stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from noskew.addresses import PREFIX_BYTES, OnlineRows, part_suffix
from noskew.kernel.rows.codec import VERSION_BYTES, version_of
from noskew.kernel.rows.merging import merge_rows
from noskew.reading.request_plan import ViewRequest
from noskew.stores.online.base import OnlineStore

_NO_VERSION = bytes(VERSION_BYTES)


class RowReader(Protocol):
    """What rows are read from: an online store, or what stands before one."""

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]: ...


class MergedRow(bytes):
    """The row that all parts of an entity make.

    ``parts``: the version of each part, one after the other; zeros for one that is not there.
    """

    parts: bytes


class MergedRows:
    """Gives for the key of an entity the row that all of its parts make, in one round trip.

    How many parts there are is read along. When it grew, and at the first read, there is a
    second round trip: an answer is never made of some of the parts only.
    """

    def __init__(self, store: OnlineStore, views: Iterable[ViewRequest]) -> None:
        self._store = store
        self._layouts = {v.prefix: v.layout for v in views}
        self._suffixes = {prefix: _suffixes(1) for prefix in self._layouts}

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As :meth:`OnlineStore.read`, of whole rows."""
        while True:
            request = _Request(keys, self._suffixes)
            rows = self._store.read(request.keys)
            if self._has_all(request, rows):
                return self._merged(request, rows)

    async def read_async(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As :meth:`read`, without blocking the event loop."""
        while True:
            request = _Request(keys, self._suffixes)
            rows = await self._store.read_async(request.keys)
            if self._has_all(request, rows):
                return self._merged(request, rows)

    def _has_all(self, request: _Request, rows: Sequence[bytes | None]) -> bool:
        """Whether every part was asked for; else there will be more the next time."""
        missed: dict[bytes, list[bytes]] = {}
        for prefix, row in zip(request.suffixes, rows, strict=False):
            partitions = 0 if row is None else version_of(row)[1]
            if partitions >= len(request.suffixes[prefix]):
                missed[prefix] = _suffixes(partitions)
        if missed:
            self._suffixes = self._suffixes | missed
        return not missed

    def _merged(self, request: _Request, parts_read: Sequence[bytes | None]) -> list[bytes | None]:
        out = [parts_read[at] for at in request.at]
        for prefix, entities in request.entities.items():
            first, size = request.starts[prefix], len(entities)
            parts = [
                parts_read[first + i * size : first + (i + 1) * size]
                for i in range(len(request.suffixes[prefix]))
            ]
            rows = merge_rows(self._layouts[prefix], parts, size)
            for i, row, of in zip(entities, rows, zip(*parts, strict=True), strict=True):
                out[i] = None if row is None else _merged_row(row, of)
        return out


def _merged_row(row: bytes, parts: Iterable[bytes | None]) -> MergedRow:
    merged = MergedRow(row)
    merged.parts = b"".join([_NO_VERSION if p is None else p[:VERSION_BYTES] for p in parts])
    return merged


class _Request:
    """The keys to read for some entities: the numbers of parts, the rest, then parts of each view.

    ``at``: where each key asked for stands, for an entity with parts that of its first part.
    ``entities``: for each view with parts, which of the keys are its own.
    """

    def __init__(self, asked: Sequence[bytes], suffixes: dict[bytes, list[bytes]]) -> None:
        self.suffixes = suffixes
        self.keys = [OnlineRows(prefix).parts for prefix in suffixes]
        self.entities: dict[bytes, list[int]] = {}
        self.starts: dict[bytes, int] = {}
        self.at = [0] * len(asked)
        for i, key in enumerate(asked):
            prefix = key[:PREFIX_BYTES]
            if prefix in suffixes and len(key) > PREFIX_BYTES:
                self.entities.setdefault(prefix, []).append(i)
            else:
                self.at[i] = len(self.keys)
                self.keys.append(key)
        for prefix, mine in self.entities.items():
            self.starts[prefix] = len(self.keys)
            for suffix in suffixes[prefix]:
                self.keys += [asked[i] + suffix for i in mine]


def _suffixes(partitions: int) -> list[bytes]:
    return [part_suffix(part) for part in range(partitions + 1)]


def row_reader(store: OnlineStore, views: Iterable[ViewRequest]) -> RowReader:
    """What the rows of views are read from: the store itself, unless some views have parts."""
    in_parts = [v for v in views if v.view.has_partial_rows]
    return MergedRows(store, in_parts) if in_parts else store
