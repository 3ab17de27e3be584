"""Where things stand in the state of a partition."""

from __future__ import annotations

_ROW, _MARK, _SEEN, _EXPIRY, _QUARANTINE = (bytes([i]) for i in range(2, 7))


def row_key(store_key: bytes) -> bytes:
    """The row that the online store has at ``store_key``."""
    return _ROW + store_key


def store_key(key: bytes) -> bytes:
    """The inverse of :func:`row_key`."""
    return key[1:]


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


def quarantine_key(prefix: bytes, offset: int, place: int) -> bytes:
    """A row that could not be taken in."""
    return quarantine_prefix(prefix) + offset.to_bytes(8, "big") + place.to_bytes(4, "big")


def quarantine_prefix(prefix: bytes) -> bytes:
    """What every :func:`quarantine_key` of a view starts with."""
    return _QUARANTINE + prefix


def time_bytes(micros: int) -> bytes:
    """A time as eight bytes that compare like it."""
    return (micros + (1 << 63)).to_bytes(8, "big")


def time_of(data: bytes) -> int:
    """The inverse of :func:`time_bytes`."""
    return int.from_bytes(data, "big") - (1 << 63)
