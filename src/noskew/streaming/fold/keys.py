"""Where things stand in the space of a partition. Tags keep them apart; see ``StateStore``."""

from __future__ import annotations

import hashlib

_MARK, _SEEN, _EXPIRY, _FOOTING = (bytes([i]) for i in range(3, 7))
#: In the place of a partition's number.
_ALL = (1 << 32) - 1


def space_name(project: str, source: str, partition: int) -> bytes:
    """The space of one partition of a source."""
    text = f"{project}:{source}".encode()
    return hashlib.blake2b(text, digest_size=8).digest() + partition.to_bytes(4, "big")


def view_space(project: str, source: str) -> bytes:
    """The space of what concerns all partitions of a source."""
    return space_name(project, source, _ALL)


def archive_space(log_hash: str, partition: int) -> bytes:
    """The space in which the archive of one partition keeps identities."""
    return bytes.fromhex(log_hash[:16]) + partition.to_bytes(4, "big")


def footing_key(prefix: bytes) -> bytes:
    """What the rows of the view of a prefix stand on."""
    return _FOOTING + prefix


def mark_key(prefix: bytes) -> bytes:
    """How far the view of a prefix has read."""
    return _MARK + prefix


def seen_key(prefix: bytes, identity: bytes) -> bytes:
    """When an event of this identity was accepted."""
    return _SEEN + prefix + identity


def expiry_key(prefix: bytes, known: int, identity: bytes) -> bytes:
    """As :func:`seen_key`, in the order of time, to forget the oldest."""
    return _EXPIRY + prefix + time_bytes(known) + identity


def expiry_prefix(prefix: bytes) -> bytes:
    """What every :func:`expiry_key` of a view starts with."""
    return _EXPIRY + prefix


def time_bytes(micros: int) -> bytes:
    """A time as eight bytes that compare like it."""
    return (micros + (1 << 63)).to_bytes(8, "big")


def time_of(data: bytes) -> int:
    """The inverse of :func:`time_bytes`."""
    return int.from_bytes(data, "big") - (1 << 63)
