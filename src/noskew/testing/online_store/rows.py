"""Rows, versions and keys that a store may get wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from noskew.stores.online.base import VERSION_BYTES, OnlineStore

LARGEST_VERSION = (1 << 8 * VERSION_BYTES) - 1
#: Where a comparison of versions by signed bytes, by words, by floats or as text goes wrong.
EDGES = [0, 1, 127, 128, 255, 256, (1 << 53), (1 << 53) + 1, (1 << 63) - 1, 1 << 63]
EDGES += [(1 << 64) - 1, 1 << 64, (1 << 80) + 1, (1 << 127) - 1, 1 << 127, LARGEST_VERSION]
#: Where a prefix is taken for text, for a pattern, or for a string that ends at its first zero.
PREFIXES = [b"", b"a", b"ab", b"\xff", b"\xff\xff", b"\x00", b"\x00\x00", b"\xc3\x28", b"a*"]
PREFIXES += [b"?", b"[a-z]", b"[", b"]", b"\\", b"\\*", b"{a}", b"^", b"-", b"\r\n", b"%s"]


def row(version: int, payload: bytes = b"") -> bytes:
    """A row of a version."""
    return version.to_bytes(VERSION_BYTES, "big") + payload


def batch_of(keys: Sequence[bytes], rows: Sequence[bytes]) -> pa.RecordBatch:
    """A batch of a load."""
    columns = [pa.array(list(column), pa.large_binary()) for column in (keys, rows)]
    return pa.RecordBatch.from_arrays(columns, ["key", "row"])


def version_of(stored: bytes | None) -> int:
    """The version of a row that is there."""
    assert stored is not None, "expected a row, found none"
    return int.from_bytes(stored[:VERSION_BYTES], "big")


async def read_async(store: OnlineStore, keys: Sequence[bytes]) -> list[bytes | None]:
    """What a store reads, as a coroutine of its own."""
    return await store.read_async(keys)
