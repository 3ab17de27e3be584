"""Keys of the online store: which view, then which entity."""

from __future__ import annotations

import hashlib

from noskew.kernel.rows import FORMAT, version_bytes

#: Bytes that say project and definition. 64 bits: with a million views, a chance of 3e-8 that
#: any two share them.
PREFIX_BYTES = 8


def view_prefix(project: str, definition_hash: str) -> bytes:
    """What every key of a view starts with; definitions and projects never share one."""
    text = f"{project}:{definition_hash}"
    return hashlib.blake2b(text.encode(), digest_size=PREFIX_BYTES).digest()


def heartbeat_key(prefix: bytes) -> bytes:
    """The key that says up to when the view's rows are known; no entity key is empty."""
    return prefix


def heartbeat_row(known_time: int, number: int) -> bytes:
    """A row whose version is all it says."""
    return version_bytes(known_time, number) + bytes([FORMAT, 0])
