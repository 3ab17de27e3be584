"""Keys of the online store: which view, then which entity."""

from __future__ import annotations

import hashlib

from noskew.definitions.view import FeatureView
from noskew.kernel.rows.codec import FORMAT, version_bytes

#: Bytes that say project and definition. 64 bits: with a million views, a chance of 3e-8 that
#: any two share them.
PREFIX_BYTES = 8
#: Bytes that say which part of an entity's row one is.
PART_BYTES = 2


def view_prefix(project: str, definition_hash: str) -> bytes:
    """What every key of a view starts with; definitions and projects never share one."""
    text = f"{project}:{definition_hash}"
    return hashlib.blake2b(text.encode(), digest_size=PREFIX_BYTES).digest()


def rows_prefix(project: str, view: FeatureView) -> bytes:
    """What the keys of a view's rows start with; whole rows and partial ones never mix."""
    layout = ":partial" if view.has_partial_rows else ""
    return view_prefix(project, view.definition_hash + layout)


def part_of(key: bytes, part: int) -> bytes:
    """The key of a part of an entity's row, from that of the whole.

    Part 0 is of facts that are not of the log; the one of partition n is n + 1.
    """
    return key + part_suffix(part)


def part_suffix(part: int) -> bytes:
    """What :func:`part_of` puts behind a key."""
    return part.to_bytes(PART_BYTES, "big")


def parts_key(prefix: bytes) -> bytes:
    """The key that says how many partitions the rows of a view are of, in its version's number."""
    return _of_partition(prefix, (1 << 32) - 1)


def heartbeat_key(prefix: bytes) -> bytes:
    """The key that says up to when the view's rows are known; no entity key is empty."""
    return prefix


def heartbeat_row(known_time: int, number: int) -> bytes:
    """A row whose version is all it says."""
    return version_bytes(known_time, number) + bytes([FORMAT, 0])


def progress_key(prefix: bytes, partition: int) -> bytes:
    """The key that says how far a stream's partition is folded, and that its rows are there."""
    return _of_partition(prefix, partition)


def fresh_key(prefix: bytes, partition: int) -> bytes:
    """The key that says up to which time nothing is missing of a stream's partition."""
    return _of_partition(prefix, partition) + b"\0\0"


def _of_partition(prefix: bytes, partition: int) -> bytes:
    return prefix + b"\xff\xff" + partition.to_bytes(4, "big")


def frontier_keys(prefix: bytes, partition: int, turn: int = 0) -> list[bytes]:
    """Keys that say, for every shard of a store, up to where a stream's rows were published.

    256 of them, so that each of a dozen shards has one but for a chance of 1e-9; and as many for
    each of two turns. No entity key begins with two bytes ``ff``.
    """
    start = _of_partition(prefix, partition) + (b"\1" if turn else b"")
    return [start + bytes([i]) for i in range(256)]


def is_entity_key(key: bytes) -> bool:
    """Whether a key of the online store is that of an entity's row."""
    rest = key[PREFIX_BYTES : PREFIX_BYTES + 2]
    return bool(rest) and rest != b"\xff\xff"


def has_generation(key: bytes) -> bool:
    """Whether the number of a stream's row under this key says how often rows were made anew.

    It does for entities, marks and frontiers; not where a time is told, or how many parts.
    """
    rest = key[PREFIX_BYTES:]
    if rest[:2] != b"\xff\xff":
        return bool(rest)
    return rest[2:] != b"\xff\xff\xff\xff" and rest[6:] != b"\0\0"
