"""Rows whose version is all that they say."""

from __future__ import annotations

from noskew.kernel.rows.codec import FORMAT, version_bytes


def heartbeat_row(known_time: int, number: int) -> bytes:
    """A row whose version is all it says; ``known_time`` in µs."""
    return version_bytes(known_time, number) + bytes([FORMAT, 0])
